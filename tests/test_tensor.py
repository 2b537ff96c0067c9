"""The tape: what is recorded, what is freed, what is refused."""

import gc
import weakref

import numpy as np
import pytest

import minilm
from minilm import InputError, Tensor, checkpoint, no_grad, primitive, tensor
from minilm import functional as F
from minilm.functional import indexing
from minilm.tensor import detect_changes


def leaf(*shape: int, seed: int = 0) -> Tensor:
    return Tensor(np.random.default_rng(seed).standard_normal(shape), requires_grad=True)


@primitive
def wrong_shape(x):
    return x + 0, lambda g: (g[:2],)


def test_a_tensor_used_twice_gets_both_gradients() -> None:
    x = leaf(3)
    (x * x + x).sum().backward()
    assert np.allclose(x.grad, 2 * x.data + 1)


def test_gradients_accumulate_over_backwards() -> None:
    x = leaf(3)
    (x * 2.0).sum().backward()
    (x * 3.0).sum().backward()
    assert np.allclose(x.grad, 5)


def test_accumulation_does_not_write_into_shared_arrays() -> None:
    x, y = leaf(3), leaf(3, seed=1)
    (x + y).backward(np.ones(3))
    (x * 2.0).sum().backward()
    assert np.array_equal(y.grad, np.ones(3))


def test_a_chain_of_many_thousand_steps() -> None:
    x = leaf(1)
    y = x
    for _ in range(20_000):
        y = y + 1.0
    y.sum().backward()
    assert x.grad == 1


def test_graph_is_freed_after_backward() -> None:
    x = leaf(3)
    middle = x * 2.0
    watched = weakref.ref(middle)
    loss = (middle * middle).sum()
    loss.backward()
    del middle
    gc.disable()
    try:
        assert watched() is None  # by reference counts alone
    finally:
        gc.enable()
    with pytest.raises(InputError, match="a second time"):
        loss.backward()


def test_backward_through_a_part_already_walked_is_refused() -> None:
    x = leaf(3)
    middle = x * 2.0
    first, second = middle.sum(), (middle * 3.0).sum()
    first.backward()
    with pytest.raises(InputError, match="'mul'"):
        second.backward()


def test_no_grad_and_detach() -> None:
    x = leaf(3)
    with no_grad():
        assert not (x * 2.0).requires_grad
        assert not minilm.is_grad_enabled()
    assert minilm.is_grad_enabled()

    @no_grad()
    def double(t: Tensor) -> Tensor:
        return t * 2.0

    assert not double(x).requires_grad
    y = (x * x).detach()
    assert not y.requires_grad
    (y * x).sum().backward()
    assert np.allclose(x.grad, x.data**2)


def test_no_grad_ends_when_the_block_fails() -> None:
    with pytest.raises(ZeroDivisionError), no_grad():
        _ = 1 / 0
    assert minilm.is_grad_enabled()


def test_hooks() -> None:
    x = leaf(3)
    y = x * 2.0
    seen = []
    y.register_hook(lambda g: seen.append(g.copy()))
    remove = x.register_hook(lambda g: g * 10)
    (y * 1.0 + y).sum().backward()
    assert np.array_equal(seen, [np.full(3, 2.0)])  # once, when complete
    assert np.allclose(x.grad, 40)
    remove()
    x.grad = None
    (x * 2.0).sum().backward()
    assert np.allclose(x.grad, 2)


def test_retain_grad() -> None:
    x = leaf(3)
    y = x * 2.0
    y.retain_grad()
    (y * y).sum().backward()
    assert np.allclose(y.grad, 2 * y.data)


def test_checkpoint_gives_the_same_gradients_and_recomputes() -> None:
    x, w = leaf(4, 3), leaf(5, 3, seed=1)
    calls = []

    def block(t: Tensor) -> Tensor:
        calls.append(1)
        return F.tanh(F.linear(t, w))  # w is reached from outside

    (block(x) ** 2.0).sum().backward()
    wanted = x.grad, w.grad
    x.grad = w.grad = None
    calls.clear()
    out = checkpoint(block, x)
    assert len(calls) == 1
    (out**2.0).sum().backward()
    assert len(calls) == 2
    assert np.allclose(x.grad, wanted[0])
    assert np.allclose(w.grad, wanted[1])


def test_checkpoints_nest_and_sum_into_a_dict() -> None:
    x, w = leaf(4, 3), leaf(3, 3, seed=1)

    def inner(t: Tensor) -> Tensor:
        return F.tanh(F.linear(t, w))

    def outer(t: Tensor) -> Tensor:
        return checkpoint(inner, checkpoint(inner, t))

    inner(inner(x)).sum().backward()
    wanted = x.grad, w.grad
    x.grad = w.grad = None
    sums: dict = {}
    checkpoint(outer, x).sum().backward(into=sums)
    assert x.grad is None
    assert w.grad is None
    assert np.allclose(sums[x], wanted[0])
    assert np.allclose(sums[w], wanted[1])


