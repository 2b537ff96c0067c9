"""The whole model on the stand-in for CuPy: forward, backward and a training step, as on the CPU.

CUDA C++ kernels run in the emulator; the arrays around them refuse implicit transfers and names
that CuPy lacks.
"""

import numpy as np
import pytest

from minilm import kernels, optim
from minilm.inference import generate
from minilm.models import Transformer, gemma2, gpt2, llama, mixtral, olmo2
from minilm.train import choose_engine, examples, train

from . import fake_cupy
from .helpers import arrays

SMALL = {"vocab_size": 61, "context": 24, "layers": 2, "heads": 4, "channels": 64}
CONFIGS = {
    "gpt2": lambda: gpt2(**SMALL),
    "llama": lambda: llama(**SMALL, kv_heads=2, ff=96),
    "experts": lambda: mixtral(**SMALL, kv_heads=2, ff=96, experts=4),
    "gemma": lambda: gemma2(**SMALL, kv_heads=2, ff=96, head_size=16, window=7, qk_norm="head"),
    "olmo2": lambda: olmo2(**SMALL, kv_heads=2, ff=96),
}


@pytest.fixture
def cupy():
    with fake_cupy.installed() as module:
        yield module


def batch():
    rng = np.random.default_rng(0)
    ids = rng.integers(0, SMALL["vocab_size"], (2, 20))
    return ids[:, :-1], ids[:, 1:]


def on_cpu(config):
    model = Transformer(config, seed=3)
    with kernels.use("reference"):
        loss = model.loss(*batch())
        loss.backward()
    return model, loss.item()


@pytest.mark.parametrize("name", CONFIGS)
def test_forward_backward_and_a_step_agree_with_the_cpu(cupy, name):
    config = CONFIGS[name]()
    model, wanted = on_cpu(config)
    device = Transformer(config, seed=3).to(device="cuda")
    loss = device.loss(*batch())
    assert loss.item() == pytest.approx(wanted, rel=1e-5)
    loss.backward()
    exact = dict(model.named_parameters())
    for key, parameter in device.named_parameters():
        assert isinstance(parameter.grad, fake_cupy.ndarray), key
        right = exact[key].grad
        scale = np.linalg.norm(right) or 1
        assert np.linalg.norm(parameter.grad.get() - right) < 2e-5 * scale, key
    for each in (model, device):
        optim.AdamW(each.parameters(), lr=1e-2, weight_decay=0.1).step()
    largest = max(np.abs(p.grad).max() for p in exact.values())
    for key, parameter in device.named_parameters():
        # Adam's first step is lr * sign(g): where g is rounding noise (the gradient of a key's bias
        # is 0 in exact arithmetic), either sign is right.
        told = np.abs(exact[key].grad) > 1e-4 * largest
        ours, right = parameter.data.get(), exact[key].data
        np.testing.assert_allclose(ours[told], right[told], rtol=1e-4, atol=1e-5, err_msg=key)
        assert np.abs(ours - right).max() < 2.1e-2, key


def test_logits_agree_with_the_cpu(cupy):
    config = CONFIGS["llama"]()
    ids, _ = batch()
    with kernels.use("reference"):
        wanted = Transformer(config, seed=3)(ids).data
    logits = Transformer(config, seed=3).to(device="cuda")(ids)
    assert isinstance(logits.data, fake_cupy.ndarray)
    np.testing.assert_allclose(logits.data.get(), wanted, rtol=2e-4, atol=2e-5)


@pytest.mark.parametrize("name", CONFIGS)
def test_training_and_decoding_agree_with_the_cpu(cupy, name, tmp_path):
    tokens = np.random.default_rng(1).integers(0, SMALL["vocab_size"], 400).astype(np.int32)
    losses, texts = [], []
    for device in ("cpu", "cuda"):
        model = Transformer(CONFIGS[name](), seed=0).to(device=device)
        texts.append(generate(model, np.array([[1, 2, 3]]), 4, temperature=0.0))
        settings = {"batch": 2, "context": 12, "progress": False, "lr": 1e-3}
        losses.append(train(model, tokens, 3, **settings, out=tmp_path / device).losses)
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-4)
    assert np.array_equal(*texts)


