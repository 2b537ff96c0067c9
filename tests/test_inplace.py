"""Changes in place: right through views and views of views, or refused before anything changed."""

from collections.abc import Callable

import numpy as np
import pytest
from checks import slope
from inplace_programs import Numpy, OnTape, OutOfPlace, draw, run

from minilm import InputError, Tensor, checkpoint, no_grad
from minilm import functional as F
from minilm.tensor import detect_changes


def leaf(*shape: int, seed: int = 0) -> Tensor:
    return Tensor(np.random.default_rng(seed).standard_normal(shape), requires_grad=True)


def test_a_change_through_a_view_reaches_the_root() -> None:
    x = leaf(2, 3)
    y = x * 2.0
    v = y[0]
    v *= 3.0
    y.sum().backward()
    assert np.array_equal(x.grad, [[6, 6, 6], [2, 2, 2]])


@pytest.mark.parametrize("key", [1, -2, (1,), (..., 1), np.int64(1)], ids=repr)
def test_a_single_element_is_a_view_too(key) -> None:
    """NumPy answers x[1] with a number, which knows nothing of x; PyTorch with a view."""
    x = leaf(3)
    y = x * 2.0
    v = y[key]
    v *= 3.0
    v += v
    (y * y).sum().backward()
    assert np.allclose(y.data, x.data * [2, 12, 2]) and v.shape == ()
    assert np.allclose(x.grad, 2 * x.data * np.square([2, 12, 2]))
    with pytest.raises(InputError, match="leaf"):
        w = x[key]
        w *= 5.0
    before = x.data.copy()
    with no_grad():
        w = x[key]
        w += 1.0
    assert (x.data - before).tolist() == [0, 1, 0]


def test_a_loop_changes_what_it_walks_over() -> None:
    x = leaf(3)
    y = x * 2.0
    for v in y:
        v *= 3.0
    y.sum().backward()
    assert x.grad.tolist() == [6, 6, 6]


def test_what_is_added_through_a_view_gets_its_gradient() -> None:
    x, w = leaf(2, 3), leaf(3, seed=1)
    y = x * 2.0
    v = y[0]
    v += w
    y.sum().backward()
    assert np.array_equal(x.grad, np.full((2, 3), 2.0))
    assert np.array_equal(w.grad, np.ones(3))


@pytest.mark.parametrize("tier", ["whole", "through a view"])
def test_a_value_may_be_changed_by_itself(tier: str) -> None:
    for change, wanted in (
        (lambda v, y: v.__iadd__(y), lambda x: np.full_like(x, 2)),
        (lambda v, y: v.__isub__(y), lambda x: np.zeros_like(x)),
        (lambda v, y: v.__imul__(y), lambda x: 2 * x),
        (lambda v, y: v.__itruediv__(y), lambda x: np.zeros_like(x)),
    ):
        x = leaf(2, 3)
        y = x * 1.0
        change(y if tier == "whole" else y.reshape(3, 2).reshape(2, 3), y)
        y.sum().backward()
        assert np.allclose(x.grad, wanted(x.data))


def test_overlapping_parts_are_read_before_they_are_written() -> None:
    x = leaf(5)
    y = x * 1.0
    y[1:] *= y[:-1]
    y.sum().backward()
    wanted = np.array([1, *x.data[:-1]])  # d/dx of x0 + x1 x0 + x2 x1 + ..
    wanted[:-1] += x.data[1:]
    assert np.allclose(x.grad, wanted)


def test_what_read_the_old_value_keeps_it() -> None:
    x = leaf(3)
    y = x * 2.0
    before = y + 1.0  # keeps nothing of y, so y may change
    y *= 5.0
    (before.sum() + y.sum()).backward()
    assert np.array_equal(x.grad, np.full(3, 2.0 + 10.0))


def test_a_view_taken_before_follows_the_root() -> None:
    x = leaf(4)
    y = x * 1.0
    first, turned = y[:2], y.reshape(2, 2).T
    y *= 3.0
    first += 1.0
    (turned * np.array([[1.0, 10], [100, 1000]])).sum().backward()
    assert np.array_equal(x.grad, [3, 300, 30, 3000])


def test_a_buffer_that_wanted_no_gradient_wants_one_once_it_holds_one() -> None:
    buffer, w = Tensor(np.zeros((2, 3))), leaf(3)
    row = buffer[1]
    assert not row.requires_grad
    buffer[:] = w * 2.0
    assert buffer.requires_grad and row.requires_grad and not buffer.is_leaf
    (row * row).sum().backward()
    assert np.allclose(w.grad, 8 * w.data)


