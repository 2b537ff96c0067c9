"""What all functions of `minilm.functional` keep to: dtypes, memory, gradients, shapes."""

import itertools

import numpy as np
import pytest
from checks import check_misfits, numbers
from primitives import CASES, WITHOUT

from minilm import InputError, Tensor
from minilm import functional as F

F32, F64 = np.float32, np.float64


def inputs_of(name: str, *dtypes: type) -> list[Tensor]:
    """Leaves for a case, in these dtypes; the last one serves for all that are left."""
    case, found = CASES[name], []
    for i, shape in enumerate(case.shapes):
        dtype = dtypes[min(i, len(dtypes) - 1)]
        values = numbers(shape, i, case.low, 2.0)
        floating = np.dtype(dtype).kind == "f"
        array = values.astype(dtype) if floating else np.ceil(values).astype(dtype)
        found.append(Tensor(array, requires_grad=floating))
    return found


def test_every_public_function_is_in_the_table() -> None:
    assert set(F.__all__) - WITHOUT <= set(CASES)


@pytest.mark.parametrize("name", CASES)
def test_float64_gives_way_to_a_smaller_float(name: str) -> None:
    """In every mixture of the two the result is float32, and each gradient has its own dtype."""
    count = len(CASES[name].shapes)
    for dtypes in itertools.product((F32, F64), repeat=count):
        inputs = inputs_of(name, *dtypes)
        out = CASES[name].call(*inputs)
        wanted = F32 if F32 in dtypes else F64
        if name.endswith("_") or name.startswith(("add_ ", "set_ ")):
            wanted = dtypes[0]  # a change in place changes no dtype
        assert out.dtype == wanted, dtypes
        out.backward(np.ones(out.shape, out.dtype))
        for x, dtype in zip(inputs, dtypes, strict=True):
            assert x.grad.dtype == dtype, dtypes


@pytest.mark.parametrize("name", CASES)
def test_integers_become_float32_where_floats_are_needed(name: str) -> None:
    case = CASES[name]
    if "_" in name and name.split(" ")[0].endswith("_"):
        return  # test_inplace: integers refuse what they can't hold
    whole = case.call(*inputs_of(name, np.int64)).dtype
    assert whole.kind in "iu" if case.keeps_integers else whole == F32
    if len(case.shapes) > 1:
        for beside in (F32, F64):
            assert case.call(*inputs_of(name, np.int64, beside)).dtype == beside
            if name != "pow":
                assert case.call(*inputs_of(name, beside, np.int64)).dtype == beside


@pytest.mark.parametrize("number", [2, 1.5, True, F32(1.5), F64(1.5), np.int64(2)])
def test_a_number_takes_the_dtype_of_the_array(number) -> None:
    for function in (F.add, F.sub, F.mul, F.div, F.pow, F.maximum, F.minimum):
        for dtype in (np.float16, F32, F64):
            x = Tensor(np.ones(3, dtype), requires_grad=True)
            for out in (function(x, number), function(number, x)):
                assert out.dtype == dtype
                out.sum().backward()
                assert x.grad.dtype == dtype
        whole = isinstance(number, (int, np.integer)) and function is not F.div
        kind = function(np.arange(1, 4), number).dtype
        assert kind == np.int64 if whole else kind == F32


@pytest.mark.parametrize("name", CASES)
def test_an_output_shares_memory_only_as_a_view(name: str) -> None:
    inputs = inputs_of(name, F32)
    out = CASES[name].call(*inputs)
    shares = any(np.shares_memory(out.data, x.data) for x in inputs)
    assert shares == (out._view is not None and out._view[0] in inputs_by_identity(inputs))


def inputs_by_identity(inputs: list[Tensor]) -> set[Tensor]:
    return set(inputs)  # a Tensor is hashed by what it is, not by its numbers


@pytest.mark.parametrize("name", CASES)
def test_every_gradient_is_the_leafs_own(name: str) -> None:
    inputs = inputs_of(name, F32)
    out = CASES[name].call(*inputs)
    g = np.ones(out.shape, F32)
    out.backward(g)
    arrays = [g, *(x.data for x in inputs)]
    for x in inputs:
        assert x.grad.flags.writeable and isinstance(x.grad, np.ndarray)
        assert not any(np.shares_memory(x.grad, other) for other in arrays)
        arrays.append(x.grad)
        x.grad += 1  # nothing else may notice
    assert (g == 1).all()