def test_changing_what_a_pullback_needs_is_refused() -> None:
    x, w = leaf(3), leaf(3, seed=1)
    product = x * w
    with no_grad():
        w += 1.0
    with pytest.raises(InputError, match="'mul'"):
        product.sum().backward()


def test_changing_an_output_that_its_pullback_keeps_is_refused() -> None:
    y = F.softmax(leaf(3))
    with no_grad():
        y *= 2.0
    with pytest.raises(InputError, match="'softmax'"):
        y.sum().backward()


def test_changing_through_a_view_is_found_out() -> None:
    x, w = leaf(4), leaf(4, seed=1)
    product = x * w
    part = w.detach()[:2]
    part[0] = 5.0
    with pytest.raises(InputError, match="'mul'"):
        product.sum().backward()


def test_changing_what_no_pullback_needs_is_fine() -> None:
    x, w = leaf(3), leaf(3, seed=1)
    total = x + w
    with no_grad():
        w += 1.0
    total.sum().backward()
    assert np.array_equal(x.grad, np.ones(3))


def test_changes_behind_the_tapes_back_are_found_when_asked_for() -> None:
    x, w = leaf(3), leaf(3, seed=1)
    with detect_changes():
        product = x * w
    w.data[0] = 9.0
    with pytest.raises(InputError, match="'mul'"):
        product.sum().backward()


def test_in_place_operators_are_differentiated() -> None:
    x, w = leaf(4), leaf(4, seed=1)
    y = x * 1.0
    y += w
    y *= w
    y[1:3] = w[:2] * 2.0
    y.sum().backward()
    dx = w.data.copy()
    dx[1:3] = 0
    dw = x.data + 2 * w.data
    dw[1:3] = 0
    dw[:2] += 2
    assert np.allclose(x.grad, dx)
    assert np.allclose(w.grad, dw)


def test_a_gradient_is_the_leafs_own() -> None:
    x, y, c = leaf(3), leaf(3, seed=1), Tensor(np.ones(3))
    ((x + y) * c).sum().backward()
    x.grad *= 0
    assert np.array_equal(y.grad, np.ones(3))
    x.grad = None
    x.sum().backward()  # a sum's gradient is one number, seen three times
    x.grad[0] = 5
    assert np.array_equal(x.grad, [5, 1, 1])


def test_the_gradient_that_backward_is_given_does_not_change() -> None:
    x, g = leaf(3), np.ones(3)
    for make in (lambda: x + 0.0, lambda: x.reshape(3, 1).reshape(3), lambda: x):
        x.grad = None
        make().backward(g)
        x.grad += 1
        x.sum().backward()
        assert np.array_equal(g, np.ones(3))
    y = x * 1.0
    y.retain_grad()
    y.backward(g)
    y.grad += 1
    assert np.array_equal(g, np.ones(3))


def test_gradients_into_a_dict_are_the_leafs_own() -> None:
    x, y, into = leaf(3), leaf(3, seed=1), {}
    (x + y).backward(np.ones(3), into=into)
    into[x] += 1
    assert np.array_equal(into[y], np.ones(3))


def test_a_fresh_gradient_is_not_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    """The training step pays for no copy of what nobody else can see."""
    made = []

    @primitive
    def keep(x):
        def pullback(g):
            made.append(weakref.ref(new := g * 2))
            return (new,)

        return x + 0, pullback

    x = leaf(3)
    keep(x).sum().backward()
    assert made[0]() is x.grad


def test_a_gradient_that_somebody_else_holds_is_copied() -> None:
    kept = []

    @primitive
    def hold(x):
        return x + 0, lambda g: (kept.append(g * 2) or kept[0],)

    x = leaf(3)
    hold(x).sum().backward()
    assert x.grad is not kept[0] and np.array_equal(x.grad, kept[0])
    seen = []
    x.grad = None
    x.register_hook(seen.append)
    (x * x).sum().backward()
    x.grad *= 0
    assert seen[0].any()


def test_a_tensor_read_before_a_change_keeps_its_node() -> None:
    x = leaf(3)
    y = x * 2.0
    read = y + 1.0
    y *= 5.0
    read.sum().backward()
    assert np.array_equal(x.grad, np.full(3, 2.0))


def test_a_primitive_may_say_that_its_value_has_no_gradient() -> None:
    @primitive
    def largest(x):
        return x.argmax(keepdims=True), None

    assert not largest(leaf(3)).requires_grad
    assert not F.astype(leaf(3), np.int64).requires_grad