def test_batches_of_one_step_weigh_by_their_targets(cupy):
    """The oracle is one batch of all rows on the CPU."""
    rng = np.random.default_rng(2)
    batches = []
    for count, scored in ((1, 1), (2, 0), (3, 12)):
        ids = rng.integers(0, SMALL["vocab_size"], (count, 13)).astype(np.int32)
        targets = ids[:, 1:].copy()
        targets[:, scored:] = -100
        batches.append((ids[:, :-1], targets))
    exact = Transformer(CONFIGS["llama"](), seed=3)
    with kernels.use("reference"):
        right = exact.loss(*(np.concatenate(parts) for parts in zip(*batches)))
        right.backward()
    model = Transformer(CONFIGS["llama"](), seed=3).to(device="cuda")
    engine = choose_engine(model, [], accumulate=3)
    for ahead in (True, False):
        found = engine.gradients(engine.feed(iter(batches), ahead), 0)
        assert found == pytest.approx(right.item(), rel=1e-5) and engine.count == 6 * 12
        for a, b in zip(exact.parameters(), model.parameters()):
            wrong = np.linalg.norm(b.grad.get() - a.grad)
            assert wrong < 2e-5 * (np.linalg.norm(a.grad) or 1)


def test_any_batch_goes_to_the_device_and_any_loss_is_taken(cupy):
    tokens = np.random.default_rng(3).integers(0, SMALL["vocab_size"], (6, 9)).astype(np.int32)
    seen = []

    def draw(number):
        return {"text": "kept", "ids": [tokens[:, :-1], tokens[:, 1:]], "factor": 2.0}

    def loss(model, batch):
        seen.append((batch["text"], [type(a) for a in batch["ids"]]))
        return model.loss(*batch["ids"]) * np.float32(batch["factor"])

    losses = []
    for device in ("cpu", "cuda"):
        model = Transformer(CONFIGS["gpt2"](), seed=0).to(device=device)
        how = {"loss": loss, "weigh": examples, "accumulate": 2, "ema": 0.9, "progress": False}
        run = train(model, draw, 3, **how, lr=1e-3)
        losses.append(run.losses)
        assert type(run.ema.averages["tokens.weight"]) is type(model.tokens.weight.data)
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-4)
    assert seen[0] == ("kept", [np.ndarray] * 2)
    assert seen[-1] == ("kept", [fake_cupy.ndarray] * 2)


def test_a_step_moves_only_token_ids_and_tables(cupy):
    model = Transformer(CONFIGS["llama"](), seed=0).to(device="cuda")
    fake_cupy.counts.reset()
    model.loss(*batch()).backward()
    assert fake_cupy.counts.to_device <= 4  # ids, targets, cosines, sines
    assert fake_cupy.counts.to_host <= 3  # the smallest and the largest id, which are checked


def test_the_kernels_of_a_step_are_the_cuda_ones(cupy, monkeypatch):
    from minilm.kernels.cuda_tools import launch as cuda_launch

    seen = set()
    real = cuda_launch.launch

    def launch(file, kernel, *rest, **options):
        seen.add(kernel)
        return real(file, kernel, *rest, **options)

    for folder in ("layer_norm", "rms_norm", "cross_entropy", "swiglu", "bias_activation", "rope",
                   "embedding", "adamw", "attention", "softmax", "gelu"):  # fmt: skip
        module = __import__(f"minilm.kernels.{folder}.cuda", fromlist=["launch"])
        monkeypatch.setattr(module, "launch", launch)
    for name in CONFIGS:
        model = Transformer(CONFIGS[name](), seed=0).to(device="cuda")
        model.loss(*batch()).backward()
        optim.AdamW(model.parameters()).step()
    assert seen >= {"layer_norm", "layer_norm_backward", "rms_norm", "rms_norm_backward", "rope",
                    "embedding_backward", "adamw", "weight_gradients"}  # fmt: skip


def test_the_stand_in_refuses_what_cupy_refuses(cupy):
    (host,) = arrays(0, "float32", (3,))
    device = cupy.asarray(host)
    with pytest.raises(TypeError, match="implicit transfer"):
        device + host
    with pytest.raises(TypeError, match="Implicit conversion"):
        np.asarray(device)
    with pytest.raises(AttributeError, match="no attribute 'nanquantile_typo'"):
        cupy.nanquantile_typo(device)
    (half,) = arrays(1, "bfloat16", (2, 3, 3))
    with pytest.raises(TypeError, match="not a GEMM"):
        cupy.asarray(half) @ cupy.asarray(half)
    assert (device + 1).get().tolist() == (host + 1).tolist()