def test_places_named_twice_keep_the_last_value() -> None:
    x, w = leaf(3), leaf(4, seed=1)
    y = x * 1.0
    y[np.array([0, 2, 0, 2])] = w
    assert np.array_equal(y.data, [w.data[2], x.data[1], w.data[3]])
    y.sum().backward()
    assert np.array_equal(w.grad, [0, 0, 1, 1])
    assert np.array_equal(x.grad, [0, 1, 0])


def test_a_value_with_axes_in_front_may_be_set() -> None:
    x, w = leaf(2, 3), leaf(1, 3, seed=1)
    y = x * 1.0
    y[0] = w
    y.sum().backward()
    assert np.array_equal(w.grad, np.ones((1, 3)))


LEAF = {
    "an operator": lambda x: x.__iadd__(1.0),
    "an item": lambda x: x.__setitem__(0, 5.0),
    "an item times": lambda x: x[0].__imul__(5.0),
    "a view": lambda x: x[0].__isub__(1.0),
    "a view of a view": lambda x: x.reshape(3, 2)[1:].T[1][::2].__itruediv__(3.0),
    "a mask": lambda x: x.__setitem__(x > 0, 0.0),
    "a split": lambda x: F.split(x, 1, axis=0)[0].__imul__(2.0),
    "no copy": lambda x: F.contiguous(x).__imul__(2.0),
    "no dropout": lambda x: F.dropout(x, 0.5, np.random.default_rng(0), False).__imul__(2.0),
    "einsum": lambda x: F.einsum("ij->ji", x).__imul__(2.0),
}
# What does not follow from leaves: (a tensor that is no leaf, what is done to it).
MISFITS = {
    "a value too long": lambda y: y.__iadd__(np.ones(4)),
    "a value too deep": lambda y: y.__imul__(np.ones((5, 2, 3))),
    "a part too long": lambda y: y.__setitem__(0, np.ones(4)),
    "a row that is not there": lambda y: y.__setitem__(2, 1.0),
    "a repeated view": lambda y: F.broadcast_to(y, (4, 2, 3)).__iadd__(1.0),
    "a row of a repeated view": lambda y: F.broadcast_to(y, (4, 2, 3))[0].__iadd__(1.0),
}


@pytest.mark.parametrize("name", LEAF)
def test_a_leaf_is_refused_before_it_changes(name: str) -> None:
    x = leaf(2, 3)
    before = x.data.copy()
    with pytest.raises(InputError, match="leaf that requires grad"):
        LEAF[name](x)
    assert np.array_equal(x.data, before)


@pytest.mark.parametrize("name", MISFITS)
def test_what_does_not_fit_is_refused_before_anything_changes(name: str) -> None:
    x = leaf(2, 3)
    y = x * 2.0
    before = y.data.copy()
    product = y * y
    with pytest.raises(InputError):
        MISFITS[name](y)
    assert np.array_equal(y.data, before)
    (product + y).sum().backward()  # nothing is stale
    assert np.allclose(x.grad, 8 * x.data + 2)


def test_integers_are_refused_what_they_cannot_hold() -> None:
    count = Tensor(np.arange(3))
    for action, message in (
        (lambda: count.__iadd__(1.5), "can't hold"),
        (lambda: count.__itruediv__(2), "can't hold"),
        (lambda: count.__setitem__(0, leaf(1)[0]), "only floats can have gradients"),
        (lambda: count.__iadd__(leaf(3)), "only floats can have gradients"),
    ):
        with pytest.raises(InputError, match=message):
            action()
    assert np.array_equal(count.data, [0, 1, 2])
    count += 1
    assert np.array_equal(count.data, [1, 2, 3])


def test_under_no_grad_a_leaf_may_change() -> None:
    x = leaf(2, 3)
    with no_grad():
        x *= 2.0
        x[0] = 7.0
        x.T[1] -= 1.0
    assert x.is_leaf and x.data[0, 0] == 7 and x.data[0, 1] == 6


def test_a_view_taken_under_no_grad_is_refused_outside() -> None:
    x = leaf(2, 3)
    y = x * 2.0
    with no_grad():
        v = y[0]
    before = y.data.copy()
    with pytest.raises(InputError, match="under no_grad"):
        v *= 3.0
    assert np.array_equal(y.data, before)
    assert not (v * 1.0).requires_grad  # as a constant it serves
    y *= 2.0
    with pytest.raises(InputError, match="under no_grad"):
        _ = v * 1.0


