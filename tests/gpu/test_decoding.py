"""A whole token in CUDA kernels, in the emulator: against the formulas, and replayed as a graph."""

import numpy as np
import pytest

from minilm import kernels
from minilm.emulator import SCHEDULES
from minilm.errors import InputError
from minilm.inference import ContiguousCache, Decoder, RollingCache, generate
from minilm.kernels.cuda_tools.launch import emulation
from minilm.kernels.decode_attention import cuda as attention_cuda
from minilm.kernels.decode_step import cuda, reference
from minilm.models import Config, Rope, Transformer, gpt2, llama

from . import fake_cupy
from .helpers import DTYPES, error

SMALL = {"vocab_size": 37, "context": 24, "layers": 1}
CONFIGS = {
    "gpt2": gpt2(**SMALL, heads=2, channels=128),
    "llama": llama(**SMALL, heads=2, kv_heads=1, channels=128, ff=80),
    "window": llama(**SMALL, heads=1, kv_heads=1, channels=64, ff=72).replace(window=5),
    "alibi": Config(**SMALL, heads=2, channels=128, positions="alibi", activation="relu"),
    "sinusoidal": Config(
        **SMALL, heads=1, channels=64, positions="sinusoidal", tie=False, norm_affine=False
    ),
    "interleaved": llama(**SMALL, heads=1, kv_heads=1, channels=64, ff=36).replace(
        rope=Rope(layout="interleaved"), activation="geglu"
    ),
}


@pytest.fixture
def cupy():
    with fake_cupy.installed() as module:
        yield module


def decoder(config, device, batch, dtype=np.float32, begin=None, weights="float32"):
    model = Transformer(config, seed=2).to(device=device, dtype=dtype)
    if config.window is not None:
        cache = RollingCache(config, batch, dtype=dtype, device=device)
    else:
        cache = ContiguousCache(config, batch, 16, dtype=dtype, device=device)
    return Decoder(model, cache, begin, weights)


def agree(config, batch, tokens, begin=None, weights="float32", start=0, more=2):
    """Logits after forced tokens on the stand-in against the formulas on the CPU."""
    ours = decoder(config, "cuda", batch, begin=begin, weights=weights)
    right = decoder(config, "cpu", batch, begin=begin, weights=weights)
    by_formula = {"decode_step": reference.decode_step}
    for each in (ours, right):
        each.cache.advance(start)
    for ids in tokens:
        mine = ours.step(ids)
        with kernels.use(by_formula):
            exact = right.step(ids)
        assert isinstance(mine, fake_cupy.ndarray)
        assert error(mine.get(), exact) < 2e-5
    if more:
        first = right.logits.argmax(axis=-1)
        found = ours.greedy(first, more)
        with kernels.use(by_formula):
            np.testing.assert_array_equal(found, right.greedy(first, more))


@pytest.mark.parametrize("name", CONFIGS)
def test_tokens_agree_with_the_formulas(cupy, name):
    tokens = np.random.default_rng(0).integers(0, 37, (6 if name == "window" else 2, 1))
    agree(CONFIGS[name], 1, tokens)


def test_rows_that_begin_later_and_more_rows_than_a_launch_takes(cupy):
    tokens = np.random.default_rng(1).integers(0, 37, (2, 9))
    agree(CONFIGS["llama"], 9, tokens, begin=np.arange(9) % 3, start=2)


def test_int8_weights(cupy):
    agree(CONFIGS["llama"], 1, np.array([[3], [9]]), weights="int8")


@pytest.mark.parametrize("schedule", [SCHEDULES[:1], SCHEDULES[1:]], ids=["watched", "others"])
def test_every_access_of_a_token_is_watched(cupy, schedule):
    with emulation(trace=len(schedule) == 1, schedules=schedule):
        agree(CONFIGS["interleaved"], 1, np.array([[3]]), more=0)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_16_bit_weights(cupy, dtype):
    """Against the formulas on the same rounded weights; the cache and queries are rounded too."""
    config = CONFIGS["llama"]
    ours = decoder(config, "cuda", 1, DTYPES[dtype])
    right = decoder(config, "cpu", 1)
    for weight in rounded(right.weights):
        weight[...] = weight.astype(DTYPES[dtype])
    for token in (4, 9, 1):
        mine = ours.step(np.array([token]))
        with kernels.use({"decode_step": reference.decode_step}):
            exact = right.step(np.array([token]))
    assert mine.dtype == np.float32
    assert error(mine.get(), exact) < {"bfloat16": 1e-2, "float16": 2e-3}[dtype]


