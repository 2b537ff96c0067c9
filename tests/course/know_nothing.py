"""Answers that know nothing: constants that can be read somewhere, arguments, zeros, tables.

`answers(question, solution, text)` makes them for one question, as namespaces. They may look at the
solution for two things only, which a student can print as well: the shape of an answer, and what
the public tests asked and expected.
"""

import ast
import copy
import inspect
import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from minilm.course.checking.questions import ExerciseSet, Question, run_test
from minilm.course.checking.student import Held, LocalChannel, Student

Names = dict[str, Any]
NUMBER = re.compile(r"-?\d+(?:,\d{3})*(?:\.\d+)?(?:e-?\d+)?")
MOST = 60  # values of one kind


def printed(text: str) -> list[Any]:
    """The constants that a text shows: numbers, fractions, words in quotes, lists, tuples."""
    text = text.replace("−", "-").replace("½", "0.5").replace("¾", "0.75")
    found: list[Any] = [True, False, None, "", [], 0, 1]
    for part in NUMBER.findall(text):
        number = float(part.replace(",", ""))
        found += [int(number), number] if number.is_integer() else [number]
    for top, below in re.findall(r"(?<![\d.])(\d+)/(\d+)", text):
        found.append(int(top) / int(below) if int(below) else 0)
    found += re.findall(r'"(\w+)"', text)
    for part in re.findall(r"\[[^\[\]]*\]|\([^()]*\)", text):
        try:
            found.append(ast.literal_eval(part))
        except (ValueError, SyntaxError, MemoryError):
            continue
    found += [np.array(v) for v in found if isinstance(v, (list, tuple)) and numbers(v)]
    return list({repr(value): value for value in found}.values())


def numbers(values: Any) -> bool:
    return all(isinstance(value, (int, float)) for value in values)


class Recorder(LocalChannel):
    """Notes every call and its answer."""

    def __init__(self, names: Names) -> None:
        super().__init__(names)
        self.noted: list[tuple[Any, list, dict, Any]] = []

    def ask(self, op: str, of: Any, *, name: str = "", args: Any = (), named: Any = None) -> Any:
        value = super().ask(op, of, name=name, args=args, named=named)
        if op in ("call", "inplace"):
            answer = value[0] if op == "inplace" else value
            self.noted.append((of, list(args), dict(named or {}), answer))
        return value


def recorded(one: ExerciseSet, question: Question, solution: Names, word: str) -> list[tuple]:
    """What the public tests ask of the solution's functions, and what it answers."""
    calls = []
    for test in question.tests:
        channel = Recorder(solution)
        run_test(test, Student(channel), "public", one.name, word)
        calls += channel.noted
    return calls


def key(args: Any, named: Any) -> str:
    return repr((list(args), sorted(named.items())))


def plain(value: Any) -> bool:
    """Whether nothing in it had to stay with the student."""
    if isinstance(value, (list, tuple)):
        return all(map(plain, value))
    if isinstance(value, dict):
        return all(map(plain, value.values()))
    return not isinstance(value, Held)


