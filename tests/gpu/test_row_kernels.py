"""The row kernels in the emulator, on odd sizes, against the float64 formulas."""

import importlib

import numpy as np
import pytest

from minilm.emulator import SCHEDULES
from minilm.kernels.cuda_tools.launch import emulation

from .helpers import DTYPES, arrays, assert_close, wide

# Lengths: shorter than a warp, not a multiple of 16 bytes, exactly wide, more than a block's reach.
SHAPES = [(3, 5), (2, 77), (3, 264), (2, 1288)]


def tiers(folder):
    """The CUDA launchers and the float64 formulas of one folder of kernels."""
    load = lambda tier: importlib.import_module(f"minilm.kernels.{folder}.{tier}")  # noqa: E731
    return load("cuda"), load("reference")


@pytest.fixture(autouse=True, params=["watched", "all schedules"])
def how(request):
    """Each case twice: every access watched, and unwatched under all five schedules."""
    watched = request.param == "watched"
    schedules = SCHEDULES[:1] if watched else SCHEDULES
    with emulation(trace=watched, schedules=schedules):
        yield


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_softmax(shape, dtype):
    cuda, reference = tiers("softmax")
    x, g = arrays(0, dtype, shape, shape)
    x = (3 * x).astype(x.dtype)
    for forward, backward in (
        ("softmax", "softmax_backward"),
        ("log_softmax", "log_softmax_backward"),
    ):
        y = getattr(cuda, forward)(x)
        assert y.dtype == x.dtype
        assert_close(y, getattr(reference, forward)(wide(x)), dtype, forward)
        dx = getattr(cuda, backward)(g, y)
        assert_close(dx, getattr(reference, backward)(*wide(g, y)), dtype, backward, factor=2)


def test_softmax_of_minus_infinity_is_zero():
    cuda, _ = tiers("softmax")
    x = np.full((2, 40), -np.inf, np.float32)
    x[1, 7] = 3
    y = cuda.softmax(x)
    assert (y[0] == 0).all()
    assert y[1, 7] == 1 and y[1].sum() == 1


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_norms(shape, dtype):
    n = shape[1]
    x, g, w, b = arrays(1, dtype, shape, shape, (n,), (n,))
    for folder, extra in (("layer_norm", (b,)), ("layer_norm", (None,)), ("rms_norm", ())):
        cuda, reference = tiers(folder)
        y, *saved = getattr(cuda, folder)(x, w, *extra, 1e-5)
        expected, *kept = getattr(reference, folder)(*wide(x, w, *extra), 1e-5)
        assert_close(y, expected, dtype, folder)
        for mine, right in zip(saved, kept):
            assert mine.dtype == np.float32
            np.testing.assert_allclose(mine, right, rtol=2e-5, atol=2e-6)
        ours = getattr(cuda, f"{folder}_backward")(g, x, w, *saved)
        right = getattr(reference, f"{folder}_backward")(*wide(g, x, w), *kept)
        for i, (mine, wanted) in enumerate(zip(ours, right)):
            assert mine.dtype == x.dtype
            assert_close(mine, wanted, dtype, f"{folder} gradient {i}", factor=2)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("folder, nothing", [("layer_norm", (None, None)), ("rms_norm", (None,))])
def test_norms_without_weights(folder, nothing, shape, dtype):
    x, g = arrays(1, dtype, shape, shape)
    cuda, reference = tiers(folder)
    y, *saved = getattr(cuda, folder)(x, *nothing, 1e-5)
    expected, *kept = getattr(reference, folder)(wide(x), *nothing, 1e-5)
    assert_close(y, expected, dtype, folder)
    dx, *others = getattr(cuda, f"{folder}_backward")(g, x, None, *saved)
    right = getattr(reference, f"{folder}_backward")(*wide(g, x), None, *kept)[0]
    assert_close(dx, right, dtype, folder, factor=2)
    assert set(others) == {None}


@pytest.mark.parametrize("rows", [1, 70, 130])
def test_weight_gradients_over_shares_of_rows(rows):
    cuda, reference = tiers("layer_norm")
    x, g, w = arrays(2, "float32", (rows, 40), (rows, 40), (40,))
    _, mean, rstd = reference.layer_norm(*wide(x, w), None, 1e-5)
    _, dw, db = cuda.layer_norm_backward(g, x, w, mean, rstd)
    _, right_dw, right_db = reference.layer_norm_backward(*wide(g, x, w), mean, rstd)
    assert_close(dw, right_dw, "float32")
    assert_close(db, right_db, "float32")


@pytest.mark.parametrize("smoothing, z_loss", [(0.0, 0.0), (0.1, 0.0), (0.0, 1e-2), (0.2, 1e-3)])
@pytest.mark.parametrize("shape, dtype", [((4, 77), "float32"), ((3, 264), "bfloat16")])
def test_cross_entropy(shape, dtype, smoothing, z_loss):
    cuda, reference = tiers("cross_entropy")
    (x,) = arrays(3, dtype, shape)
    targets = np.array([5, -100, 0, shape[1] - 1])[: shape[0]]
    losses, lse = cuda.cross_entropy(x, targets, smoothing, z_loss)
    right, right_lse = reference.cross_entropy(wide(x), targets, smoothing, z_loss)
    assert_close(losses, right, dtype)
    np.testing.assert_allclose(lse, right_lse, rtol=1e-5)
    (g,) = arrays(4, dtype, shape[:1])
    dx = cuda.cross_entropy_backward(g, x, targets, lse, smoothing, z_loss)
    wanted = reference.cross_entropy_backward(*wide(g, x), targets, right_lse, smoothing, z_loss)
    assert_close(dx, wanted, dtype)
    logits, exact = x.copy(), wide(x)
    losses = cuda.cross_entropy_with_gradient(logits, targets, smoothing, z_loss, 0.25)
    right = reference.cross_entropy_with_gradient(exact, targets, smoothing, z_loss, 0.25)
    assert_close(losses, right, dtype)
    assert_close(logits, exact, dtype)
    assert (wide(logits)[1] == 0).all()


@pytest.mark.parametrize("offset", [1e4, 1e8])
def test_large_logits_leave_the_loss_its_digits(offset):
    """A float32 logsumexp around 1e8 has no room for the loss; its two parts have."""
    (x,) = arrays(5, "float32", (3, 77))
    x = (x + np.float32(offset)).astype(np.float32)
    targets = np.array([5, 0, 76])
    cuda, reference = tiers("cross_entropy")
    losses, lse = cuda.cross_entropy(x, targets, 0.1)
    right, right_lse = reference.cross_entropy(wide(x), targets, 0.1)
    assert_close(losses, right, "float32")
    g = np.ones(3, np.float32)
    dx = cuda.cross_entropy_backward(g, x, targets, lse, 0.1)
    wanted = reference.cross_entropy_backward(*wide(g, x), targets, right_lse, 0.1)
    assert_close(dx, wanted, "float32")
    logits = x.copy()
    fused = cuda.cross_entropy_with_gradient(logits, targets, 0.1, 0.0, 1.0)
    assert_close(fused, right, "float32")
    assert_close(logits, wanted, "float32")
    cuda, reference = tiers("softmax")
    assert_close(cuda.log_softmax(x), reference.log_softmax(wide(x)), "float32")
