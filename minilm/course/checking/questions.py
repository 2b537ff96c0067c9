"""The format of an exercise set's tests: `lessons/NN_slug/tests.py`.

The set NN_slug consists of two files there. `questions.py` is what students read and fill in (see
`minilm.course.build.sources`); `tests.py` says what is asked for and tests it:

    import numpy as np
    from minilm.course.checking.expect import close
    from minilm.course.checking.questions import Question

    TITLE = "Attention from scratch"
    LIBRARIES = ("numba",)  # only if answers may use more than NumPy, see minilm.sandbox.libraries

    softmax = Question("softmax", lines=3, plugs="softmax", hint="Subtract the largest first.")

    def shapes(rng, level):
        yield {"shape": (2, 3)}
        if level == "hidden":
            yield {"shape": (1, 1)}
            yield {"shape": tuple(rng.integers(1, 9, size=3))}

    @softmax.test(points=2, hint="Sum over the last axis, with keepdims=True.", cases=shapes)
    def rows_sum_to_one(student, rng, shape):
        "every row sums to one"
        x = rng.standard_normal(shape, dtype=np.float32)
        close(student.softmax(x).sum(-1), np.ones(shape[:-1]), dtype=np.float32)

A test takes the `student` (see `checking.student`), a seeded generator and what `cases` yields. The
same function serves `check` in the notebook, with level "public", and the grader, with "public" and
then "hidden": other seeds for every student, and whatever sizes and edges `cases` adds. Its points
are earned if all its cases pass. Without `cases`, hidden means three other seeds.

Write a test so that it computes what it expects by itself (a formula in float64, a published
number), never with the function of minilm that the exercise asks for, and so that a function which
does nothing fails it.

What every answer owes, to leave its arguments alone and to keep their dtype, is not tested by hand:
`checking.probes` adds one test for each to a question.

In the notebook a payoff cell runs the real model on the student's function:

    @payoff("softmax")
    def train_on_your_softmax():
        with minilm.use(softmax=softmax): ...
"""

import hashlib
import importlib.util
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from minilm.course.checking.expect import Wrong
from minilm.course.checking.student import Student, StudentError
from minilm.course.checking.words import in_words, no_question
from minilm.errors import InputError
from minilm.sandbox.libraries import refuse_unknown
from minilm.sandbox.session import SessionError

Cases = Callable[[np.random.Generator, str], Iterable[dict[str, Any]]]
HIDDEN_SEEDS = 3  # runs of a test that names no cases of its own

# Every kind of failure, in words that hold nothing of an input: for the lecturer. What a student
# hears of a hidden test is less, see `minilm.course.grade.hidden`.
COARSE = {
    "missing": "the function is missing",
    "todo": "it is not written yet",
    "poison": "it calls minilm's own function: write your own",
    "memory": "it needs too much memory",
    "size": "its answer is too large",
    "error": "it raises an error",
    "type": "the answer is not of the right kind",
    "shape": "the answer has the wrong shape",
    "dtype": "the answer has the wrong dtype",
    "value": "the answer has wrong values",
    "kernel": "the emulator stopped it: a race, an index out of bounds, a barrier, or an error",
    "cost": "it is right but costs more than it may",
    "time": "it took too long",
    "gone": "the program ended by itself",
    "broken": "its answer cannot be read",
}


@dataclass
class Test:
    """One thing that is tested: a title, points, a hint, a function and its cases."""

    title: str
    name: str
    points: float
    hint: str
    function: Callable[..., None]
    cases: Cases | Sequence[dict[str, Any]] | None

    def runs(self, level: str, rng: np.random.Generator) -> Iterator[dict[str, Any]]:
        """The keyword arguments of each run at a level."""
        if self.cases is None:
            yield from [{}] * (HIDDEN_SEEDS if level == "hidden" else 1)
        elif callable(self.cases):
            yield from self.cases(rng, level)
        else:
            yield from self.cases


class Question:
    """One question: what to write, how it is tested, what it is worth.

    Args:
        name: of the question; `check(name)` runs it.
        title: one line; default: the name.
        asks: the functions or classes to write; default: the one called `name`.
        lines: about how many lines a solution has.
        hint: shown with every failure that has no hint of its own.
        plugs: the public name of minilm that the answer can replace, for the course's ledger; the
            answer must then take the same arguments.
    """

    def __init__(
        self,
        name: str,
        *,
        title: str = "",
        asks: Sequence[str] = (),
        lines: int = 0,
        hint: str = "",
        plugs: str | None = None,
    ) -> None:
        if not name.isidentifier():
            raise InputError(f"name is {name!r}; a question has the name of a function")
        self.name, self.title = name, title or name
        self.asks = tuple(asks) or (name,)
        self.lines, self.hint, self.plugs = lines, hint, plugs
        self.tests: list[Test] = []

    def test(
        self,
        points: float = 1,
        *,
        hint: str = "",
        cases: Cases | Sequence[dict[str, Any]] | None = None,
    ) -> Callable[[Callable[..., None]], Callable[..., None]]:
        """Add the decorated function as a test worth `points`; its docstring is its title."""
        if not points > 0:
            raise InputError(f"points is {points!r}; a test is worth more than 0")

        def add(function: Callable[..., None]) -> Callable[..., None]:
            title = (function.__doc__ or function.__name__.replace("_", " ")).strip()
            title = title.splitlines()[0].rstrip(".")
            made = Test(title, function.__name__, points, hint or self.hint, function, cases)
            self.tests.append(made)
            return function

        return add

    @property
    def points(self) -> float:
        """What the question is worth."""
        return sum(test.points for test in self.tests)


