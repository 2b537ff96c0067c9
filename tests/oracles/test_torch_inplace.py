"""Changes in place, views and numbers at their limits against PyTorch."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from inplace_programs import Numpy, OnTape, draw, run

from minilm import InputError
from minilm import functional as F
from minilm.tensor import Tensor, no_grad

pytestmark = pytest.mark.oracle


class Torch(Numpy):
    """A program on torch tensors, whose views and operators are called as NumPy's."""

    def change(self, kind: str, target: Any, value: Any, key: Any) -> None:
        import torch

        key = torch.from_numpy(key) if isinstance(key, np.ndarray) else key
        super().change(kind, target, value, key)

    def end(self, values: list[Any], weights: list[np.ndarray]) -> Any:
        import torch

        return super().end(values, [torch.from_numpy(w) for w in weights])


def _leaf(array: np.ndarray) -> Any:
    import torch

    return torch.from_numpy(array.copy()).requires_grad_()


@pytest.mark.parametrize("products", [False, True])
def test_random_programs(products: bool) -> None:
    """Where both give gradients they are the same; where PyTorch does, we nearly always do."""
    both = only_torch = 0
    for seed in range(200):
        program, leaves, weights = draw(seed, products=products, copies=False)
        theirs = [_leaf(value) for value in leaves]
        ours = [Tensor(value.copy(), requires_grad=True) for value in leaves]
        result = run(program, OnTape(), ours, weights)
        try:
            expected = run(program, Torch(), theirs, weights)
            expected.backward()
        except RuntimeError as error:
            # It keeps what it multiplies, and refuses to read what it writes; we copy either.
            reasons = "modified by an inplace operation", "refer to a single memory location"
            assert any(reason in str(error) for reason in reasons), (seed, error)
            continue
        assert np.isclose(result.item(), expected.item(), rtol=1e-10), seed
        try:
            result.backward()
        except InputError:
            only_torch += 1
            continue
        both += 1
        for mine, other in zip(ours, theirs, strict=True):
            wanted = np.zeros(mine.shape) if other.grad is None else other.grad.numpy()
            np.testing.assert_allclose(mine.grad, wanted, rtol=1e-9, atol=1e-9, err_msg=str(seed))
    assert both > 5 * only_torch


def _view_of_a_leaf(x: Any) -> None:
    v = x[0]
    v *= 3.0


def _leaf_itself(x: Any) -> None:
    x += 1.0


def _item_of_a_leaf(x: Any) -> None:
    x[0] *= 5.0


def _set_item_of_a_leaf(x: Any) -> None:
    x[0] = 5.0


def _repeated(x: Any) -> None:
    y = (x * 1.0)[:, :1]
    wide = F.broadcast_to(y, (2, 3)) if isinstance(y, Tensor) else y.expand(2, 3)
    wide += 1.0


def _too_long(x: Any) -> None:
    y = x * 1.0
    y += y[0, :2]


REFUSED: dict[str, Callable] = {
    "a view of a leaf": _view_of_a_leaf,
    "a leaf": _leaf_itself,
    "an item of a leaf": _item_of_a_leaf,
    "an item that is set": _set_item_of_a_leaf,
    "a repeated view": _repeated,
    "a value too long": _too_long,
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_pytorch_refuses_before_it_changes_anything(name: str) -> None:
    values = np.arange(6.0).reshape(2, 3)
    theirs, ours = _leaf(values), Tensor(values.copy(), requires_grad=True)
    with pytest.raises(RuntimeError):
        REFUSED[name](theirs)
    with pytest.raises(InputError):
        REFUSED[name](ours)
    assert np.array_equal(ours.data, theirs.detach().numpy())


def test_a_view_taken_under_no_grad() -> None:
    import torch

    values = np.arange(6.0).reshape(2, 3)
    theirs, ours = _leaf(values) * 1.0, Tensor(values, requires_grad=True) * 1.0
    with torch.no_grad():
        v = theirs[0]
    with pytest.raises(RuntimeError, match="no_grad"):
        v *= 2.0
    with no_grad():
        w = ours[0]
    with pytest.raises(InputError, match="no_grad"):
        w *= 2.0


def test_hooks_and_retained_gradients_around_a_change() -> None:
    values = np.arange(3.0)
    found = []
    for x in (_leaf(values), Tensor(values, requires_grad=True)):
        y = x * 2.0
        y.retain_grad()
        seen: list[Any] = []
        y.register_hook(lambda g, seen=seen: seen.append(np.array(g)))
        y *= 5.0
        y.sum().backward()
        found.append((np.array(y.grad), *seen, np.array(x.grad)))
    for a, b in zip(*found, strict=True):
        assert np.array_equal(a, b)


@pytest.mark.parametrize("offset", [0.0, 1e4, 1e8])
def test_losses_of_large_logits(offset: float) -> None:
    import torch

    x = (np.random.default_rng(0).standard_normal((4, 50)) + offset).astype(np.float32)
    targets = np.array([3, 0, 49, 7])
    theirs, ours = _leaf(x), Tensor(x, requires_grad=True)
    expected = torch.nn.functional.cross_entropy(theirs, torch.from_numpy(targets))
    expected.backward()
    loss = F.cross_entropy(ours, targets)
    loss.backward()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-6)
    np.testing.assert_allclose(ours.grad, theirs.grad.numpy(), atol=1e-6)


LIMITS: dict[str, tuple[Callable, Callable, list[float]]] = {
    "x ** 0": (lambda x: x**0, lambda x: x**0, [0.0, 2.0]),
    "x ** 2": (lambda x: x**2, lambda x: x**2, [0.0, -2.0]),
    "sigmoid": (F.sigmoid, lambda x: x.sigmoid(), [-80.0, -17.0, 0.0, 17.0]),
    "softplus": (
        F.softplus,
        lambda x: __import__("torch").nn.functional.softplus(x, threshold=1e9),
        [-30.0, -17.0, 0.0, 17.0],
    ),
    "relu": (F.relu, lambda x: x.relu(), [-1.0, 0.0, 1.0]),
    "abs": (F.abs, lambda x: x.abs(), [-1.0, 0.0, 1.0]),
    "logsumexp": (F.logsumexp, lambda x: x.logsumexp(-1), [-np.inf, 3.0, 1e4]),
}


@pytest.mark.parametrize("name", LIMITS)
def test_values_and_slopes_at_limits(name: str) -> None:
    mine, other, values = LIMITS[name]
    x = np.array(values, np.float32)
    # float64 for PyTorch: its float32 slope y (1 - y) is 0 where y rounds to 1
    theirs, ours = _leaf(x.astype(np.float64)), Tensor(x, requires_grad=True)
    expected, y = other(theirs), mine(ours)
    np.testing.assert_allclose(y.data, expected.detach().numpy(), rtol=2e-6)
    expected.sum().backward()
    y.sum().backward()
    np.testing.assert_allclose(ours.grad, theirs.grad.numpy(), rtol=2e-6)


def test_gather_and_scatter_along_shorter_ids() -> None:
    import torch

    x = np.arange(12.0).reshape(3, 4)
    ids = np.array([[0, 2, 2], [1, 1, 0]])
    theirs, ours = _leaf(x), Tensor(x, requires_grad=True)
    picked = theirs.gather(1, torch.from_numpy(ids))
    np.testing.assert_array_equal(F.gather(ours, ids).data, picked.detach().numpy())
    values = np.ones((2, 3))
    added = theirs.scatter_add(1, torch.from_numpy(ids), torch.from_numpy(values))
    np.testing.assert_array_equal(F.scatter_add(ours, ids, values).data, added.detach().numpy())
