"""PEFT runs the adapters that we write, and we run those that it writes."""

import numpy as np
import pytest

from minilm import nn
from minilm.backend import rng
from minilm.interop.hf import load_hf, save_hf
from minilm.interop.peft import load_peft, save_peft
from minilm.models import Rope, Transformer, gemma3, gpt2, gpt_neox, llama
from minilm.tensor import no_grad

pytestmark = pytest.mark.oracle

SIZES = {"vocab_size": 50, "layers": 2, "heads": 4, "channels": 32, "context": 16, "ff": 48}
CONFIGS = {
    "gpt2": gpt2(**SIZES),
    "llama": llama(**SIZES, kv_heads=2),
    "tied llama": llama(**SIZES, kv_heads=4, tie=True),
    "gpt-neox": gpt_neox(**SIZES, rope=Rope(fraction=0.5)),
    "gemma3": gemma3(**SIZES, kv_heads=2, window=5, global_every=2),
}
TARGETS = {
    "gpt2": ["c_attn", "mlp.c_proj"],
    "llama": ["q_proj", "v_proj", "gate_proj"],
    "tied llama": ["q_proj", "k_proj", "v_proj", "o_proj", "down_proj"],
    "gpt-neox": ["query_key_value", "dense_h_to_4h"],
    "gemma3": ["q_proj", "v_proj", "gate_proj"],
}
IDS = rng(0, "test ids").integers(0, 50, (2, 9))


def logits(model) -> np.ndarray:
    with no_grad():
        return model(IDS).data


def their_logits(model) -> np.ndarray:
    import torch

    with torch.no_grad():
        return model(torch.from_numpy(IDS)).logits.numpy()


@pytest.fixture(params=CONFIGS)
def kind(request):
    return request.param


@pytest.fixture
def base(kind, tmp_path):
    """(our model, theirs) of the same weights, and these large enough to tell rules apart."""
    import transformers

    model = Transformer(CONFIGS[kind], seed=1)
    for name, p in model.named_parameters():
        p.data[...] += 0.1 * rng(2, name).standard_normal(p.shape)
    save_hf(model, tmp_path / "base")
    theirs = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "base").eval()
    np.testing.assert_allclose(logits(model), their_logits(theirs), rtol=1e-4, atol=1e-4)
    return model, theirs


@pytest.mark.parametrize("rows", [False, True], ids=["maps", "maps and rows"])
def test_peft_runs_what_we_write(base, rows, tmp_path):
    import peft

    ours, theirs = base
    before = logits(ours)
    nn.add_lora(ours, 3, alpha=5)
    for name, each in nn.adapters(ours).items():
        each.B.data[...] = 0.2 * rng(3, name).standard_normal(each.B.shape)
    if rows:
        nn.train_rows(ours, [4, 20]).tokens.rows.data[...] += 0.5
    save_peft(ours, tmp_path / "adapter")
    theirs = peft.PeftModel.from_pretrained(theirs, tmp_path / "adapter").eval()
    got = logits(ours)
    assert np.abs(got - before).max() > 0.1
    np.testing.assert_allclose(their_logits(theirs), got, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("rows", [None, [4, 20]], ids=["maps", "maps and rows"])
def test_we_run_what_peft_writes(kind, base, rows, tmp_path):
    import peft
    import torch

    ours, theirs = base
    before = logits(ours)
    settings = peft.LoraConfig(
        r=3,
        lora_alpha=5,
        target_modules=TARGETS[kind],
        rank_pattern={r"0\..*": 2} if kind == "llama" else {},
        trainable_token_indices=rows,
        task_type="CAUSAL_LM",
    )
    theirs = peft.get_peft_model(theirs, settings)
    torch.manual_seed(0)
    with torch.no_grad():
        for name, p in theirs.named_parameters():
            if "lora_B" in name or "trainable_tokens" in name:
                p.add_(0.2 * torch.randn_like(p))
    theirs.eval().save_pretrained(tmp_path / "adapter")
    got = logits(load_peft(load_hf(tmp_path / "base"), tmp_path / "adapter"))
    assert np.abs(got - before).max() > 0.1
    np.testing.assert_allclose(got, their_logits(theirs), rtol=1e-4, atol=1e-4)


def test_merged_weights_are_peft_s(base, tmp_path):
    import peft

    ours, theirs = base
    nn.add_lora(ours, 3, alpha=5)
    for name, each in nn.adapters(ours).items():
        each.B.data[...] = 0.2 * rng(3, name).standard_normal(each.B.shape)
    save_peft(ours, tmp_path / "adapter")
    theirs = peft.PeftModel.from_pretrained(theirs, tmp_path / "adapter").merge_and_unload()
    plain = Transformer(ours.config)
    plain.load_state_dict(nn.plain_state(ours))
    save_hf(plain, tmp_path / "merged")
    wanted = theirs.state_dict()
    from safetensors.numpy import load_file

    arrays = load_file(tmp_path / "merged" / "model.safetensors")
    assert arrays
    for name, array in arrays.items():
        held = name.replace("embed_out", "lm_head")  # what files call it, and what memory does
        np.testing.assert_allclose(array, wanted[held].numpy(), rtol=1e-5, atol=1e-6)