@pytest.mark.parametrize("name", CASES)
def test_shapes_next_to_the_right_ones(name: str) -> None:
    check_misfits(CASES[name].shapes, CASES[name].call)


IDS = np.array([[0, 2, 2], [1, 1, 0]])
X, W = np.ones((2, 4), F32), np.ones((3, 4), F32)
REFUSED = {
    "gather of too few axes": (lambda: F.gather(X, IDS[0]), "(3,)"),
    "gather of too many rows": (lambda: F.gather(X, np.tile(IDS, (2, 1))), "(4, 3)"),
    "gather outside": (lambda: F.gather(X, IDS + 3), "ids go from 3 to 5"),
    "gather by floats": (lambda: F.gather(X, IDS * 1.0), "ids are float64"),
    "gather along nothing": (lambda: F.gather(X, IDS, axis=2), "axis is 2"),
    "rows of one value": (lambda: F.replace_rows(X, [0], np.ones(1, F32)), "they must be (1, 4)"),
    "rows outside": (lambda: F.replace_rows(X, [2], np.ones((1, 4), F32)), "x has 2 rows"),
    "a row twice": (lambda: F.replace_rows(X, [1, 1], np.ones((2, 4), F32)), "a row twice"),
    "rows by floats": (lambda: F.replace_rows(X, [1.0], np.ones((1, 4), F32)), "ids are float64"),
    "scatter of one value": (lambda: F.scatter_add(X, IDS, np.ones(1, F32)), "ids have (2, 3)"),
    "scatter of a row": (lambda: F.scatter_add(X, IDS, np.ones((1, 3), F32)), "have shape (1, 3)"),
    "concatenate of one": (lambda: F.concatenate(Tensor(X)), "it takes a list"),
    "concatenate of an array": (lambda: F.concatenate(X), "it takes a list"),
    "concatenate of nothing": (lambda: F.concatenate([]), "at least one"),
    "stack of one": (lambda: F.stack(Tensor(X)), "it takes a list"),
    "einsum sizes": (lambda: F.einsum("ij,jk->ik", X, W), "does not fit the shapes"),
    "einsum that repeats": (lambda: F.einsum("ij,jk->ik", X[:, :1], W), "does not fit"),
    "einsum axes": (lambda: F.einsum("ijk->i", X), "does not fit the shapes (2, 4)"),
    "einsum of new letters": (lambda: F.einsum("ij->ik", X), "letters that no operand has"),
    "rope of a vector": (lambda: F.rope(X[0], X, X), "rope: cos is (2, 4)"),
    "rope of fewer heads": (lambda: F.rope(X, W[None, :2, :2], W[None, :2, :2]), "(1, 2, 2)"),
    "mean of nothing": (lambda: F.mean(X[:0]), "nothing along"),
    "max of nothing": (lambda: F.max(X[:0], axis=0), "nothing along axis 0"),
    "sum along nothing": (lambda: F.sum(X, axis=2), "axis is 2"),
    "sum twice along one": (lambda: F.sum(X, axis=(1, -1)), "named once"),
    "permute of fewer": (lambda: F.permute(X, 0), "has 2"),
    "squeeze of more": (lambda: F.squeeze(X, 0), "longer there"),
    "pad of one axis": (lambda: F.pad(X, ((1, 1),)), "takes 2 pairs"),
    "index outside": (lambda: Tensor(X)[5], "out of bounds"),
    "index of too many": (lambda: Tensor(X)[0, 0, 0], "too many indices"),
    "add": (lambda: F.add(X, W), "add of shapes (2, 4) and (3, 4)"),
    "where": (lambda: F.where(X > 0, W, 0.0), "do not broadcast"),
    "integers to negative powers": (lambda: F.pow(np.arange(3), -1), "negative integer powers"),
    "matmul leading": (lambda: F.matmul(np.ones((2, 3, 4)), np.ones((3, 4, 5))), "leading axes"),
    "rows of a number": (lambda: list(Tensor(1.0)), "no rows"),
    "truth of many": (lambda: bool(Tensor(X)), "neither true nor false"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_does_not_fit_gets_a_sentence(name: str) -> None:
    action, words = REFUSED[name]
    with pytest.raises(InputError) as caught:
        action()
    assert words in str(caught.value) and "\n" not in str(caught.value)
