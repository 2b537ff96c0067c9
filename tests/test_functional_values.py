"""Where mathematics has a value, ours is it: large logits, infinities, zeros, far tails."""

import numpy as np
import pytest
from scipy.special import expit, logsumexp

import minilm
from minilm import Tensor, kernels, no_grad
from minilm import functional as F

F32 = np.float32
TARGETS = np.array([3, 0, 49, 7])


def logits(offset: float) -> np.ndarray:
    """Logits around an offset, as float32 holds them."""
    return (np.random.default_rng(0).standard_normal((4, 50)) + offset).astype(F32)


def exact(x: np.ndarray, smoothing: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Losses and the gradient of their sum, in float64."""
    x = x.astype(np.float64)
    logp = x - logsumexp(x, axis=1, keepdims=True)
    goal = np.full(x.shape, smoothing / x.shape[1])
    goal[np.arange(4), TARGETS] += 1 - smoothing
    return -(goal * logp).sum(axis=1), np.exp(logp) - goal


@pytest.mark.parametrize("tier", ["reference", "cpu"])
@pytest.mark.parametrize("offset", [0.0, 1e4, -1e4, 1e8])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_cross_entropy_of_large_logits(tier: str, offset: float, smoothing: float) -> None:
    losses, slopes = exact(logits(offset), smoothing)
    options = {"reduction": "sum", "label_smoothing": smoothing}
    with kernels.use(tier):
        x = Tensor(logits(offset), requires_grad=True)
        loss = F.cross_entropy(x, TARGETS, **options)
        loss.backward()
        eye = np.eye(50, dtype=F32)  # the head's logits are x itself, each times 1
        fused = Tensor(logits(offset), requires_grad=True)
        head = F.linear_cross_entropy(fused, eye, TARGETS, **options)
        head.backward()
    for found in (loss, head):
        assert found.item() == pytest.approx(losses.sum(), rel=1e-6)
    assert np.abs(x.grad - slopes).max() < 1e-6
    if offset == 0:  # the gradient of the head's x is a product with w, of many terms
        assert np.abs(fused.grad - slopes).max() < 1e-6


@pytest.mark.parametrize("tier", ["reference", "cpu"])
@pytest.mark.parametrize("scale", [1e10, 1e20, 1e30])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_cross_entropy_of_logits_whose_squares_overflow(
    tier: str, scale: float, smoothing: float
) -> None:
    """Without a z-loss nothing squares them: 0 times an infinite square would be NaN."""
    large = (logits(0.0) * F32(scale)).astype(F32)
    losses, slopes = exact(large, smoothing)
    with kernels.use(tier):
        x = Tensor(large, requires_grad=True)
        loss = F.cross_entropy(x, TARGETS, label_smoothing=smoothing, reduction="sum")
        with no_grad():
            plain = F.cross_entropy(Tensor(large), TARGETS, label_smoothing=smoothing)
        loss.backward()
    assert loss.item() == pytest.approx(losses.sum(), rel=1e-6)
    assert plain.item() == pytest.approx(losses.mean(), rel=1e-6)
    assert np.abs(x.grad - slopes).max() < 1e-6


@pytest.mark.parametrize("tier", ["reference", "cpu"])
@pytest.mark.parametrize("offset", [0.0, 1e4, 1e8])
def test_log_softmax_and_logsumexp_of_large_logits(tier: str, offset: float) -> None:
    x = logits(offset).astype(np.float64)
    wanted = x - logsumexp(x, axis=1, keepdims=True)
    with kernels.use(tier):
        ours = F.log_softmax(Tensor(logits(offset))).data
        y = Tensor(logits(offset), requires_grad=True)
        F.logsumexp(y).sum().backward()
    assert np.abs(ours - wanted).max() < 2e-6
    assert np.abs(y.grad - np.exp(wanted)).max() < 1e-6


@pytest.mark.parametrize("z_loss", [0.0, 1e-2])
def test_the_loss_by_parts_keeps_its_digits_too(z_loss: float) -> None:
    x = Tensor(logits(1e4), requires_grad=True)
    with minilm.use(log_softmax=F.log_softmax.arrays):
        loss = F.cross_entropy(x, TARGETS, z_loss=z_loss)
    fused = F.cross_entropy(x, TARGETS, z_loss=z_loss)
    assert loss.item() == pytest.approx(fused.item(), rel=1e-5)


def test_a_power_of_zero_has_no_slope() -> None:
    x = Tensor(np.array([0.0, 2.0]), requires_grad=True)
    (x**0).sum().backward()
    assert np.array_equal(x.grad, [0, 0])
    x.grad = None
    exponents = Tensor(np.array([0.0, 0.0]), requires_grad=True)
    (x**exponents).sum().backward()
    assert np.array_equal(x.grad, [0, 0])
    assert np.allclose(exponents.grad, [0, np.log(2)])  # PyTorch: 0 at 0 ** 0
    x.grad = exponents.grad = None
    powers = Tensor(np.array([2.0, 3.0]), requires_grad=True)
    (x**powers).sum().backward()
    assert np.allclose(x.grad, [0, 12])
    assert np.allclose(powers.grad, [0, 8 * np.log(2)])


def test_logsumexp_of_infinities() -> None:
    inf = np.inf
    x = Tensor(np.array([[-inf, -inf], [inf, 1], [inf, inf], [-inf, 3], [1, 1]]), True)
    y = F.logsumexp(x)
    assert np.array_equal(y.data[:4], [-inf, inf, inf, 3])
    y.backward(np.ones(5))
    assert np.allclose(x.grad, [[0, 0], [1, 0], [0.5, 0.5], [0, 1], [0.5, 0.5]])
    assert np.isnan(F.logsumexp(Tensor(np.array([np.nan, 1.0]))).data)


FAR = np.array([-80, -30, -17, -5, 0, 5, 17, 30, 80], F32)


@pytest.mark.parametrize("tier", ["reference", "cpu"])
def test_sigmoids_keep_their_digits_in_the_tail(tier: str) -> None:
    x64 = FAR.astype(np.float64)
    s = expit(x64)
    for ours, value, slope_of in (
        (F.sigmoid, s, s * expit(-x64)),
        (F.softplus, np.logaddexp(0, x64), s),
        (F.silu, x64 * s, s * (1 + x64 * expit(-x64))),
    ):
        x = Tensor(FAR, requires_grad=True)
        with kernels.use(tier):
            y = ours(x)
            y.sum().backward()
        np.testing.assert_allclose(y.data, value, rtol=2e-6, atol=1e-36)
        np.testing.assert_allclose(x.grad, slope_of, rtol=2e-5, atol=1e-33)


@pytest.mark.parametrize("tier", ["reference", "cpu"])
def test_gelu_by_tanh_keeps_its_digits_in_the_tail(tier: str) -> None:
    x = np.array([-6, -5, -4, -1], F32)
    z = 2 * np.sqrt(2 / np.pi) * (x.astype(np.float64) + 0.044715 * x.astype(np.float64) ** 3)
    with kernels.use(tier):
        ours = F.gelu(Tensor(x), approximate="tanh").data
    np.testing.assert_allclose(ours, x * expit(z), rtol=2e-5)


def test_infinite_inputs_give_the_limits() -> None:
    x = np.array([-np.inf, np.inf], F32)
    assert np.array_equal(F.sigmoid(Tensor(x)).data, [0, 1])
    assert np.array_equal(F.softplus(Tensor(x)).data, [0, np.inf])


def test_integers_are_floats_to_functions_of_floats() -> None:
    ids = np.array([[1, 2, 3], [3, 2, 1]])
    assert np.allclose(F.exp(ids).data, np.exp(ids))
    assert np.allclose(F.softmax(ids).data.sum(axis=1), 1)
    loss = F.cross_entropy(ids, np.array([2, 0]))
    assert loss.dtype == F32 and loss.item() == pytest.approx(np.log(1 + np.e**-1 + np.e**-2))
    assert F.div(np.array([1, 2]), 2).dtype == F32
    assert F.exp([0, 1]).dtype == F.exp(True).dtype == F.exp(2.0).dtype == F32


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_attention_shows_its_weights(groups: int) -> None:
    rng = np.random.default_rng(0)
    q, k, v = (rng.standard_normal((2, h, 5, 3)) for h in (4, groups, groups))
    mask = np.tri(5, dtype=bool)
    mask[3] = False  # a query that may look nowhere
    out, weights = F.attention(q, k, v, mask=mask, return_weights=True)
    scores = q @ np.repeat(k, 4 // groups, axis=1).swapaxes(-1, -2) / np.sqrt(3)
    e = np.exp(scores) * mask
    total = e.sum(axis=-1, keepdims=True)
    assert np.allclose(weights.data, e / np.where(total == 0, 1, total))
    assert np.allclose(out.data, F.attention(q, k, v, mask=mask).data)
    assert not weights.data[:, :, 3].any()


def test_the_gradient_of_weights_that_are_shown() -> None:
    rng = np.random.default_rng(0)
    leaves = [Tensor(rng.standard_normal((1, 2, 4, 3)), requires_grad=True) for _ in range(3)]
    again = [Tensor(x.data, requires_grad=True) for x in leaves]
    out, weights = F.attention(*leaves, causal=True, return_weights=True)
    (out.sum() + (weights * 0.0).sum()).backward()
    F.attention(*again, causal=True).sum().backward()
    for ours, fused in zip(leaves, again, strict=True):
        assert np.allclose(ours.grad, fused.grad)


def test_dropout_of_attention_weights() -> None:
    rng = np.random.default_rng(0)
    q, k = (Tensor(rng.standard_normal((8, 4, 30, 4)), requires_grad=True) for _ in range(2))
    v = Tensor(np.ones((8, 4, 30, 1)), requires_grad=True)
    out, weights = F.attention(
        q, k, v, dropout=0.25, rng=np.random.default_rng(1), return_weights=True
    )
    dropped = (weights.data == 0).mean()
    count = weights.numel()
    assert abs(dropped - 0.25) < 4 * (0.25 * 0.75 / count) ** 0.5
    _, whole = F.attention(q, k, v, return_weights=True)
    kept = weights.data != 0
    assert np.allclose(weights.data[kept], whole.data[kept] / 0.75)
    assert np.allclose(out.data[..., 0], weights.data.sum(axis=-1))
    same = F.attention(q, k, v, dropout=0.25, rng=np.random.default_rng(1))
    assert np.array_equal(same.data, out.data)
    out.sum().backward()
    assert np.allclose(v.grad[..., 0], weights.data.sum(axis=-2))