@dataclass
class ExerciseSet:
    """The questions of one file."""

    name: str
    title: str
    questions: list[Question] = field(default_factory=list)
    libraries: tuple[str, ...] = ()  # that may answer beside the usual, see `sandbox.libraries`

    @property
    def points(self) -> float:
        """What the set is worth."""
        return sum(question.points for question in self.questions)

    def question(self, name: str) -> Question:
        """The question of that name.

        Raises:
            InputError: there is none.
        """
        for question in self.questions:
            if question.name == name:
                return question
        known = [q.name for q in self.questions]
        raise InputError(no_question(name, known, self.name))


@dataclass(frozen=True)
class Outcome:
    """What became of one test: "pass", or a kind of failure and a sentence about it.

    `clue` says more about wrong numbers, where something simple is wrong with all of them.
    """

    kind: str
    text: str = ""
    clue: str = ""

    @property
    def passed(self) -> bool:
        return self.kind == "pass"


def load_set(path: Path) -> ExerciseSet:
    """Read an exercise set.

    Raises:
        InputError: the file is missing, fails to run, or holds no question with a test.
    """
    slug = path.parent.name if path.name == "tests.py" else path.stem  # a lecturer's: NN_slug.py
    name = f"minilm_exercise_{slug}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or not path.is_file():
        raise InputError(f"there is no exercise set {path}")
    module = importlib.util.module_from_spec(spec)
    writes, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        spec.loader.exec_module(module)
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"{path} cannot be used: {type(error).__name__}: {error}") from error
    finally:
        sys.dont_write_bytecode = writes
    found = [value for value in vars(module).values() if isinstance(value, Question)]
    found = list(dict.fromkeys(question for question in found if question.tests))
    if not found:
        raise InputError(f"{path} holds no Question with a test")
    names = [question.name for question in found]
    if len(set(names)) < len(names):
        raise InputError(f"{path} has two questions of the same name")
    libraries = refuse_unknown(getattr(module, "LIBRARIES", ()))
    return ExerciseSet(slug, str(getattr(module, "TITLE", slug)), found, libraries)


def run_test(test: Test, student: Student, level: str, *words: str) -> Outcome:
    """Run all cases of a test at a level; stops at the first that fails.

    Args:
        words: what the random streams depend on: the set, the question, and for hidden cases the
            secret and the student.
    """
    outcome = Outcome("pass")
    for outcome in run_cases(test, student, level, *words):
        if not outcome.passed:
            break
    return outcome


def run_cases(test: Test, student: Student, level: str, *words: str) -> Iterator[Outcome]:
    """What becomes of each case of a test at a level; see `run_test`."""
    cases = test.runs(level, _stream(level, test.name, *words))
    number = 0
    while True:
        rng = _stream(level, test.name, *words, str(number))
        number += 1

        def run(rng: np.random.Generator = rng) -> bool:
            case = next(cases, None)
            if case is not None:
                test.function(student, rng, **case)
            return case is not None

        ran, outcome = _judged(run, test.title)
        if not ran:
            return
        yield outcome


def _judged(run: Callable[[], bool], title: str) -> tuple[bool, Outcome]:
    """Whether there was something to run, and what became of it."""
    try:
        with np.errstate(all="ignore"):  # infinities in an answer are judged, not printed
            return run(), Outcome("pass")
    except StudentError as error:
        return True, Outcome(error.kind if error.kind in COARSE else "error", in_words(error))
    except Wrong as error:
        kind = error.kind if error.kind in COARSE else "value"
        return True, Outcome(kind, str(error), error.clue)
    except AssertionError as error:
        return True, Outcome("value", str(error) or f"not so: {title}")
    except (RecursionError, MemoryError):
        return True, Outcome("size", "the answer is too large to be looked at")
    except SessionError:
        raise
    except Exception as error:  # whatever an odd answer did to the test, it is no right answer
        said = f"the answer cannot be used as one: {type(error).__name__}"
        return True, Outcome("type", said)


def _stream(*words: str) -> np.random.Generator:
    """A random stream that depends on these words and on nothing else."""
    digest = hashlib.sha256("\0".join(words).encode("utf-8", "surrogatepass")).digest()
    return np.random.default_rng(np.frombuffer(digest, np.uint32))
