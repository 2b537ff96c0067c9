"""Every primitive against its float64 formula, its gradient against finite differences."""

import numpy as np
import pytest
from checks import check_op, numbers
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import erf, logsumexp

import minilm
from minilm import InputError, Tensor
from minilm import functional as F


def softmax(x: np.ndarray, axis: int = -1) -> np.ndarray:
    return np.exp(x - logsumexp(x, axis=axis, keepdims=True))


SAFE = {"low": 0.5, "high": 2.0}
ELEMENTWISE = {
    "exp": (F.exp, np.exp, {}),
    "log": (F.log, np.log, SAFE),
    "sqrt": (F.sqrt, np.sqrt, SAFE),
    "sin": (F.sin, np.sin, {}),
    "cos": (F.cos, np.cos, {}),
    "tanh": (F.tanh, np.tanh, {}),
    "sigmoid": (F.sigmoid, lambda x: 1 / (1 + np.exp(-x)), {}),
    "softplus": (F.softplus, lambda x: np.log(1 + np.exp(x)), {}),
    "relu": (F.relu, lambda x: np.where(x > 0, x, 0), {}),
    "abs": (F.abs, np.abs, {}),
    "neg": (F.neg, np.negative, {}),
    "silu": (F.silu, lambda x: x / (1 + np.exp(-x)), {}),
    "gelu": (F.gelu, lambda x: x * 0.5 * (1 + erf(x / 2**0.5)), {}),
    "gelu tanh": (
        lambda x: F.gelu(x, approximate="tanh"),
        lambda x: 0.5 * x * (1 + np.tanh((2 / np.pi) ** 0.5 * (x + 0.044715 * x**3))),
        {},
    ),
    "soft cap": (lambda x: F.soft_cap(x, 1.5), lambda x: 1.5 * np.tanh(x / 1.5), {}),
    "clip": (lambda x: F.clip(x, -1, 1.5), lambda x: np.clip(x, -1, 1.5), {}),
    "cube": (lambda x: x**3, lambda x: x**3, {}),
}


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_elementwise(name: str) -> None:
    ours, reference, bounds = ELEMENTWISE[name]
    check_op([(3, 17)], ours, reference, **bounds)


BINARY = {
    "add": (F.add, np.add),
    "sub": (F.sub, np.subtract),
    "mul": (F.mul, np.multiply),
    "div": (F.div, np.divide),
    "pow": (F.pow, np.power),
    "maximum": (F.maximum, np.maximum),
    "minimum": (F.minimum, np.minimum),
}


@pytest.mark.parametrize("name", BINARY)
@pytest.mark.parametrize(
    "shapes", [((3, 4), (3, 4)), ((3, 1, 4), (5, 1)), ((2, 3), ()), ((1,), (4,))]
)
def test_binary_broadcasts(name: str, shapes: tuple) -> None:
    ours, reference = BINARY[name]
    check_op(shapes, ours, reference, **SAFE)


REDUCTIONS = {
    "sum": (F.sum, np.sum),
    "mean": (F.mean, np.mean),
    "var": (F.var, np.var),
    "max": (F.max, np.max),
    "min": (F.min, np.min),
}


@pytest.mark.parametrize("name", REDUCTIONS)
@pytest.mark.parametrize("axis", [None, 0, -1, (0, 2)])
@pytest.mark.parametrize("keepdims", [False, True])
def test_reductions(name: str, axis, keepdims: bool) -> None:
    ours, reference = REDUCTIONS[name]
    options = {"axis": axis, "keepdims": keepdims}
    check_op([(2, 3, 4)], lambda x: ours(x, **options), lambda x: reference(x, **options))


def test_logsumexp_and_cumsum() -> None:
    check_op([(3, 5)], lambda x: F.logsumexp(x, axis=0), lambda x: logsumexp(x, axis=0))
    check_op([(3, 5)], lambda x: F.cumsum(x, axis=1), lambda x: np.cumsum(x, axis=1))


def test_where() -> None:
    condition = numbers((4, 5)) > 0
    check_op(
        [(4, 5), (5,)],
        lambda a, b: F.where(condition, a, b),
        lambda a, b: np.where(condition, a, b),
    )


