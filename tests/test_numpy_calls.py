"""NumPy's functions and operators on Tensors: with gradients they refuse or stay on the tape."""

from collections.abc import Callable

import numpy as np
import pytest

from minilm import InputError, Tensor
from minilm import functional as F


def leaf(*shape: int) -> Tensor:
    return Tensor(np.arange(1.0, 1 + np.prod(shape)).reshape(shape), requires_grad=True)


CALLS = {
    "exp": (lambda t: np.exp(t), "use minilm.functional.exp"),
    "where": (lambda t: np.where(t.data > 1, t, 0.0), "use minilm.functional.where"),
    "maximum": (lambda t: np.maximum(t, 0), "use minilm.functional.maximum"),
    "concatenate": (lambda t: np.concatenate([t, t]), "use minilm.functional.concatenate"),
    "stack": (lambda t: np.stack((t, t)), "use minilm.functional.stack"),
    "abs": (lambda t: np.abs(t), "use minilm.functional.abs"),
    "sum": (lambda t: np.sum(t), "use minilm.functional.sum"),
    "norm": (lambda t: np.linalg.norm(t), "np.norm"),
    "clip": (lambda t: np.clip(t, 0, 1), "np.clip"),
    "reduce": (lambda t: np.add.reduce(t), "np.add.reduce"),
    "outer": (lambda t: np.multiply.outer(t, t), "np.multiply.outer"),
    "einsum": (lambda t: np.einsum("i->", t), "use minilm.functional.einsum"),
    "out": (lambda t: np.add(t, 1, out=np.zeros(2)), "np.add"),
    "in place": (lambda t: np.ones(2).__iadd__(t), "np.add"),
    "asarray": (lambda t: np.asarray(t), "call detach() first"),
    "array": (lambda t: np.array([t, t]), "call detach() first"),
    "assignment": (lambda t: np.zeros(2).__setitem__(slice(None), t), "call detach() first"),
    "numpy()": (lambda t: t.numpy(), "call detach() first"),
}


@pytest.mark.parametrize("name", CALLS)
def test_functions_of_numpy_refuse_what_wants_gradients(name: str) -> None:
    call, words = CALLS[name]
    for tensor in (leaf(2), leaf(2) * 2.0, (leaf(4) * 2.0)[:2]):
        with pytest.raises(InputError) as caught:
            call(tensor)
        assert words in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("name", CALLS)
def test_without_gradients_they_work(name: str) -> None:
    CALLS[name][0](leaf(2).detach())


def test_a_view_that_has_come_to_want_gradients_refuses_too() -> None:
    buffer = Tensor(np.zeros((2, 2)))
    row = buffer[0]
    assert np.array_equal(np.exp(row), [1, 1])
    buffer += leaf(2)
    with pytest.raises(InputError, match=r"np\.exp"):
        np.exp(row)


def test_looking_at_a_shape_is_no_leaving() -> None:
    t = leaf(2, 3)
    assert np.shape(t) == (2, 3) and np.ndim(t) == 2 and np.size(t) == 6


OPERATORS: dict[str, Callable] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
    "**": lambda a, b: a**b,
    "@": lambda a, b: a @ b,
}


@pytest.mark.parametrize("name", OPERATORS)
def test_an_array_on_the_left_asks_the_tensor(name: str) -> None:
    array, t = np.array([3.0, 2.0]), leaf(2)
    y = OPERATORS[name](array, t)
    assert isinstance(y, Tensor) and y.requires_grad
    assert np.allclose(y.data, OPERATORS[name](array, t.data))
    y.sum().backward()
    other = Tensor(array)
    right = leaf(2)
    OPERATORS[name](other, right).sum().backward()
    assert np.allclose(t.grad, right.grad)
    assert isinstance(OPERATORS[name](np.float64(2.0) if name != "@" else array, t), Tensor)


COMPARISONS: dict[str, Callable] = {
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


@pytest.mark.parametrize("name", COMPARISONS)
def test_comparisons_are_of_elements(name: str) -> None:
    compare = COMPARISONS[name]
    a, b = np.array([1.0, 2.0, 3.0]), np.array([3.0, 2.0, 1.0])
    for left in (a, Tensor(a), Tensor(a, requires_grad=True)):
        for right in (b, Tensor(b), Tensor(b, requires_grad=True), 2.0, [3.0, 2.0, 1.0]):
            if isinstance(left, np.ndarray) and not isinstance(right, Tensor):
                continue
            found = compare(left, right)
            wanted = compare(a, getattr(right, "data", right))
            assert type(found) is np.ndarray and found.dtype == bool
            assert np.array_equal(found, wanted)
    with pytest.raises(InputError, match="do not broadcast"):
        compare(Tensor(a), np.ones(2))


def test_tensors_are_hashed_by_what_they_are() -> None:
    a, b = leaf(2), leaf(2)
    assert {a: 1, b: 2}[a] == 1 and len({a, b, a}) == 2
    assert (a == None) is False and (a != None) is True  # noqa: E711
    assert (a == "a") is False


def test_a_loop_over_a_tensor_stays_on_the_tape() -> None:
    t = leaf(3, 2)
    total = sum(row.sum() * float(i) for i, row in enumerate(t))
    total.backward()
    assert np.array_equal(t.grad, [[0, 0], [1, 1], [2, 2]])
    assert [F.index(t, i).shape for i in range(3)] == [(2,)] * 3
