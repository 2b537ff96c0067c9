"""Primitives and layers of pictures, and losses of numbers, each against its definition."""

import importlib
import itertools

import numpy as np
import pytest
from checks import check_op, numbers

from minilm import InputError, Tensor, backend, kernels, nn
from minilm import functional as F

F32 = np.float32


def convolved(x, w, stride=(1, 1), padding=(0, 0)):
    """Every output one by one: the sum over the part of w that lies on the picture."""
    (s, t), (p, q) = stride, padding
    (n, _, h, v), (outs, _, a, b) = x.shape, w.shape
    y = np.zeros((n, outs, (h + 2 * p - a) // s + 1, (v + 2 * q - b) // t + 1), x.dtype)
    for i, j in itertools.product(range(y.shape[2]), range(y.shape[3])):
        for da, db in itertools.product(range(a), range(b)):
            row, column = i * s + da - p, j * t + db - q
            if 0 <= row < h and 0 <= column < v:
                y[:, :, i, j] += x[:, :, row, column] @ w[:, :, da, db].T
    return y


def spread(x, w, stride, padding, extra=(0, 0)):
    """The transpose: every input one by one adds w to the outputs that its windows reach."""
    (s, t), (p, q) = stride, padding
    (n, _, h, v), (_, outs, a, b) = x.shape, w.shape
    high, wide = (h - 1) * s + a + extra[0], (v - 1) * t + b + extra[1]
    y = np.zeros((n, outs, high, wide), x.dtype)
    for i, j in itertools.product(range(h), range(v)):
        part = np.einsum("ni,ioab->noab", x[:, :, i, j], w)
        y[:, :, i * s : i * s + a, j * t : j * t + b] += part
    return y[:, :, p : high - p, q : wide - q]


@pytest.mark.parametrize("stride, padding", [((1, 1), (1, 1)), ((2, 3), (0, 2)), ((1, 2), (4, 0))])
def test_conv2d(stride, padding):
    check_op(
        [(2, 3, 5, 6), (4, 3, 3, 2), (4,)],
        lambda x, w, b: F.conv2d(x, w, b, stride, padding),
        lambda x, w, b: convolved(x, w, stride, padding) + b[:, None, None],
    )


@pytest.mark.parametrize(
    "stride, padding, extra", [((1, 1), (0, 1), (0, 0)), ((2, 3), (1, 0), (1, 2))]
)
def test_conv_transpose2d(stride, padding, extra):
    check_op(
        [(2, 3, 3, 4), (3, 4, 3, 2), (4,)],
        lambda x, w, b: F.conv_transpose2d(x, w, b, stride, padding, extra),
        lambda x, w, b: spread(x, w, stride, padding, extra) + b[:, None, None],
    )


# More than a panel of pixels, a group of pictures, a tile of channels; and less than each.
SIZES = [(3, 5, 9, 13, 11), (5, 17, 33, 24, 24), (9, 3, 70, 8, 8), (1, 1, 1, 3, 40)]


@pytest.mark.parametrize("n, ins, outs, high, wide", SIZES)
@pytest.mark.parametrize("stride, padding", [((1, 1), (1, 1)), ((2, 1), (0, 2))])
def test_conv2d_on_the_cpu_at_any_size(n, ins, outs, high, wide, stride, padding):
    """The fast kernel's panels, tiles and runs end everywhere; float64 says what is right."""
    x, w = numbers((n, ins, high, wide)), numbers((outs, ins, 3, 3), 1)
    y = kernels.conv2d.tier("reference")(x, w, stride, padding)
    g = numbers(y.shape, 2)
    calls = {
        "conv2d": (x, w, stride, padding),
        "conv2d_input_gradient": (g, w, (high, wide), stride, padding),
        "conv2d_weight_gradient": (g, x, (3, 3), stride, padding),
    }
    for name, (a, b, *rest) in calls.items():
        kernel = kernels.kernels()[name]
        right = kernel.tier("reference")(a, b, *rest)
        got = kernel.tier("cpu")(a.astype(F32), b.astype(F32), *rest)
        assert got.dtype == F32 and got.shape == right.shape
        assert np.abs(got - right).max() <= 3e-6 * np.abs(right).max(), name


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_threads_share_the_pictures(threads, monkeypatch):
    """As many parts as threads, uneven ones too; a picture's outputs are the same to the bit."""
    fast = importlib.import_module("minilm.kernels.conv2d.cpu")
    monkeypatch.setattr(fast, "_SPLIT_FROM", 1)
    x, w, g = (numbers(s).astype(F32) for s in ((4, 3, 7, 6), (5, 3, 3, 3), (4, 5, 7, 6)))
    before, how = backend.threads(), ((1, 1), (1, 1))
    forward, weights = kernels.conv2d, kernels.conv2d_weight_gradient
    alone = np.concatenate([forward(one[None], w, *how) for one in x])
    right = weights.tier("reference")(*(a.astype(np.float64) for a in (g, x)), (3, 3), *how)
    try:
        backend.set_threads(threads)
        np.testing.assert_array_equal(forward(x, w, *how), alone)
        assert np.abs(weights(g, x, (3, 3), *how) - right).max() <= 3e-6 * np.abs(right).max()
    finally:
        backend.set_threads(before)


def test_conv2d_does_not_lose_or_spread_nan():
    """A picture with NaN spoils the outputs whose windows hold it, and no others."""
    x, w = np.ones((2, 3, 6, 6), F32), np.ones((4, 3, 3, 3), F32)
    x[1, 0, 2, 2] = np.nan
    bad = np.isnan(F.conv2d(x, w, padding=1).data)
    assert not bad[0].any()
    assert bad[1, :, 1:4, 1:4].all() and bad[1].sum() == 4 * 9


@pytest.mark.parametrize("affine", [True, False])
def test_group_norm(affine):
    def formula(x, w=1.0, b=0.0):
        rows = x.reshape(len(x), 2, -1)  # (N, 6, 3, 2) -> (N, 2, 18)
        normal = (rows - rows.mean(-1, keepdims=True)) / np.sqrt(rows.var(-1) + 1e-5)[..., None]
        w, b = (np.reshape(a, (-1, 1, 1)) for a in (w, b))
        return normal.reshape(x.shape) * w + b

    shapes = [(2, 6, 3, 2), (6,), (6,)] if affine else [(2, 6, 3, 2)]
    check_op(shapes, lambda x, *wb: F.group_norm(x, 2, *wb), formula)


@pytest.mark.parametrize("name", ["layer_norm", "rms_norm"])
def test_norms_without_weights(name):
    def formula(x):
        away = x - x.mean(-1, keepdims=True) if name == "layer_norm" else x
        return away / np.sqrt((away * away).mean(-1, keepdims=True) + 1e-5)

    check_op([(2, 3, 7)], getattr(F, name), formula)
    layer = (nn.LayerNorm if name == "layer_norm" else nn.RMSNorm)(7, affine=False)
    x = numbers((3, 7))
    np.testing.assert_allclose(layer(Tensor(x)).data, formula(x), rtol=1e-12)


def test_moving_pixels():
    check_op([(2, 3, 4)], lambda x: F.roll(x, 2, 1), lambda x: x[:, [1, 2, 0]])
    check_op(
        [(3, 4)], lambda x: F.roll(x, (1, -1), (0, 1)), lambda x: x[[2, 0, 1]][:, [1, 2, 3, 0]]
    )
    check_op([(2, 3, 4)], lambda x: F.flip(x, (0, 2)), lambda x: x[::-1, :, ::-1])
    check_op([(2, 3)], lambda x: F.repeat(x, 2, axis=1), lambda x: x[:, [0, 0, 1, 1, 2, 2]])

    def shuffled(x):
        y = np.empty((2, 2, 6, 4), x.dtype)
        for c, i, j in itertools.product(range(2), range(2), range(2)):
            y[:, c, i::2, j::2] = x[:, c * 4 + i * 2 + j]
        return y

    check_op([(2, 8, 3, 2)], lambda x: F.pixel_shuffle(x, 2), shuffled)
    check_op([(2, 8, 3, 2)], lambda x: F.pixel_unshuffle(F.pixel_shuffle(x, 2), 2), lambda x: x)
    x = numbers((2, 6, 4))
    np.testing.assert_array_equal(
        shuffled(F.pixel_unshuffle(x[:, None].repeat(2, 1), 2).data)[:, 0], x
    )


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_losses(reduction):
    reduce = {"mean": np.mean, "sum": np.sum, "none": np.asarray}[reduction]
    shapes = [(3, 4), (3, 4)]
    check_op(shapes, lambda x, t: F.mse(x, t, reduction), lambda x, t: reduce((x - t) ** 2))
    check_op(shapes, lambda x, t: F.l1(x, t, reduction), lambda x, t: reduce(np.abs(x - t)))

    def entropy(x, t):
        p = 1 / (1 + np.exp(-x))
        return reduce(-t * np.log(p) - (1 - t) * np.log(1 - p))

    check_op(shapes, lambda x, t: F.bce(x, t, reduction), entropy, low=0.05, high=0.95)


def test_bce_of_large_logits_and_l1_of_equals():
    x = Tensor(np.array([-200.0, 200.0, 0.0], F32), requires_grad=True)
    loss = F.bce(x, np.array([1.0, 0.0, 0.5], F32), "sum")
    assert loss.item() == pytest.approx(400 + np.log(2))
    loss.backward()
    assert x.grad.tolist() == [-1, 1, 0]
    y = Tensor(np.ones(2, F32), requires_grad=True)
    F.l1(y, np.ones(2, F32)).backward()
    assert y.grad.tolist() == [0, 0]


def test_straight_through_has_the_value_of_one_and_the_slope_of_the_other():
    x = Tensor(np.array([0.2, 0.7, -1.4]), requires_grad=True)
    y = F.straight_through(x, np.round(x.data))
    assert y.data.tolist() == [0, 1, -1]
    y.backward(np.array([1.0, 2.0, 3.0]))
    assert x.grad.tolist() == [1, 2, 3]
    code = Tensor(np.zeros(3), requires_grad=True)
    F.straight_through(x, code).sum().backward()
    assert code.grad is None


X, W = np.ones((2, 3, 5, 4), F32), np.ones((4, 3, 3, 2), F32)
REFUSED = {
    "channels": (lambda: F.conv2d(X, W[:, :2]), "w (4, 2, 3, 2)"),
    "no picture": (lambda: F.conv2d(X[0], W), "x is (3, 5, 4)"),
    "bias": (lambda: F.conv2d(X, W, np.ones(3, F32)), "it must be (4,)"),
    "too large a window": (lambda: F.conv2d(X[:, :, :2], W), "not be smaller than the window"),
    "stride of 0": (lambda: F.conv2d(X, W, stride=0), "stride is 0"),
    "padding below 0": (lambda: F.conv2d(X, W, padding=(0, -1)), "padding is (0, -1)"),
    "three strides": (lambda: F.conv2d(X, W, stride=(1, 1, 1)), "or two"),
    "transposed channels": (lambda: F.conv_transpose2d(X, W), "(I, O, A, B)"),
    "output padding": (
        lambda: F.conv_transpose2d(X, W.swapaxes(0, 1), stride=2, output_padding=2),
        "below the stride (2, 2)",
    ),
    "nothing left": (lambda: F.conv_transpose2d(X, W.swapaxes(0, 1), padding=9), "nothing is left"),
    "groups": (lambda: F.group_norm(X, 2), "groups divide C"),
    "weights of groups": (lambda: F.group_norm(X, 3, np.ones(4, F32)), "must be (3,) or None"),
    "b without w": (lambda: F.layer_norm(X, None, np.ones(4, F32)), "b needs a w"),
    "shuffled channels": (lambda: F.pixel_shuffle(X, 2), "multiple of 4 channels"),
    "shuffled by half": (lambda: F.pixel_shuffle(X, 0.5), "scale is 0.5"),
    "unshuffled rows": (lambda: F.pixel_unshuffle(X, 2), "must divide its rows"),
    "roll of axes": (lambda: F.roll(X, (1, 2), 0), "1 whole numbers or one"),
    "flip of axes": (lambda: F.flip(X, 4), "axis is 4"),
    "repeat of none": (lambda: F.repeat(X, 0, 1), "times is 0"),
    "mse of others": (lambda: F.mse(X, X[0]), "they must be alike"),
    "mse of nothing": (lambda: F.mse(X[:0], X[:0]), "at least one element"),
    "bce of numbers": (lambda: F.bce(X, 2 * X), "targets go from 2 to 2"),
    "reduction": (lambda: F.l1(X, X, "max"), "reduction is 'max'"),
    "straight through": (lambda: F.straight_through(X, X[0]), "not alike"),
    "even window": (lambda: nn.Conv2d(3, 4, window=2), "without a padding it must be odd"),
    "no channels": (lambda: nn.ConvTranspose2d(3, 0), "out_channels is 0"),
    "groups of a layer": (lambda: nn.GroupNorm(4, 6), "divide the channels, 6"),
    "approximation": (lambda: nn.GELU("erf"), "approximate is 'erf'"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_does_not_fit_gets_a_sentence(name):
    action, words = REFUSED[name]
    with pytest.raises(InputError) as caught:
        action()
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_layers_of_pictures_have_the_sizes_they_say():
    nn.manual_seed(0)
    x = Tensor(numbers((2, 6, 8, 8)).astype(F32))
    layers = nn.Sequential(
        nn.Conv2d(6, 12), nn.GroupNorm(3, 12), nn.SiLU(), nn.Conv2d(12, 16, 4, 2, 1), nn.GELU(),
        nn.Identity(), nn.ConvTranspose2d(16, 5),
    )  # fmt: skip
    y = x
    for layer, shape in zip(layers, [(12, 8, 8)] * 3 + [(16, 4, 4)] * 3 + [(5, 8, 8)], strict=True):
        y = layer(y)
        assert y.shape == (2, *shape)
    y.sum().backward()
    assert all(p.grad is not None for p in layers.parameters())


def test_first_weights_keep_the_size_of_what_passes():
    nn.manual_seed(1)
    x = Tensor(np.random.default_rng(0).standard_normal((8, 16, 12, 12)).astype(F32))
    inner = (..., slice(2, -2), slice(2, -2))
    for layer in (nn.Conv2d(16, 16), nn.ConvTranspose2d(16, 16)):
        assert layer(x).data[inner].std() == pytest.approx(1, abs=0.1)