SHAPES = {
    "reshape": (lambda x: F.reshape(x, 4, -1), lambda x: x.reshape(4, -1)),
    "permute": (lambda x: F.permute(x, 2, 0, 1), lambda x: x.transpose(2, 0, 1)),
    "transpose": (lambda x: F.transpose(x, 0, -1), lambda x: x.swapaxes(0, -1)),
    "expand_dims": (lambda x: F.expand_dims(x, (0, 2)), lambda x: np.expand_dims(x, (0, 2))),
    "broadcast": (
        lambda x: F.broadcast_to(x, (5, 2, 3, 4)),
        lambda x: np.broadcast_to(x, (5, 2, 3, 4)),
    ),
    "slice": (lambda x: x[1:, ::2, None], lambda x: x[1:, ::2, None]),
    "ellipsis": (lambda x: x[..., -1], lambda x: x[..., -1]),
    "ids": (lambda x: x[:, [0, 2, 2, 0]], lambda x: x[:, [0, 2, 2, 0]]),
    "mask": (lambda x: x[x.data > 0], lambda x: x[x > 0]),
    "pad": (
        lambda x: F.pad(x, ((0, 0), (1, 2), (0, 1))),
        lambda x: np.pad(x, ((0, 0), (1, 2), (0, 1))),
    ),
    "split": (lambda x: F.split(x, [1, 3])[1], lambda x: x[..., 1:]),
    "T": (lambda x: x.T, lambda x: x.T),
    "contiguous": (lambda x: F.contiguous(x.transpose(0, 1)), lambda x: x.swapaxes(0, 1)),
}


@pytest.mark.parametrize("name", SHAPES)
def test_shapes(name: str) -> None:
    check_op([(2, 3, 4)], *SHAPES[name])


def test_gather_and_scatter() -> None:
    ids = np.array([[0, 2, 2], [1, 1, 0]])
    check_op([(2, 4)], lambda x: F.gather(x, ids), lambda x: np.take_along_axis(x, ids, -1))

    def added(x: np.ndarray, values: np.ndarray) -> np.ndarray:
        out = x.copy()
        for i, j in np.ndindex(*ids.shape):
            out[i, ids[i, j]] += values[i, j]
        return out

    check_op([(2, 4), (2, 3)], lambda x, v: F.scatter_add(x, ids, v), added)


def test_rows_that_are_replaced() -> None:
    def replaced(x: np.ndarray, rows: np.ndarray) -> np.ndarray:
        return np.stack([rows[1], x[1], rows[0], x[3]])

    check_op([(4, 3), (2, 3)], lambda x, r: F.replace_rows(x, [2, 0], r), replaced)


def test_joining() -> None:
    check_op(
        [(2, 3), (2, 1)],
        lambda a, b: F.concatenate([a, b], 1),
        lambda a, b: np.concatenate([a, b], 1),
    )
    check_op([(2, 3), (2, 3)], lambda a, b: F.stack([a, b], 1), lambda a, b: np.stack([a, b], 1))
    with pytest.raises(InputError, match="differ"):
        F.concatenate([Tensor(np.ones((2, 3))), Tensor(np.ones((3, 2)))], 1)


@pytest.mark.parametrize(
    "shapes",
    [
        ((3, 4), (4, 5)),
        ((2, 3, 4), (4, 5)),
        ((2, 1, 3, 4), (5, 4, 2)),
        ((4,), (4,)),
        ((3, 4), (4,)),
        ((4,), (2, 4, 3)),
    ],
)
def test_matmul(shapes: tuple) -> None:
    check_op(shapes, F.matmul, np.matmul)


@pytest.mark.parametrize(
    ("pattern", "shapes"),
    [
        ("bthd,bshd->bhts", ((2, 3, 2, 4), (2, 5, 2, 4))),
        ("ij->j", ((3, 4),)),
        ("ij,jk,k->i", ((2, 3), (3, 4), (4,))),
        ("i,j->ij", ((3,), (2,))),
    ],
)
def test_einsum(pattern: str, shapes: tuple) -> None:
    check_op(shapes, lambda *a: F.einsum(pattern, *a), lambda *a: np.einsum(pattern, *a))


def test_einsum_refuses() -> None:
    x = Tensor(np.ones((2, 2), np.float32))
    for pattern in ("ii->i", "ij", "...i->i", "ij,jk->ik"):
        with pytest.raises(InputError, match="einsum"):
            F.einsum(pattern, x)


@pytest.mark.parametrize("lead", [(5,), (2, 3), ()])
def test_linear(lead: tuple) -> None:
    check_op([(*lead, 4), (3, 4), (3,)], F.linear, lambda x, w, b: x @ w.T + b)
    check_op([(*lead, 4), (3, 4)], F.linear, lambda x, w: x @ w.T)