def test_detached_values_change_off_the_tape_and_are_watched() -> None:
    x = leaf(3)
    y = x * 2.0
    product = y * y
    off = y.detach()
    off *= 3.0
    assert not off.requires_grad and np.array_equal(y.data, off.data)
    with pytest.raises(InputError, match="'mul'"):
        product.sum().backward()
    y.sum().backward()
    assert np.array_equal(x.grad, np.full(3, 2.0))  # as in PyTorch: detach() ends the tape


@pytest.mark.parametrize(
    "use",
    [
        lambda y, w: y * w,
        lambda y, w: F.exp(y),
        lambda y, w: y.reshape(3, 2).T * w.T.reshape(2, 3),
        lambda y, w: F.softmax(y),
        lambda y, w: F.linear(y, w),
        lambda y, w: y[0] * w[0],
    ],
)
@pytest.mark.parametrize("through", [lambda t: t, lambda t: t[1], lambda t: t.T[0]])
def test_what_a_gradient_needs_may_not_change(use: Callable, through: Callable) -> None:
    """Any change of a root or of a view of it makes stale what was kept of any part."""
    y, w = leaf(2, 3) * 1.0, leaf(2, 3, seed=1)
    out = use(y, w)
    changed = through(out if out.made_by in ("exp", "softmax") else y)
    changed += 1.0
    with pytest.raises(InputError, match="changed in place after"):
        out.sum().backward()


def test_what_is_set_may_not_change_after_it_was_multiplied_with() -> None:
    y, w = leaf(3) * 1.0, leaf(3, seed=1) * 1.0
    y *= w
    w += 1.0
    with pytest.raises(InputError, match="'mul_'"):
        y.sum().backward()


def test_retained_gradients_follow_the_tensor_and_hooks_stay_with_the_value() -> None:
    x = leaf(3)
    y = x * 2.0
    y.retain_grad()
    seen = []
    y.register_hook(lambda g: seen.append(g.copy()))
    y *= 5.0
    y.sum().backward()
    assert np.array_equal(y.grad, np.ones(3))  # of what y is now
    assert np.array_equal(seen, [np.full(3, 5.0)])  # of what y was


def test_a_checkpoint_that_returns_a_view_gives_a_copy() -> None:
    x = leaf(2, 3)
    y = x * 1.0
    out = checkpoint(lambda t: t[0], y)
    out *= 3.0
    (out.sum() + y.sum()).backward()
    assert np.array_equal(x.grad, [[4, 4, 4], [1, 1, 1]])


def test_changes_are_found_with_checksums_too() -> None:
    x = leaf(3)
    with detect_changes():
        y = x * 1.0
        y *= 2.0
        y += y
    y.sum().backward()
    assert np.array_equal(x.grad, np.full(3, 4.0))


def test_a_changed_tensor_is_freed_by_reference_counts() -> None:
    import gc
    import weakref

    x = leaf(3)
    y = x * 1.0
    v = y[:2]
    v *= 2.0
    y += y
    watched = weakref.ref(y)
    gc.disable()
    try:
        del y, v
        assert watched() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("products", [False, True])
def test_random_programs_of_views_and_changes(products: bool) -> None:
    """Values as NumPy's and gradients as out of place, or a refusal."""
    refused = 0
    for seed in range(150):
        program, leaves, weights = draw(seed, products=products)
        tensors = [Tensor(v.copy(), requires_grad=True) for v in leaves]
        result = run(program, OnTape(), tensors, weights)
        exact = float(run(program, Numpy(), leaves, weights))
        assert np.isclose(result.item(), exact, rtol=1e-10), seed
        apart = [Tensor(v.copy(), requires_grad=True) for v in leaves]
        run(program, OutOfPlace(), apart, weights).backward()
        try:
            result.backward()
        except InputError as error:
            assert "changed in place after" in str(error), seed
            refused += 1
            continue
        for ours, other in zip(tensors, apart, strict=True):
            assert np.allclose(ours.grad, other.grad, rtol=1e-9, atol=1e-9), seed
    assert refused < (90 if products else 30)  # `a *= b` and a change of b after it, and the like


@pytest.mark.parametrize("seed", range(25))
def test_random_programs_against_finite_differences(seed: int) -> None:
    program, leaves, weights = draw(seed)
    tensors = [Tensor(v.copy(), requires_grad=True) for v in leaves]
    try:
        run(program, OnTape(), tensors, weights).backward()
    except InputError:
        return  # refused: no wrong number
    rng = np.random.default_rng(seed)
    for value, ours in zip(leaves, tensors, strict=True):
        way = rng.standard_normal(value.shape)
        measured = slope(lambda: float(run(program, Numpy(), leaves, weights)), value, way)
        assert np.isclose((ours.grad * way).sum(), measured, rtol=1e-5, atol=1e-6)
