"""Adapters: what they add, what they leave alone, and that all that runs models runs them."""

import numpy as np
import pytest

from minilm import nn, optim
from minilm.backend import rng
from minilm.errors import InputError
from minilm.inference import Decoder, generate
from minilm.inference.following import make_cache
from minilm.inference.supported import unsupported
from minilm.models import Config, Transformer
from minilm.nn.quantized import read_scales, round_scales
from minilm.tensor import Tensor, no_grad
from minilm.train import train

SMALL = Config(
    vocab_size=40, layers=2, heads=2, channels=32, context=24, norm="rms", positions="rope",
    bias=False,
)  # fmt: skip
KINDS = {
    "llama": {},
    "swiglu": {"activation": "swiglu"},
    "gpt2": {"norm": "layer", "positions": "learned", "bias": True},
    "untied": {"tie": False},
}
IDS = rng(0, "test ids").integers(0, 40, (3, 12))


def model(seed: int = 0, **changes) -> Transformer:
    return Transformer(SMALL.replace(**changes), seed=seed)


def logits(m: Transformer) -> np.ndarray:
    with no_grad():
        return m(IDS).data


def stirred(m: Transformer, seed: int = 1) -> Transformer:
    """The model with random numbers in place of the zeros of its adapters."""
    for name, each in nn.adapters(m).items():
        each.B.data[...] = 0.05 * rng(seed, name).standard_normal(each.B.shape)
    return m


def bytes_of(m: Transformer) -> dict[str, bytes]:
    return {name: array.tobytes() for name, array in m.state_dict().items()}


@pytest.mark.parametrize("kind", KINDS)
def test_an_adapter_at_zero_changes_nothing_bit_for_bit(kind):
    before = logits(model(**KINDS[kind]))
    adapted = nn.add_lora(model(**KINDS[kind]), 4)
    assert len(nn.adapters(adapted)) == (10 if kind == "swiglu" else 8)
    assert logits(adapted).tobytes() == before.tobytes()
    rows = nn.train_rows(model(**KINDS[kind]), [3, 1])
    assert logits(rows).tobytes() == before.tobytes()


def test_an_adapter_is_its_formula():
    nn.manual_seed(0)
    base = nn.Linear(6, 5)
    base.bias.data[:] = 0.5
    layer = nn.LoRALinear(base, 2, 3.0, rng(0))
    layer.B.data[...] = rng(1).standard_normal((5, 2))
    x = rng(2).standard_normal((4, 6)).astype(np.float32)
    w, a, b = base.weight.data, layer.A.data, layer.B.data
    wanted = x @ w.T + 0.5 + 1.5 * (x @ a.T @ b.T)
    np.testing.assert_allclose(layer(Tensor(x)).data, wanted, atol=1e-5)
    layer(Tensor(x)).backward(np.ones((4, 5), np.float32))
    np.testing.assert_allclose(layer.B.grad, 1.5 * np.ones((5, 4)) @ (x @ a.T), atol=1e-5)
    np.testing.assert_allclose(layer.A.grad, 1.5 * b.T @ np.ones((5, 4)) @ x, atol=1e-5)
    assert base.weight.grad is None and base.bias.grad is None


@pytest.mark.parametrize("kind", KINDS)
def test_a_merged_model_is_the_unmerged_one_and_back(kind):
    m = stirred(nn.add_lora(model(**KINDS[kind]), 4))
    before, apart = bytes_of(m), logits(m)
    assert np.abs(apart - logits(model(**KINDS[kind]))).max() > 0.01
    np.testing.assert_allclose(logits(nn.merge_lora(m)), apart, atol=1e-5)
    plain = model(seed=9, **KINDS[kind])
    plain.load_state_dict(nn.plain_state(m))
    np.testing.assert_allclose(logits(plain), apart, atol=1e-5)
    nn.unmerge_lora(m)
    assert bytes_of(m) == before
    assert logits(m).tobytes() == apart.tobytes()


def test_a_merged_model_still_learns():
    m = nn.merge_lora(stirred(nn.add_lora(model(), 2)))
    m.loss(IDS[:, :-1], IDS[:, 1:]).backward()
    assert all(a.B.grad is not None and a.A.grad.any() for a in nn.adapters(m).values())


def test_what_is_frozen_does_not_move_by_a_byte():
    m = nn.train_rows(nn.add_lora(model(), 2), [5, 7])
    before = bytes_of(m)
    train(m, rng(3).integers(0, 40, 300), 5, batch=4, context=12, lr=0.01, progress=False)
    moved = {name for name, held in bytes_of(m).items() if held != before[name]}
    own = {f"{name}.{part}" for name in nn.adapters(m) for part in "AB"}
    assert moved == own | {"tokens.rows"}
    rest = np.delete(m.tokens.weight.data - m.tokens.base.weight.data, [5, 7], axis=0)
    assert not rest.any()


def test_only_what_is_adapted_counts_as_trained():
    m = nn.train_rows(nn.add_lora(model(), 3), [5, 7])
    wanted = sum(3 * (a.in_features + a.out_features) for a in nn.adapters(m).values()) + 2 * 32
    assert m.num_parameters(trainable=True) == wanted
    other = nn.add_lora(nn.train_rows(model(), [5, 7]), 3)
    assert other.num_parameters(trainable=True) == wanted