def test_embedding() -> None:
    ids = np.array([[1, 4, 1], [0, 1, 4]])
    check_op([(6, 3)], lambda w: F.embedding(ids, w), lambda w: w[ids])
    table = Tensor(np.ones((6, 3), np.float32))
    for bad in ([[6]], [[-1]]):
        with pytest.raises(InputError, match="outside the vocabulary 0 .. 5"):
            F.embedding(np.array(bad), table)
    with pytest.raises(InputError, match="integers"):
        F.embedding(np.array([1.0]), table)


@pytest.mark.parametrize("axis", [-1, 0, 1])
def test_softmax(axis: int) -> None:
    check_op([(3, 5, 7)], lambda x: F.softmax(x, axis=axis), lambda x: softmax(x, axis))
    check_op([(3, 5, 7)], lambda x: F.log_softmax(x, axis=axis), lambda x: np.log(softmax(x, axis)))


def test_softmax_is_safe() -> None:
    for tier in ("reference", "cpu"):
        with minilm.kernels.use(tier):
            x = np.array([[1e4, -1e4, 0], [-np.inf, 0, 0], [-np.inf] * 3], np.float32)
            wanted = [[1, 0, 0], [0, 0.5, 0.5], [0, 0, 0]]
            assert np.allclose(F.softmax(x).data, wanted, rtol=0, atol=1e-37)
            assert np.isnan(F.softmax(np.array([[np.nan, 1, 2]], np.float32)).data).all()