def rounded(weights):
    """The model's own arrays, all of them."""
    layer = weights.layers[0]
    maps = [layer.qkv, layer.out, layer.gate, layer.up, layer.down, weights.head]
    norms = [layer.norm1, layer.norm2, weights.norm]
    return [part.weight for part in maps + norms] + [weights.tokens]


def test_a_token_can_be_captured_once_and_replayed(cupy, monkeypatch):
    """What a graph does: the same launches on the same addresses, whatever the host knows."""
    recorded, recording = [], []

    def recorder(real):
        def launch(*args, **options):
            if recording:
                recorded.append(lambda: real(*args, **options))
            else:
                real(*args, **options)

        return launch

    for module in (cuda, attention_cuda):
        monkeypatch.setattr(module, "launch", recorder(module.launch))

    class Graph:
        launches = 0

        def __init__(self, work):
            allocated = fake_cupy.counts.launches, fake_cupy.counts.to_device
            recording.append(1)
            work()
            recording.clear()
            assert (fake_cupy.counts.launches, fake_cupy.counts.to_device) == allocated

        def launch(self):
            Graph.launches += 1
            for each in recorded:
                each()

    monkeypatch.setattr(cuda, "_captured", Graph)
    config = CONFIGS["llama"]
    plain = decoder(config, "cuda", 1)
    wanted = plain.greedy(np.array([7]), 6)
    replayed = decoder(config, "cuda", 1)
    replayed.greedy(np.array([7]), 1)
    replayed.weights.room.graphs = True
    replayed.cache.truncate(0)
    np.testing.assert_array_equal(replayed.greedy(np.array([7]), 4), wanted[:4])
    np.testing.assert_array_equal(replayed.greedy(wanted[3], 2), wanted[4:])
    assert Graph.launches == 6 and len(recorded) == 10  # 3 kernels, and 7 per layer


def test_generate_on_a_gpu_uses_it(cupy, monkeypatch):
    config = CONFIGS["gpt2"]
    calls = []
    real = cuda.Room.run
    monkeypatch.setattr(cuda.Room, "run", lambda *args: calls.append(1) or real(*args))
    texts = [
        generate(Transformer(config, seed=0).to(device=device), [1, 2, 3, 4, 5], 4, temperature=0.0)
        for device in ("cpu", "cuda")
    ]
    assert texts[0] == texts[1] and calls
    low = Transformer(config, seed=0).to(device="cuda", dtype=DTYPES["bfloat16"])
    assert len(generate(low, [1, 2, 3, 4, 5], 3, temperature=1.0, top_k=5, top_p=0.9, seed=1)) == 3


def test_what_it_cannot_run_is_said(cupy):
    small = gpt2(**SMALL, heads=4, channels=64)
    model = Transformer(small, seed=0).to(device="cuda")
    with pytest.raises(InputError, match="heads have size 16; on a GPU it must be 64 or 128"):
        Decoder(model, ContiguousCache(small, 1, 8, device="cuda"))
    wide = Transformer(CONFIGS["gpt2"], seed=0).to(device="cuda", dtype=np.float64)
    with pytest.raises(InputError, match="is not contiguous float32 or bfloat16 or float16"):
        Decoder(wide, ContiguousCache(CONFIGS["gpt2"], 1, 8, np.float64, "cuda"))
    capped = CONFIGS["llama"].replace(logit_cap=3.0)
    with pytest.raises(InputError, match="logit_cap is 3.0, which only the CPU's kernel has"):
        Decoder(Transformer(capped).to(device="cuda"), ContiguousCache(capped, 1, 8, device="cuda"))