def test_maps_are_chosen_by_name():
    names = set(nn.adapters(nn.add_lora(model(), 1, targets=["qkv"])))
    assert names == {"stack.blocks.0.attention.qkv", "stack.blocks.1.attention.qkv"}
    names = set(nn.adapters(nn.add_lora(model(), 1, targets=r".*\.1\..*(up|down)")))
    assert names == {"stack.blocks.1.feed_forward.up", "stack.blocks.1.feed_forward.down"}
    head = stirred(nn.add_lora(model(tie=False), 1, targets=["head"]))
    assert np.abs(logits(head) - logits(model(tie=False))).max() > 0.01
    with pytest.raises(InputError, match="linear maps are qkv, out, up, down"):
        nn.add_lora(model(), 1, targets=["q_proj"])
    with pytest.raises(InputError, match="has an adapter already"):
        nn.add_lora(nn.add_lora(model(), 1), 1)
    with pytest.raises(InputError, match="rank is 0"):
        nn.add_lora(model(), 0)


def test_the_seed_draws_the_adapters():
    one, same, other = (nn.add_lora(model(), 2, seed=s) for s in (1, 1, 2))
    assert bytes_of(one) == bytes_of(same) != bytes_of(other)


def test_rows_are_refused_that_are_not_there():
    for ids, sentence in (([40], "from 0 to 39"), ([3, 3], "once"), ([], r"\(n,\) ints")):
        with pytest.raises(InputError, match=sentence):
            nn.train_rows(model(), ids)
    with pytest.raises(InputError, match="already"):
        nn.train_rows(nn.train_rows(model(), [1]), [2])


def quantized(kind: str) -> Transformer:
    m = nn.quantize_maps(model().stack, 4, 16, double=True)
    whole = model()
    whole.stack = m
    return nn.train_rows(nn.add_lora(whole, 2), [4, 9]) if kind == "qlora" else whole


@pytest.mark.parametrize("kind", ["lora", "rows", "qlora", "quantized twice"])
def test_the_fast_decoder_runs_adapted_models(kind):
    if kind in ("qlora", "quantized twice"):
        m = quantized(kind)
    else:
        m = nn.add_lora(model(), 2) if kind == "lora" else nn.train_rows(model(), [4, 9])
    stirred(m)
    if hasattr(m.tokens, "rows"):
        m.tokens.rows.data[...] += 0.1
    assert unsupported(m) is None
    decoder, wanted = Decoder(m, make_cache(m, 3, 12)), logits(m)
    for t in range(12):
        np.testing.assert_allclose(decoder.step(IDS[:, t]), wanted[:, t], atol=2e-4)
    fast = generate(m, [1, 2, 3], 8, temperature=0)
    m.forward = m.forward  # an attribute of its own: the plain path
    assert generate(m, [1, 2, 3], 8, temperature=0) == fast


def test_an_adapter_learns_over_frozen_codes():
    m = quantized("qlora")
    codes = {n: b.data.tobytes() for n, b in m.named_buffers()}
    ids = np.tile(np.arange(40), 8)
    run = train(m, ids, 30, batch=4, context=12, lr=0.01, progress=False)
    assert run.losses[-1] < run.losses[0] - 0.3
    assert {n: b.data.tobytes() for n, b in m.named_buffers()} == codes


def test_scales_that_are_rounded_twice():
    scales = np.abs(rng(0).standard_normal((30, 20))).astype(np.float32)
    codes, tops, mean = round_scales(scales)
    assert codes.nbytes + tops.nbytes + mean.nbytes == 600 + 3 * 4 + 4
    away = np.abs(read_scales(codes, tops, mean) - scales.reshape(-1))
    assert away.max() <= tops.max() / 254 * 1.001
    np.testing.assert_array_equal(read_scales(*round_scales(np.full(5, 2.0))), np.full(5, 2.0))


def test_the_bytes_of_a_map_in_four_bits():
    nn.manual_seed(0)
    linear = nn.Linear(1024, 512, bias=False)
    one, two = (nn.QuantizedLinear(linear, 4, 64, double) for double in (False, True))
    size = {m: sum(b.data.nbytes for _, b in m.named_buffers()) for m in (one, two)}
    count = 1024 * 512
    assert size[one] * 8 / count == 4 + 32 / 64
    # QLoRA, section 3: 8 bits for 64 weights and 32 for 256 of those; and one mean for the map
    assert size[two] * 8 / count == 4 + 8 / 64 + 32 / (64 * 256) + 32 / count
    error = {m: np.mean((m.dense()[0] - linear.weight.data) ** 2) for m in (one, two)}
    assert error[two] < 1.01 * error[one]


def test_a_group_of_zeros_does_not_spoil_the_scales_of_others():
    linear = nn.Linear(64, 8, bias=False)
    linear.weight.data[...] *= 0.01
    linear.weight.data[3] = 0
    error = [
        np.abs(nn.QuantizedLinear(linear, 4, 64, double).dense()[0] - linear.weight.data).max()
        for double in (False, True)
    ]
    assert not nn.QuantizedLinear(linear, 4, 64, True).dense()[0][3].any()
    assert error[1] < 1.1 * error[0]


def test_an_optimizer_takes_adapters_only():
    m = nn.add_lora(model(), 2)
    with pytest.raises(InputError):
        optim.AdamW(m.parameters())
    optim.AdamW([p for p in m.parameters() if p.requires_grad])
