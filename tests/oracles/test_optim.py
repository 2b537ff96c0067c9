"""Optimizers against torch.optim: the same gradients, the same weights after ten steps."""

import numpy as np
import pytest

from minilm import Tensor, optim

pytestmark = pytest.mark.oracle

PAIRS = {
    "sgd": (optim.SGD, "SGD", dict(lr=0.1, weight_decay=0.01)),
    "momentum": (optim.SGD, "SGD", dict(lr=0.1, momentum=0.9, weight_decay=0.01)),
    "nesterov": (optim.SGD, "SGD", dict(lr=0.1, momentum=0.9, nesterov=True)),
    "adam": (optim.Adam, "Adam", dict(lr=0.01, betas=(0.8, 0.9), weight_decay=0.1)),
    "adamw": (optim.AdamW, "AdamW", dict(lr=0.01, betas=(0.8, 0.9), weight_decay=0.1)),
    "adafactor": (
        optim.Adafactor,
        "Adafactor",
        dict(lr=0.02, eps=(1e-6, 1e-3), d=1.0, weight_decay=0.1),
    ),
    "muon": (optim.Muon, "Muon", dict(lr=0.02, momentum=0.9, weight_decay=0.1)),
    "muon like adamw": (optim.Muon, "Muon", dict(lr=0.02, nesterov=False, weight_decay=0.1)),
}


@pytest.mark.parametrize("name", PAIRS)
def test_ten_steps_equal_torchs(name, monkeypatch):
    import torch

    ours, theirs, settings = PAIRS[name]
    if theirs == "Muon":  # torch iterates in bfloat16; the formula is compared in float32
        monkeypatch.setattr(torch.Tensor, "bfloat16", torch.Tensor.clone)
    rng = np.random.default_rng(0)
    shapes = [(6, 9), (9, 6)] if theirs == "Muon" else [(6, 9), (11,), (2, 3, 4)]
    starts = [rng.normal(size=s).astype(np.float32) for s in shapes]
    mine = [Tensor(s.copy(), requires_grad=True) for s in starts]
    reference = [torch.tensor(s.copy(), requires_grad=True) for s in starts]
    adjust = {} if "like" not in name else dict(adjust="match_rms_adamw")
    adjust_fn = {} if not adjust else dict(adjust_lr_fn="match_rms_adamw")
    optimizer = ours(mine, **settings, **adjust)
    oracle = getattr(torch.optim, theirs)(reference, **settings, **adjust_fn)
    for _ in range(10):
        for p, q in zip(mine, reference):
            p.grad = rng.normal(size=p.shape).astype(np.float32)
            q.grad = torch.tensor(p.grad)
        optimizer.step()
        oracle.step()
    for p, q in zip(mine, reference):
        np.testing.assert_allclose(p.data, q.detach().numpy(), rtol=2e-5, atol=2e-6)


def test_clipping_equals_torchs():
    import torch

    grads = [np.random.default_rng(i).normal(size=(5, 3)).astype(np.float32) for i in range(2)]
    mine = [Tensor(np.zeros((5, 3), np.float32), requires_grad=True) for _ in grads]
    reference = [torch.zeros(5, 3, requires_grad=True) for _ in grads]
    for p, q, g in zip(mine, reference, grads):
        p.grad, q.grad = g, torch.tensor(g)
    norm = optim.clip_grad_norm(mine, 0.5)
    assert norm == pytest.approx(float(torch.nn.utils.clip_grad_norm_(reference, 0.5)), rel=1e-6)
    for p, q in zip(mine, reference):
        np.testing.assert_allclose(p.grad, q.grad.numpy(), rtol=1e-5)
