"""What an answer owes besides being right, watched in every call that its other tests make.

    leaves_arguments(softmax)               # x -= x.max(...) changes the caller's array
    keeps_dtype(softmax)                    # float32 in, float32 out; float64 for float64
    answers_twice(gelu)                     # a pullback that is right only once is wrong

Each adds one test to a question, to be called after its other tests. That test runs them all once
more, with all their cases, and looks at each call: of the student's functions, and of the functions
that those return. Some of them must pass, by default the first, so that an answer that does nothing
earns nothing; what the others find is theirs to say.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from minilm.course.checking.expect import Wrong
from minilm.course.checking.questions import Question, Test, in_words
from minilm.course.checking.student import Channel, Held, Student, StudentError
from minilm.sandbox.session import SessionError

FLOATS = (np.dtype(np.float32), np.dtype(np.float64))
FRESH = 16  # calls that must agree until an answer counts as one that does not change by itself
SAME = {"rtol": 1e-4, "atol": 1e-6}  # two runs of one product may differ in their last digits


class ProbeError(Wrong):
    """What a probe found."""


class Call(NamedTuple):
    """One call of a student's function: `of` is its name, or the number of one that it returned."""

    of: str | int
    args: Sequence[Any]
    named: dict[str, Any]
    value: Any
    after: Sequence[Any]


Look = Callable[[Channel, Call], None]


def leaves_arguments(
    question: Question, *, points: float = 1, changes: Sequence[int] = (), **which: Sequence[str]
) -> None:
    """Add the test that no argument is changed.

    Args:
        points: what it is worth.
        changes: places of the arguments, from 0, that the question says to change.
        which: `again` and `needs`, see `_add`.
    """

    def check_call(channel: Channel, call: Call) -> None:
        for place, (before, after) in enumerate(zip(call.args, call.after)):
            may = isinstance(call.of, str) and place in changes
            if not may and not _equal(before, after):
                raise ProbeError("value", f"your function changed its argument {place + 1}")
        if not changes:
            _refuse_another_answer(channel, call)

    title = "leaves its other arguments alone" if changes else "does not change its arguments"
    hint = "x = x - ... makes a new array; x -= ..., x[...] = ... and x.sort() change the caller's."
    _add(question, "leaves_arguments", title, hint, points, check_call, **which)


def _refuse_another_answer(channel: Channel, call: Call) -> None:
    """Call once more with the very lists of this call, which lie with the student.

    What they hold now, only the student's side can say. A function that has changed them gives
    another answer for them, but not for fresh ones.
    """
    every = [*call.args, *call.named.values()]
    if not isinstance(call.of, str) or not any(_holds(one, (list, dict, set)) for one in every):
        return
    if any(_holds(one, Callable) or _holds(one, Held) for one in [*every, call.value]):
        return  # it may count its calls
    try:
        again: Any = channel.again()
    except StudentError as error:
        again = error
    if _equal(call.value, again, **SAME):
        return
    for _ in range(FRESH):  # one that draws its answer may give the same twice
        try:
            fresh = channel.ask("call", call.of, args=call.args, named=call.named)
        except StudentError:
            return
        if not _equal(call.value, fresh, **SAME):
            return
    raise ProbeError(
        "value", "your function changed what it was given: the second answer for it is another"
    )


def keeps_dtype(question: Question, *, points: float = 1, **which: Sequence[str]) -> None:
    """Add the test that arrays of float32 give float32, and those of float64 give float64.

    Args:
        points: what it is worth.
        which: `again` and `needs`, see `_add`.
    """

    def check_call(channel: Channel, call: Call) -> None:
        given = {leaf.dtype for leaf in _leaves((call.args, call.named)) if leaf.dtype in FLOATS}
        if len(given) != 1:
            return
        (dtype,) = given
        _check_dtype_of(dtype, call.value)
        if not isinstance(call.of, str):  # what a function returned keeps the dtype it was made in
            return
        other = FLOATS[dtype == FLOATS[0]]
        args, named = _cast(list(call.args), other), _cast(dict(call.named), other)
        try:
            value = channel.ask("call", call.of, args=args, named=named)
        except StudentError as error:
            raise ProbeError("error", f"with {other} arguments, {in_words(error)}") from None
        _check_dtype_of(other, value)

    hint = "np.zeros, np.ones and numbers of NumPy such as np.sqrt(2) are float64: use x.dtype."
    title = "float32 in, float32 out, and float64 for float64"
    _add(question, "keeps_dtype", title, hint, points, check_call, **which)


def answers_twice(question: Question, *, points: float = 1, **which: Sequence[str]) -> None:
    """Add the test that the same call gives the same answer once more, a pullback's too.

    Args:
        points: what it is worth.
        which: `again` and `needs`, see `_add`.
    """

    def check_call(channel: Channel, call: Call) -> None:
        try:
            again = channel.ask("call", call.of, args=call.args, named=call.named)
        except StudentError as error:
            raise ProbeError("error", f"when asked twice, {in_words(error)}") from None
        if not _equal(call.value, again, **SAME):
            raise ProbeError("value", "asked twice, it gives another answer the second time")

    hint = "A function that changes or uses up what it keeps is right only once."
    title = "is right a second time, and so is what it returns"
    _add(question, "answers_twice", title, hint, points, check_call, **which)