def filled(value: Any, number: float) -> Any:
    """An answer of the same form with one number everywhere; its functions return the same."""
    if isinstance(value, np.ndarray):
        return np.full(value.shape, number).astype(value.dtype)
    if isinstance(value, (bool, np.bool_)):
        return bool(number)
    if isinstance(value, (int, float, np.generic)):
        return type(value)(number)
    if isinstance(value, str):
        return ""
    if isinstance(value, dict):
        return {name: filled(part, number) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(filled(part, number) for part in value)
    if callable(value):
        return lambda *args: filled(value(*args), number)
    return value


def handed_back(value: Any, args: tuple) -> Any:
    """(the first argument, a pullback that hands g back) in the form of the right answer."""
    kept = copy.deepcopy(args[0]) if args else None
    if isinstance(value, tuple) and len(value) == 2 and callable(value[1]):
        count = len(inspect.signature(value[1]).parameters)
        return kept, lambda *g: tuple(None if p is None else g[0] for p in value[1](*g[:count]))
    if isinstance(value, (tuple, list)):
        return type(value)(kept for _ in value)
    return kept


def answers(
    one: ExerciseSet, question: Question, solution: Names, text: str
) -> Iterator[tuple[str, Names]]:
    """(what it does, its functions) of every answer that knows nothing."""

    def all_as(make: Callable[[Callable], Callable]) -> Names:
        return {**solution, **{name: make(solution[name]) for name in question.asks}}

    calls, others = (recorded(one, question, solution, word) for word in (question.name, "again"))
    values = [answer for of, _, _, answer in calls if isinstance(of, str) and plain(answer)]
    distinct = list({repr(value): value for value in values}.values())
    for value in [*printed(text), *distinct[:MOST]]:
        yield f"return {value!r:.60}", all_as(lambda right, v=value: lambda *a, **k: v)
    most = max(len(inspect.signature(solution[name]).parameters) for name in question.asks)
    for place in range(most):
        yield (
            f"return argument {place + 1}",
            all_as(lambda right, at=place: lambda *a, **k: a[min(at, len(a) - 1)]),
        )
    for number in (0, 1, -1, np.nan, np.inf):
        try:
            filled(distinct, number)
        except (ValueError, OverflowError):  # no whole number
            continue
        yield (
            f"{number} in the shape of the answer",
            all_as(lambda right, n=number: lambda *a, **k: filled(aside(right, a, k), n)),
        )
    yield (
        "the first argument and g handed back",
        all_as(lambda right: lambda *a, **k: handed_back(aside(right, a, k), a)),
    )
    yield "every argument filled with zeros", all_as(lambda right: emptied)
    fixed = {key(a, k) for _, a, k, _ in calls} & {key(a, k) for _, a, k, _ in others}
    for name, allowed in (("published calls", fixed), ("public calls", None)):
        table = {
            (of, key(a, k)): answer
            for of, a, k, answer in calls
            if isinstance(of, str) and plain(answer) and (allowed is None or key(a, k) in allowed)
        }
        yield f"a table of the {name}", all_as(lambda right, t=table: looked_up(right, t))


def aside(right: Callable, args: tuple, named: dict) -> Any:
    """The solution's answer, for its form; the arguments stay as they were."""
    return right(*copy.deepcopy(args), **named)


def emptied(*args: Any, **named: Any) -> None:
    for value in args:
        if isinstance(value, np.ndarray):
            value[...] = 0


def looked_up(right: Callable, table: dict) -> Callable:
    def answer(*args: Any, **named: Any) -> Any:
        known = table.get((right.__name__, key(args, named)))
        return filled(aside(right, args, named), 0) if known is None else known

    return answer


ALONE = """if (cuda.blockIdx.x == 0 and cuda.blockIdx.y == 0
            and cuda.threadIdx.x == 0 and cuda.threadIdx.y == 0):"""
HEAD = "import math\nimport numpy as np\nfrom numba import cuda, float32\n"


def kernels(question: Question, source: str) -> Iterator[tuple[str, str]]:
    """(what it does, its text) of kernels that write constants, copies or nothing."""
    functions = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef)]
    function = next(node for node in functions if node.name == question.name)
    names = [argument.arg for argument in function.args.args]
    axes: dict[str, int] = {}
    written: set[str] = set()
    for node in ast.walk(function):
        if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
            if node.value.id in names:
                index = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
                axes[node.value.id] = len(index)
                if isinstance(node.ctx, ast.Store):
                    written.add(node.value.id)
    (out,) = written
    start = f"{HEAD}@cuda.jit\ndef {question.name}({', '.join(names)}):\n    "
    yield "nothing is written", start + "pass\n"
    letters = "ijk"[: axes[out]]
    pad, loops = " " * 8, ""
    for axis, letter in enumerate(letters):
        loops += f"{pad}for {letter} in range({out}.shape[{axis}]):\n"
        pad += "    "
    at = ", ".join(letters)
    for number in ("0.0", "1.0", "0.25", "0.5", "11.0"):
        body = f"{pad}{out}[{at}] = float32({number})\n"
        yield f"{number} everywhere", f"{start}{ALONE}\n{loops}{body}"
    for name, count in axes.items():
        if name == out:
            continue
        source_at = ", ".join([*letters[:count], *["0"] * (count - len(letters))])
        inside = " and ".join(
            f"{letter} < {name}.shape[{axis}]" for axis, letter in enumerate(letters[:count])
        )
        body = f"{pad}if {inside}:\n{pad}    {out}[{at}] = {name}[{source_at}]\n"
        yield f"a copy of {name}", f"{start}{ALONE}\n{loops}{body}"
