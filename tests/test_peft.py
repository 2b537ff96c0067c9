"""Adapters in PEFT's files: what is written is read again, and what cannot be is refused."""

import json

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from minilm import nn
from minilm.backend import rng
from minilm.errors import InputError
from minilm.interop.peft import load_peft, save_peft
from minilm.models import Config, Transformer
from minilm.tensor import no_grad

SMALL = Config(
    vocab_size=40, layers=2, heads=4, kv_heads=2, channels=32, context=24, norm="rms",
    positions="rope", bias=False, activation="swiglu",
)  # fmt: skip
KINDS = {
    "llama": {},
    "gpt2": {
        "kv_heads": None, "norm": "layer", "positions": "learned", "bias": True,
        "activation": "gelu_tanh",
    },
    "our own": {"positions": "alibi"},
}  # fmt: skip
IDS = rng(0, "test ids").integers(0, 40, (3, 12))


def adapted(rank: int = 3, rows: bool = True, **changes) -> Transformer:
    m = nn.add_lora(Transformer(SMALL.replace(**changes)), rank, alpha=4.5)
    for name, each in nn.adapters(m).items():
        each.B.data[...] = 0.1 * rng(1, name).standard_normal(each.B.shape)
    if rows:
        nn.train_rows(m, [7, 3]).tokens.rows.data[...] += 0.3
    return m


def logits(m: Transformer) -> np.ndarray:
    with no_grad():
        return m(IDS).data


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_written_is_read_again(kind, tmp_path):
    m, plain = adapted(**KINDS[kind]), Transformer(SMALL.replace(**KINDS[kind]))
    save_peft(m, tmp_path)
    again = load_peft(plain, tmp_path)
    assert again is plain
    assert logits(again).tobytes() == logits(m).tobytes()
    for name, each in nn.adapters(again).items():
        own = nn.adapters(m)[name]
        assert each.A.shape == own.A.shape and each.scale == own.scale
    trained = {n for n, p in again.named_parameters() if p.requires_grad}
    assert trained == {n for n, p in m.named_parameters() if p.requires_grad}


def test_an_adapter_that_has_not_learnt_is_written_too(tmp_path):
    m = nn.add_lora(Transformer(SMALL), 2)
    save_peft(m, tmp_path)
    again = load_peft(Transformer(SMALL), tmp_path)
    assert {n for n in nn.adapters(again)} == {n for n in nn.adapters(m)}


def test_adapters_of_queries_and_values_alone(tmp_path):
    """PEFT's own default for Llama: two of the three maps that ours makes in one."""
    save_peft(adapted(rows=False), tmp_path)
    arrays = load_file(tmp_path / "adapter_model.safetensors")
    r = rng(3)
    theirs, base = {}, Transformer(SMALL)
    for layer, part, rank in ((0, "q", 2), (0, "v", 2), (1, "v", 3)):
        key = f"base_model.model.model.layers.{layer}.self_attn.{part}_proj.lora_"
        rows = 32 if part == "q" else 16
        theirs[f"{key}A.weight"] = r.standard_normal((rank, 32)).astype(np.float32)
        theirs[f"{key}B.weight"] = r.standard_normal((rows, rank)).astype(np.float32)
        weight = base.stack.blocks[layer].attention.qkv.weight.data
        own = weight[:32] if part == "q" else weight[48:]
        # alpha / r, r that of the map
        own += 6 / rank * (theirs[f"{key}B.weight"] @ theirs[f"{key}A.weight"])
    assert set(theirs) < set(arrays)
    save_file(theirs, tmp_path / "adapter_model.safetensors")
    settings = {"peft_type": "LORA", "r": 2, "lora_alpha": 6, "rank_pattern": {"layers.1.*": 3}}
    (tmp_path / "adapter_config.json").write_text(json.dumps(settings))
    m = load_peft(Transformer(SMALL), tmp_path)
    assert nn.adapters(m)["stack.blocks.0.attention.qkv"].rank == 4
    np.testing.assert_allclose(logits(m), logits(base), atol=1e-5)
    save_peft(m, tmp_path / "again")
    back = load_file(tmp_path / "again" / "adapter_model.safetensors")
    assert set(back) == set(theirs)
    for name, array in theirs.items():
        np.testing.assert_array_equal(back[name], array)


@pytest.mark.parametrize(
    "change, sentence",
    [
        ({"peft_type": "IA3"}, "peft_type 'IA3'; it must be 'LORA'"),
        ({"use_dora": True}, "use_dora True; it must be off"),
        ({"modules_to_save": ["lm_head"]}, "modules_to_save"),
        ({"bias": "all"}, "bias 'all'; it must be 'none'"),
        ({"lora_alpha": None}, "lacks lora_alpha"),
        ({"trainable_token_indices": {"embed_tokens": [1]}}, "has shape (2, 32); for the 1 tokens"),
    ],
)
def test_what_would_be_run_by_another_formula_is_refused(change, sentence, tmp_path):
    save_peft(adapted(), tmp_path)
    path = tmp_path / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    plain = Transformer(SMALL)
    with pytest.raises(InputError) as error:
        load_peft(plain, tmp_path)
    assert sentence in str(error.value)
    assert all(p.requires_grad for p in plain.parameters()) and not nn.adapters(plain)


def test_arrays_without_a_place_are_refused(tmp_path):
    save_peft(adapted(), tmp_path)
    with pytest.raises(InputError, match=r"holds 'model.layers.1\..*no place"):
        load_peft(Transformer(SMALL.replace(layers=1)), tmp_path)
    with pytest.raises(InputError, match="'model.layers.0.self_attn.q_proj' has shapes"):
        load_peft(Transformer(SMALL.replace(channels=64)), tmp_path)
    with pytest.raises(InputError, match="has an adapter already"):
        load_peft(adapted(), tmp_path)
    with pytest.raises(InputError, match="has no adapters"):
        save_peft(Transformer(SMALL), tmp_path)
    with pytest.raises(InputError, match="adapter_config.json' cannot be read"):
        load_peft(Transformer(SMALL), tmp_path / "nowhere")
