"""Mamba against transformers' MambaForCausalLM, scan and convolution against torch."""

import numpy as np
import pytest

from minilm import InputError, Tensor
from minilm import functional as F
from minilm.interop.hf import from_hf, load_hf, save_hf, to_hf
from minilm.interop.hf_mamba import mamba_config_from_hf
from minilm.models import Mamba, MambaConfig
from minilm.tensor import no_grad

pytestmark = pytest.mark.oracle


def test_convolution_against_torch():
    import torch

    rng = np.random.default_rng(0)
    x, w, b = (rng.standard_normal(shape).astype(np.float32) for shape in ((2, 9, 5), (5, 4), (5,)))
    ours = [Tensor(part, requires_grad=True) for part in (x, w, b)]
    theirs = [torch.tensor(part, requires_grad=True) for part in (x, w, b)]
    out = F.causal_conv(*ours)
    wanted = torch.nn.functional.conv1d(
        theirs[0].transpose(1, 2), theirs[1][:, None], theirs[2], padding=3, groups=5
    )[..., :9].transpose(1, 2)
    np.testing.assert_allclose(out.data, wanted.detach().numpy(), atol=1e-5)
    g = rng.standard_normal(out.shape).astype(np.float32)
    out.backward(g)
    wanted.backward(torch.tensor(g))
    for mine, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(mine.grad, other.grad.numpy(), atol=1e-4)


def test_scan_and_its_gradients_against_torch():
    import torch

    rng = np.random.default_rng(1)
    rows, time, channels, states = 2, 23, 7, 3
    shape, each = (rows, time, channels), (rows, time, states)
    x, delta, b, c, g = (
        rng.standard_normal(s).astype(np.float32) for s in (shape, shape, each, each, shape)
    )
    delta, a = np.abs(delta), -np.exp(rng.standard_normal((channels, states))).astype(np.float32)
    ours = [Tensor(part, requires_grad=True) for part in (x, delta, a, b, c)]
    tx, td, ta, tb, tc = theirs = [
        torch.tensor(part.astype(np.float64), requires_grad=True) for part in (x, delta, a, b, c)
    ]
    h, out = torch.zeros(rows, channels, states, dtype=torch.float64), []
    for t in range(time):
        h = torch.exp(td[:, t, :, None] * ta) * h
        h = h + (td[:, t] * tx[:, t])[..., None] * tb[:, t, None]
        out.append((h * tc[:, t, None]).sum(-1))
    wanted = torch.stack(out, 1)
    y = F.selective_scan(*ours)
    np.testing.assert_allclose(y.data, wanted.detach().numpy(), atol=2e-5)
    y.backward(g)
    wanted.backward(torch.tensor(g.astype(np.float64)))
    for mine, other in zip(ours, theirs, strict=True):
        scale = max(1, float(other.grad.abs().max()))
        np.testing.assert_allclose(mine.grad, other.grad.numpy(), atol=2e-5 * scale)


@pytest.mark.parametrize("tie", [True, False])
def test_logits_of_transformers_model_and_weights_both_ways(tie, tmp_path):
    import torch
    from transformers import MambaConfig as Theirs
    from transformers import MambaForCausalLM

    torch.manual_seed(0)
    fields = dict(
        vocab_size=37, hidden_size=20, state_size=5, num_hidden_layers=3, conv_kernel=3,
        time_step_rank=4, tie_word_embeddings=tie,
    )  # fmt: skip
    theirs = MambaForCausalLM(Theirs(**fields)).eval()
    theirs.save_pretrained(tmp_path / "theirs")
    ours = load_hf(tmp_path / "theirs")
    ids = np.random.default_rng(0).integers(0, 37, (2, 19))
    with torch.no_grad():
        wanted = theirs(torch.tensor(ids)).logits.numpy()
    with no_grad():
        np.testing.assert_allclose(ours(ids).data, wanted, atol=1e-4)
    save_hf(ours, tmp_path / "ours")
    again = MambaForCausalLM.from_pretrained(tmp_path / "ours").eval()
    with torch.no_grad():
        np.testing.assert_allclose(again(torch.tensor(ids)).logits.numpy(), wanted, atol=1e-5)
    sharded = tmp_path / "shards"
    theirs.save_pretrained(sharded, max_shard_size="4KB")
    assert len(list(sharded.glob("*.safetensors"))) > 1
    for name, value in load_hf(sharded).state_dict().items():
        np.testing.assert_array_equal(value, ours.state_dict()[name])
    state = to_hf(ours.state_dict(), ours.config)
    for name, value in from_hf(state, ours.config).items():
        np.testing.assert_array_equal(value, ours.state_dict()[name])


def test_our_own_model_in_transformers(tmp_path):
    """First weights of ours, written by both: the same greedy text."""
    import torch
    from transformers import MambaForCausalLM

    from minilm.inference import generate

    config = MambaConfig(vocab_size=31, context=64, layers=2, channels=16, states=4, init_std=0.2)
    ours = Mamba(config, seed=3)
    save_hf(ours, tmp_path)
    theirs = MambaForCausalLM.from_pretrained(tmp_path).eval()
    prompt = [3, 1, 4, 1, 5]
    written = generate(ours, prompt, 20, temperature=0)
    with torch.no_grad():
        other = theirs.generate(
            torch.tensor([prompt]), max_new_tokens=20, do_sample=False, eos_token_id=None,
            pad_token_id=0, attention_mask=torch.ones(1, 5, dtype=torch.long),
        )  # fmt: skip
    assert written == other[0, 5:].tolist()


def test_what_ours_cannot_be_is_refused():
    with pytest.raises(InputError, match="use_bias True; a Mamba here has False"):
        mamba_config_from_hf(
            {"model_type": "mamba", "use_bias": True, "vocab_size": 5, "hidden_size": 4,
             "num_hidden_layers": 1}
        )  # fmt: skip
    with pytest.raises(InputError, match="model_type 'gpt2'; it must be 'mamba'"):
        mamba_config_from_hf({"model_type": "gpt2"})
    config = MambaConfig(vocab_size=5, context=8, layers=1, channels=4)
    with pytest.raises(InputError, match="model_type is 'llama'; for a Mamba it must be None or"):
        to_hf({}, config, "llama")
    with pytest.raises(InputError, match="state lacks 'tokens.weight'"):
        to_hf({}, config)


def test_the_bench_races_two_that_agree(monkeypatch):
    from minilm.bench import scan

    monkeypatch.setattr(scan, "SHORT", (1, 33, 5, 3))
    rows = list(scan.run(quick=True))
    assert all(row.ratio > 0 for row in rows)