@settings(max_examples=25, deadline=None)
@given(
    st.integers(1, 9),
    st.integers(2, 40),
    st.sampled_from([0.0, 0.1]),
    st.sampled_from([0.0, 1e-2]),
    st.integers(0, 99),
)
def test_cross_entropy(n: int, v: int, smoothing: float, z: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    targets = rng.integers(0, v, n)
    targets[rng.random(n) < 0.3] = -100
    targets[0] = 1

    def reference(x: np.ndarray) -> np.ndarray:
        total = 0.0
        for row, t in zip(x, targets, strict=True):
            if t >= 0:
                goal = np.full(v, smoothing / v)
                goal[t] += 1 - smoothing
                total += -(goal * np.log(softmax(row))).sum() + z * logsumexp(row) ** 2
        return np.asarray(total / (targets >= 0).sum())

    options = {"label_smoothing": smoothing, "z_loss": z}
    check_op([(n, v)], lambda x: F.cross_entropy(x, targets, **options), reference, seed=seed)
    check_op(
        [(n, 3), (v, 3)],
        lambda x, w: F.linear_cross_entropy(x, w, targets, **options),
        lambda x, w: reference(x @ w.T),
        seed=seed,
    )


def test_cross_entropy_by_the_row_and_summed() -> None:
    targets = np.array([[0, 2], [-1, 1]])
    logits = numbers((2, 2, 3))
    each = -np.log(softmax(logits))[np.arange(2)[:, None], np.arange(2), targets]
    each[1, 0] = 0
    options = {"ignore_index": -1}
    check_op(
        [(2, 2, 3)],
        lambda x: F.cross_entropy(x, targets, reduction="none", **options),
        lambda x: np.where(
            targets < 0, 0, -np.log(softmax(x))[np.arange(2)[:, None], np.arange(2), targets]
        ),
    )
    ours = F.cross_entropy(logits, targets, reduction="sum", **options)
    assert np.isclose(ours.item(), each.sum())


def test_linear_cross_entropy_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("minilm.functional.chunked_loss._CHUNK", 20)  # three rows at a time
    targets = np.array([0, 5, 3, -100, 1, 2, 4])
    kept = targets >= 0

    def reference(x: np.ndarray, w: np.ndarray) -> np.ndarray:
        logp = np.log(softmax(x @ w.T))
        return -logp[np.arange(7)[kept], targets[kept]].mean()

    check_op([(7, 4), (6, 4)], lambda x, w: F.linear_cross_entropy(x, w, targets), reference)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("weighted", [True, False])
def test_losses_of_tokens_with_weights_and_by_the_row(
    monkeypatch: pytest.MonkeyPatch, reduction: str, weighted: bool
) -> None:
    """In chunks of three rows; the slope of each row's loss is its own."""
    monkeypatch.setattr("minilm.functional.chunked_loss._CHUNK", 20)
    targets = np.array([[0, 5, 3, -100], [1, 2, -100, 4]])
    weights = np.array([[0.5, 2, 0, 9], [1, 0.25, 3, 4]]) if weighted else None
    kept = targets >= 0

    def losses(logits: np.ndarray) -> np.ndarray:
        picked = np.take_along_axis(
            np.log(softmax(logits)), np.where(kept, targets, 0)[..., None], -1
        )
        w = kept * (1.0 if weights is None else weights)
        each = -w * picked[..., 0]
        return {"mean": each.sum() / w.sum(), "sum": each.sum(), "none": each}[reduction]

    how = {"reduction": reduction, "weights": weights}
    check_op([(2, 4, 6)], lambda x: F.cross_entropy(x, targets, **how), losses)
    check_op(
        [(2, 4, 3), (6, 3)],
        lambda x, w: F.linear_cross_entropy(x, w, targets, **how),
        lambda x, w: losses(x @ w.T),
    )
    with minilm.use(log_softmax=lambda x, axis=-1: x - logsumexp(x, axis=axis, keepdims=True)):
        x, w = numbers((2, 4, 3)), numbers((6, 3), 1)
        parts = F.linear_cross_entropy(Tensor(x), Tensor(w), targets, **how)
    np.testing.assert_allclose(parts.data, losses(x @ w.T), rtol=1e-12)


def test_weights_of_losses() -> None:
    logits, targets = np.zeros((2, 3), np.float32), np.array([0, 2])
    for function in (
        F.cross_entropy,
        lambda *a, **k: F.linear_cross_entropy(logits, np.eye(3), *a[1:], **k),
    ):
        assert function(logits, targets, weights=np.zeros(2)).item() == 0
        down = function(logits, targets, weights=np.array([-1.0, 3.0]), reduction="sum")
        assert down.item() == pytest.approx(2 * np.log(3))
        with pytest.raises(InputError, match="in a mean they must be 0 or more"):
            function(logits, targets, weights=np.array([-1.0, 3.0]))
        with pytest.raises(InputError, match=r"weights has shape \(3,\); the targets have \(2,\)"):
            function(logits, targets, weights=np.ones(3))


def test_cross_entropy_refuses() -> None:
    logits = Tensor(np.zeros((2, 3), np.float32))
    for targets, message in (
        (np.array([0, 3]), "outside the vocabulary 0 .. 2"),
        (np.array([0]), r"shape \(1,\); the logits have \(2,\) rows"),
        (np.array([0.0, 1.0]), "integers"),
    ):
        with pytest.raises(InputError, match=message):
            F.cross_entropy(logits, targets)
    with pytest.raises(InputError, match="reduction"):
        F.cross_entropy(logits, np.array([0, 1]), reduction="average")


def test_dropout() -> None:
    x = Tensor(np.ones((200, 500), np.float32), requires_grad=True)
    y = F.dropout(x, 0.25, np.random.default_rng(0))
    dropped = (y.data == 0).mean()
    assert abs(dropped - 0.25) < 4 * (0.25 * 0.75 / x.numel()) ** 0.5
    assert np.allclose(y.data[y.data != 0], 1 / 0.75)
    y.sum().backward()
    assert np.array_equal(x.grad, y.data)
    again = F.dropout(x, 0.25, np.random.default_rng(0))
    assert np.array_equal(again.data, y.data)
    assert F.dropout(x, 0.25, np.random.default_rng(0), training=False).data is x.data
    gone = F.dropout(x, 1.0, np.random.default_rng(0))
    x.grad = None
    gone.sum().backward()
    assert not gone.data.any() and not x.grad.any()
    for p in (-0.1, 1.1, float("nan")):
        with pytest.raises(InputError, match="from 0 to 1"):
            F.dropout(x, p, np.random.default_rng(0))


def test_no_primitive_changes_dtype() -> None:
    """NumPy promotes float32 with a float64 scalar, or with int64, to float64; we never do."""
    x = Tensor(np.ones((2, 3), np.float32), requires_grad=True)
    for y in (
        x * np.float64(2),
        np.float64(2) * x,
        x / np.sqrt(3),
        x + np.arange(3),
        np.arange(3) - x,
        x ** np.int64(2),
        x * np.full(3, 2.0),
        np.full((2, 1), 2.0) - x,
        x @ np.ones((3, 2)),
        F.clip(x, np.float64(0), np.float64(2)),
        F.attention(*[F.reshape(x, 1, 1, 2, 3)] * 3, bias=np.zeros((2, 2))),
        F.where(np.ones(3, bool), x, 0.0),
        F.maximum(x, np.float64(0)),
        x.mean(),
        x.var(),
        x.sum(axis=0),
        F.astype(x, np.float32),
    ):
        assert y.dtype == np.float32, y
        y.backward(np.ones(y.shape, np.float32))
        assert x.grad.dtype == np.float32
    assert Tensor([1.0, 2.0]).dtype == np.float32
    assert Tensor(0.5).dtype == np.float32