def test_a_primitive_that_returns_its_input_or_a_part_of_it_is_a_view() -> None:
    @primitive
    def same(x):
        return x, lambda g: (g,)

    @primitive
    def half(x):
        n = len(x)
        return x[: n // 2], lambda g: (np.concatenate([g, np.zeros(n - len(g))]),)

    for view in (same, half):
        x = leaf(4)
        y = x * 1.0
        v = view(y)
        v *= 3.0
        y.sum().backward()
        assert np.array_equal(x.grad[:2], [3, 3])


def test_the_gradients_of_slices_are_written_into_one_array(monkeypatch) -> None:
    """Six pieces of an array, one used twice, a row of one, and the array itself beside them."""
    made = []
    like = indexing.like_of

    def counted(x):
        zeros = like(x)
        return lambda: made.append(1) or zeros()

    monkeypatch.setattr(indexing, "like_of", counted)
    x = Tensor(np.arange(24.0).reshape(2, 12), requires_grad=True)
    pieces = F.split(x, 2)
    total = sum((i + 1.0) * piece.sum() for i, piece in enumerate(pieces))
    total = total + (pieces[2] * pieces[2]).sum() + pieces[5][0].sum() + 0.5 * x.sum()
    total.backward()
    wanted = np.repeat(np.arange(1.5, 7), 2)[None].repeat(2, 0)
    wanted[:, 4:6] += 2 * x.data[:, 4:6]
    wanted[0, 10:] += 1
    np.testing.assert_allclose(x.grad, wanted)
    assert len(made) <= 2  # of x, and of the piece that was cut again


def test_pieces_meet_a_gradient_that_something_else_holds() -> None:
    """add hands the same array to both its inputs; what is written for one is not the other's."""
    x, y = (Tensor(np.ones(4), requires_grad=True) for _ in range(2))
    both = x + y
    (both.sum() + 3 * x[:2].sum() + x[1:].sum()).backward()
    assert x.grad.tolist() == [4, 5, 2, 2] and y.grad.tolist() == [1, 1, 1, 1]


def test_a_primitive_is_a_value_and_its_pullback() -> None:
    @primitive
    def cube(x):
        return x**3, lambda g: (3 * x * x * g,)

    x = leaf(3)
    cube(x).sum().backward()
    assert np.allclose(x.grad, 3 * x.data**2)
    assert np.allclose(cube(np.arange(3.0)).data, [0, 1, 8])


def test_lazy_gradients_are_computed_only_where_wanted() -> None:
    asked = []

    @primitive
    def product(a, b):
        return a * b, lambda g: (
            lambda: asked.append("a") or g * b,
            lambda: asked.append("b") or g * a,
        )

    frozen = Tensor(np.ones(3))
    product(leaf(3), frozen).sum().backward()
    assert asked == ["a"]


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (lambda: Tensor(np.ones(3)).backward(), "requires_grad"),
        (lambda: (leaf(3) * 2.0).backward(), "needs grad"),
        (lambda: (leaf(3) * 2.0).backward(np.ones(4)), "shape"),
        (lambda: Tensor(np.arange(3), requires_grad=True), "floating-point"),
        (lambda: leaf(3).numpy(), "detach"),
        (lambda: leaf(3).sum().backward(create_graph=True), "gradient of a gradient"),
        (lambda: leaf(3).sum().backward(retain_graph=True), "frees the graph"),
        (lambda: (leaf(3) * 2.0).backward(leaf(3)), "gradient of a gradient"),
        (lambda: setattr(leaf(3) * 2.0, "requires_grad", False), "use detach"),
        (lambda: Tensor(np.ones(3)).register_hook(print), "requires grad"),
        (lambda: wrong_shape(leaf(3)).sum().backward(), r"shape \(2,\) to a tensor"),
        (lambda: leaf(2, 3).reshape(4, 2), "sizes do not match"),
        (lambda: leaf(2, 3) @ leaf(2, 3), "inner sizes differ"),
    ],
)
def test_mistakes_get_a_sentence(action, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        action()
    assert "\n" not in str(caught.value)


def test_tensor_copies_and_keeps_dtype() -> None:
    source = np.ones(3)
    copy = tensor(source)
    source[0] = 5
    assert copy.data[0] == 1
    assert copy.dtype == np.float64
    assert tensor([1.5]).dtype == np.float32
    assert tensor([1]).dtype.kind == "i"


def test_ndarray_on_the_left_asks_the_tensor() -> None:
    x = leaf(3)
    y = np.ones(3) * x
    assert isinstance(y, Tensor)
    assert isinstance(np.ones((2, 3)) @ x, Tensor)