def _add(
    question: Question,
    name: str,
    title: str,
    hint: str,
    points: float,
    look: Look,
    again: Sequence[str] = (),
    needs: Sequence[str] = (),
) -> None:
    """The test that runs others again, watched.

    Args:
        again: names of the tests that are run again; default: all.
        needs: names of those that must pass; default: the first.
    """
    tests = [test for test in question.tests if test.name not in PROBES]
    tests = [test for test in tests if not again or test.name in again]
    must = {test.name for test in tests} & set(needs) or {tests[0].name}

    def cases(rng: np.random.Generator, level: str) -> Iterator[dict[str, Any]]:
        for test in tests:
            for case in test.runs(level, rng):
                yield {"test": test, "case": case}

    def probe(student: Student, rng: np.random.Generator, test: Test, case: dict) -> None:
        watched = Student(_Watching(student._channel, look))
        try:
            test.function(watched, rng, **case)
        except (ProbeError, SessionError):
            raise
        except Exception:  # a wrong answer to another test, which says so itself
            if test.name in must:
                raise

    probe.__name__, probe.__doc__ = name, title
    question.test(points, hint=hint, cases=cases)(probe)


PROBES = ("leaves_arguments", "keeps_dtype", "answers_twice")


class _Watching(Channel):
    """A channel that has a look at every call on its way back."""

    def __init__(self, inner: Channel, look: Look) -> None:
        super().__init__()
        self.inner, self.look = inner, look

    def ask(
        self, op: str, of: str | int, *, name: str = "", args: Any = (), named: Any = None
    ) -> Any:
        if op not in ("call", "inplace"):
            return self._watched(self.inner.ask(op, of, name=name, args=args, named=named))
        value, after = self.inner.inplace(of, args, dict(named or {}))
        self.look(self.inner, Call(of, args, dict(named or {}), value, after))
        value = self._watched(value)
        return (value, after) if op == "inplace" else value

    def beside(self) -> Channel:
        return self.inner.beside()

    def _watched(self, value: Any) -> Any:
        """The same value; functions and objects in it are watched as well."""
        if isinstance(value, Held):
            value._channel = self
        for part in _parts(value):
            self._watched(part)
        return value


def _parts(value: Any) -> Sequence[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, (list, tuple)) else ()


def _holds(value: Any, kind: Any) -> bool:
    """Whether a value is of a kind, or one in it is."""
    return isinstance(value, kind) or any(_holds(part, kind) for part in _parts(value))


def _leaves(value: Any) -> Iterator[Any]:
    """The arrays and NumPy numbers in nested lists, tuples and dictionaries."""
    if isinstance(value, (np.ndarray, np.generic)):
        yield value
    for part in _parts(value):
        yield from _leaves(part)


def _check_dtype_of(dtype: np.dtype, value: Any) -> None:
    for leaf in _leaves(value):
        if leaf.dtype.kind == "f" and leaf.dtype != dtype:
            raise ProbeError("dtype", f"{dtype} arguments give {leaf.dtype}, expected {dtype}")


def _cast(value: Any, dtype: np.dtype) -> Any:
    """The same value with its floating-point arrays in another dtype."""
    if isinstance(value, (np.ndarray, np.generic)):
        return value.astype(dtype) if value.dtype in FLOATS else value
    if isinstance(value, dict):
        return {key: _cast(part, dtype) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_cast(part, dtype) for part in value)
    return value


def _equal(one: Any, two: Any, rtol: float = 0, atol: float = 0) -> bool:
    """The same plain value; functions and objects on either side are not compared."""
    if callable(one) or callable(two) or isinstance(one, Held) or isinstance(two, Held):
        return True
    if isinstance(one, (np.ndarray, np.generic)) and isinstance(two, (np.ndarray, np.generic)):
        if one.dtype != two.dtype or one.shape != two.shape:
            return False
        return bool(np.allclose(two, one, rtol=rtol, atol=atol, equal_nan=one.dtype.kind in "fc"))
    if isinstance(one, dict) and isinstance(two, dict):
        return list(one) == list(two) and all(_equal(one[k], two[k], rtol, atol) for k in one)
    if isinstance(one, (list, tuple)) and isinstance(two, (list, tuple)):
        pairs = list(zip(one, two))
        return len(one) == len(two) and all(_equal(a, b, rtol, atol) for a, b in pairs)
    if isinstance(one, float) and isinstance(two, float):
        return one == two or one != one != two or abs(two - one) <= atol + rtol * abs(one)
    return type(one) is type(two) and bool(one == two)
