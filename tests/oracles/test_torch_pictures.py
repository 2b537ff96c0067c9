"""Convolutions, group norm, pixel shuffle and losses against torch.nn.functional."""

import numpy as np
import pytest

from minilm import functional as F
from minilm.tensor import Tensor

pytestmark = pytest.mark.oracle


def _theirs(name):
    import torch

    if name in ("roll", "flip", "repeat_interleave"):
        return getattr(torch, name)
    return getattr(torch.nn.functional, name)


CASES = {
    "conv2d": ("conv2d", [(3, 5, 9, 8), (7, 5, 3, 3), (7,)], {"padding": 1}),
    "conv2d, steps of 2": ("conv2d", [(3, 5, 9, 8), (7, 5, 4, 3), (7,)], {"stride": 2}),
    "conv2d, both": (
        "conv2d",
        [(2, 3, 9, 12), (4, 3, 3, 5)],
        {"stride": (3, 2), "padding": (1, 4)},
    ),
    "conv2d, one pixel": ("conv2d", [(2, 16, 7, 7), (9, 16, 1, 1), (9,)], {}),
    "conv_transpose2d": (
        "conv_transpose2d",
        [(3, 5, 4, 6), (5, 7, 4, 4), (7,)],
        {"stride": 2, "padding": 1},
    ),
    "conv_transpose2d, odd": (
        "conv_transpose2d",
        [(3, 5, 4, 6), (5, 7, 3, 2), (7,)],
        {"stride": (3, 2), "padding": (1, 0), "output_padding": (2, 1)},
    ),
    "pixel_shuffle": ("pixel_shuffle", [(2, 18, 3, 4)], {}),
    "pixel_unshuffle": ("pixel_unshuffle", [(2, 2, 6, 9)], {}),
}
MORE = {"pixel_shuffle": (3,), "pixel_unshuffle": (3,)}


def _numbers(shape, seed):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def _same(ours, theirs, arrays):
    """Value and gradients of both, from the same arrays."""
    import torch

    mine = [Tensor(a, requires_grad=True) for a in arrays]
    other = [torch.from_numpy(a.copy()).requires_grad_() for a in arrays]
    y, expected = ours(*mine), theirs(*other)
    scale = max(1.0, float(expected.detach().abs().max()))
    np.testing.assert_allclose(y.data / scale, expected.detach().numpy() / scale, atol=2e-6)
    g = np.asarray(_numbers(y.shape, 99), np.float32)
    y.backward(g)
    expected.backward(torch.from_numpy(g))
    for a, b in zip(mine, other, strict=True):
        scale = max(1.0, float(b.grad.abs().max()))
        np.testing.assert_allclose(a.grad / scale, b.grad.numpy() / scale, atol=4e-6)


@pytest.mark.parametrize("case", CASES)
def test_pictures(case):
    name, shapes, options = CASES[case]
    arrays = [_numbers(shape, i) for i, shape in enumerate(shapes)]
    more = MORE.get(name, ())
    _same(
        lambda *xs: getattr(F, name)(*xs, *more, **options),
        lambda *xs: _theirs(name)(*xs, *more, **options),
        arrays,
    )


@pytest.mark.parametrize("affine", [True, False])
def test_group_norm(affine):
    arrays = [_numbers((3, 12, 4, 5), 0)]
    arrays += [_numbers((12,), i) for i in (1, 2)] if affine else []
    _same(
        lambda x, *wb: F.group_norm(x, 4, *wb),
        lambda x, *wb: _theirs("group_norm")(x, 4, *wb),
        arrays,
    )


@pytest.mark.parametrize("name", ["layer_norm", "rms_norm"])
def test_norms_without_weights(name):
    _same(
        lambda x: getattr(F, name)(x, eps=1e-5),
        lambda x: _theirs(name)(x, (17,), eps=1e-5),
        [_numbers((3, 4, 17), 0)],
    )


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize(
    "ours, theirs",
    [("mse", "mse_loss"), ("l1", "l1_loss"), ("bce", "binary_cross_entropy_with_logits")],
)
def test_losses(ours, theirs, reduction):
    x, target = _numbers((5, 7), 0), np.random.default_rng(1).random((5, 7)).astype(np.float32)
    _same(
        lambda a, b: getattr(F, ours)(a, b, reduction),
        lambda a, b: _theirs(theirs)(a, b, reduction=reduction),
        [x, target],
    )


def test_moves():
    x = [_numbers((3, 4, 5), 0)]
    _same(lambda a: F.roll(a, (1, -2), (0, 2)), lambda a: _theirs("roll")(a, (1, -2), (0, 2)), x)
    _same(lambda a: F.flip(a, (1, 2)), lambda a: _theirs("flip")(a, (1, 2)), x)
    _same(lambda a: F.repeat(a, 3, axis=1), lambda a: _theirs("repeat_interleave")(a, 3, dim=1), x)
