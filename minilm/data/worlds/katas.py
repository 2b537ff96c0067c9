"""Small programming problems with tests, in the manner of HumanEval, as many as there are seeds.

A problem is a function's head and its docstring; a solution is a body; tests are calls with the
values that they must return. Every problem is a chain of steps over a list of whole numbers, a
string or a number, and each step is told three times: in words, in Python, and as a function that
computes the right answer without either. A benchmark that was published can be in anybody's
training data. Of these, fresh ones can be drawn after any model was trained.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from minilm import backend
from minilm.errors import InputError

LEVELS = (1, 2, 3)  # how many steps stand before the return
KINDS = ("list", "string", "number")
TESTS = 8  # calls of one problem
CHOICE = 40  # arguments that they are chosen from
LARGEST = 9  # of the numbers in a text
PATIENCE = 20_000  # draws in a row that find nothing new
_NAMES = {"list": "x", "string": "s", "number": "n"}


class Step(NamedTuple):
    """One step: its words, its code and what it does.

    `words` and `code` may hold `{k}`; then `least` is the smallest k. `code` is an expression in
    the name of the argument. `does` gets the value and k.
    """

    words: str
    code: str
    does: Callable[[Any, int], Any]
    least: int | None = None


def _comprehension(test: str) -> str:
    return f"[v for v in x if {test}]"


def _mapped(expression: str) -> str:
    return f"[{expression} for v in x]"


_STEPS: dict[str, tuple[Step, ...]] = {
    "list": (
        Step(
            "keep the even ones",
            _comprehension("v % 2 == 0"),
            lambda x, k: [v for v in x if not v & 1],
        ),
        Step(
            "keep the odd ones", _comprehension("v % 2 == 1"), lambda x, k: [v for v in x if v & 1]
        ),
        Step(
            "keep those above {k}",
            _comprehension("v > {k}"),
            lambda x, k: [v for v in x if v - k > 0],
            0,
        ),
        Step(
            "keep those below {k}",
            _comprehension("v < {k}"),
            lambda x, k: [v for v in x if v - k < 0],
            0,
        ),
        Step("drop every {k}", _comprehension("v != {k}"), lambda x, k: [v for v in x if v - k], 0),
        Step("add {k}", _mapped("v + {k}"), lambda x, k: [k + v for v in x], 1),
        Step("subtract {k}", _mapped("v - {k}"), lambda x, k: [-k + v for v in x], 1),
        Step("multiply by {k}", _mapped("v * {k}"), lambda x, k: [k * v for v in x], 2),
        Step(
            "take the remainder by {k}",
            _mapped("v % {k}"),
            lambda x, k: [v - k * (v // k) for v in x],
            2,
        ),
        Step("square", _mapped("v * v"), lambda x, k: [v**2 for v in x]),
        Step("negate", _mapped("-v"), lambda x, k: [0 - v for v in x]),
        Step("take absolute values", _mapped("abs(v)"), lambda x, k: [max(v, -v) for v in x]),
        Step("reverse", "x[::-1]", lambda x, k: list(reversed(x))),
        Step("sort", "sorted(x)", lambda x, k: sorted(x)),
        Step("drop the first", "x[1:]", lambda x, k: [v for i, v in enumerate(x) if i > 0]),
        Step(
            "drop the last", "x[:-1]", lambda x, k: [v for i, v in enumerate(x) if i < len(x) - 1]
        ),
    ),
    "string": (
        Step("make it upper case", "s.upper()", lambda s, k: "".join(c.upper() for c in s)),
        Step("make it lower case", "s.lower()", lambda s, k: "".join(c.lower() for c in s)),
        Step("reverse", "s[::-1]", lambda s, k: "".join(reversed(s))),
        Step(
            "remove the spaces",
            's.replace(" ", "")',
            lambda s, k: "".join(c for c in s if c != " "),
        ),
        Step(
            "keep the letters",
            '"".join(c for c in s if c.isalpha())',
            lambda s, k: "".join(filter(str.isalpha, s)),
        ),
        Step(
            "keep the digits",
            '"".join(c for c in s if c.isdigit())',
            lambda s, k: "".join(filter(str.isdigit, s)),
        ),
        Step("repeat {k} times", "s * {k}", lambda s, k: "".join([s] * k), 2),
        Step(
            "keep the first {k}",
            "s[:{k}]",
            lambda s, k: "".join(c for i, c in enumerate(s) if i < k),
            1,
        ),
        Step(
            "drop the first {k}",
            "s[{k}:]",
            lambda s, k: "".join(c for i, c in enumerate(s) if i >= k),
            1,
        ),
        Step(
            "double every letter",
            '"".join(c + c for c in s)',
            lambda s, k: "".join(2 * c for c in s),
        ),
        Step("swap the case", "s.swapcase()", lambda s, k: "".join(c.swapcase() for c in s)),
    ),
    "number": (
        Step("add {k}", "n + {k}", lambda n, k: k + n, 1),
        Step("subtract {k}", "n - {k}", lambda n, k: -k + n, 1),
        Step("multiply by {k}", "n * {k}", lambda n, k: k * n, 2),
        Step("divide by {k} and round down", "n // {k}", lambda n, k: (n - n % k) // k, 2),
        Step("take the remainder by {k}", "n % {k}", lambda n, k: n - k * (n // k), 2),
        Step("square", "n * n", lambda n, k: n**2),
        Step("negate", "-n", lambda n, k: 0 - n),
        Step("take the absolute value", "abs(n)", lambda n, k: max(n, -n)),
        Step("raise to at least {k}", "max(n, {k})", lambda n, k: n if n > k else k, 0),
        Step("lower to at most {k}", "min(n, {k})", lambda n, k: n if n < k else k, 0),
    ),
}
_ENDS: dict[str, tuple[Step, ...]] = {
    "list": (
        Step("return the list", "x", lambda x, k: x),
        Step("return the sum", "sum(x)", lambda x, k: sum(v for v in x)),
        Step("return how many there are", "len(x)", lambda x, k: sum(1 for _ in x)),
        Step(
            "return the largest, or 0", "max(x, default=0)", lambda x, k: sorted(x)[-1] if x else 0
        ),
        Step(
            "return the smallest, or 0", "min(x, default=0)", lambda x, k: sorted(x)[0] if x else 0
        ),
        Step("return whether {k} is there", "{k} in x", lambda x, k: any(v == k for v in x), 0),
        Step("count the {k}s", "x.count({k})", lambda x, k: sum(v == k for v in x), 0),
    ),
    "string": (
        Step("return it", "s", lambda s, k: s),
        Step("return its length", "len(s)", lambda s, k: sum(1 for _ in s)),
        Step("count the words", "len(s.split())", lambda s, k: sum(1 for w in s.split(" ") if w)),
        Step(
            "count the digits",
            "sum(c.isdigit() for c in s)",
            lambda s, k: len([c for c in s if c in "0123456789"]),
        ),
        Step(
            "return whether it is longer than {k}", "len(s) > {k}", lambda s, k: len(s) - k > 0, 0
        ),
        Step(
            "return its last {k}",
            "s[-{k}:]",
            lambda s, k: "".join(c for i, c in enumerate(s) if i >= len(s) - k),
            1,
        ),
    ),
    "number": (
        Step("return it", "n", lambda n, k: n),
        Step("return whether it is even", "n % 2 == 0", lambda n, k: not n & 1),
        Step("return its digits as text", "str(abs(n))", lambda n, k: f"{max(n, -n)}"),
        Step("return whether it is above {k}", "n > {k}", lambda n, k: n - k > 0, 0),
        Step(
            "return how many digits it has", "len(str(abs(n)))", lambda n, k: len(f"{max(n, -n)}")
        ),
    ),
}
_HEADS = {
    "list": "Of the numbers in x",
    "string": "With the text s",
    "number": "With the number n",
}


@dataclass(frozen=True)
class Kata:
    """A problem.

    Attributes:
        key: what tells it from all others; equal keys are equal problems.
        kind: "list", "string" or "number".
        level: 1, 2 or 3 steps.
        prompt: the function's head and docstring, as text that a body completes.
        solution: one right body, indented, with a newline at its end.
        tests: (arguments, value that the call must return).
    """

    key: str
    kind: str
    level: int
    prompt: str
    solution: str
    tests: tuple[tuple[tuple[Any, ...], Any], ...]

    @property
    def text(self) -> str:
        """Prompt and solution, as a document to train on."""
        return self.prompt + self.solution


def katas(
    count: int,
    seed: int = 0,
    levels: Sequence[int] = LEVELS,
    kinds: Sequence[str] = KINDS,
    without: Collection[str] = (),
) -> list[Kata]:
    """Problems drawn at random, no two of them equal.

    Args:
        count: how many.
        seed: of the draw; another seed gives others.
        levels: to draw from.
        kinds: to draw from.
        without: keys of problems that must not come: those that a model was trained on.

    Raises:
        InputError: an unknown level or kind, or more problems than there are.
    """
    for name, given, allowed in (("levels", levels, LEVELS), ("kinds", kinds, KINDS)):
        wrong = next((one for one in given if one not in allowed), None)
        if wrong is not None or not given:
            shown = ", ".join(map(str, allowed))
            raise InputError(f"{name} is {given!r}; it must hold some of {shown}")
    if count < 1:
        raise InputError(f"count is {count}; it must be 1 or more")
    rng = backend.rng(seed, "katas")
    found: dict[str, Kata] = {}
    known, idle = set(without), 0
    while len(found) < count:
        kind = kinds[int(rng.integers(len(kinds)))]
        chain, numbers = _draw(kind, levels[int(rng.integers(len(levels)))], rng)
        key = _key(kind, chain, numbers)
        if key in known:
            idle += 1
            if idle > PATIENCE:  # in a row: what is left is next to nothing
                raise InputError(
                    f"count is {count}; of these levels and kinds, without those excluded, only "
                    f"{len(found)} were found"
                )
            continue
        idle = 0
        known.add(key)
        one = _made(key, kind, chain, numbers, rng)
        if _tells(one):
            found[key] = one
    return list(found.values())


def _draw(kind: str, level: int, rng: np.random.Generator) -> tuple[list[Step], list[int]]:
    """Steps, the return among them, and the number of each; 0 where it has none."""
    table, ends = _STEPS[kind], _ENDS[kind]
    picked = [table[i] for i in rng.choice(len(table), level, replace=False)]
    chain = [*picked, ends[int(rng.integers(len(ends)))]]
    numbers = [
        0 if step.least is None else int(rng.integers(step.least, LARGEST + 1)) for step in chain
    ]
    return chain, numbers


def _words(chain: Sequence[Step], numbers: Sequence[int]) -> list[str]:
    return [step.words.format(k=k) for step, k in zip(chain, numbers)]


def _key(kind: str, chain: Sequence[Step], numbers: Sequence[int]) -> str:
    return f"{kind}: {'; '.join(_words(chain, numbers))}"


def _made(
    key: str, kind: str, chain: Sequence[Step], numbers: Sequence[int], rng: np.random.Generator
) -> Kata:
    name, words = _NAMES[kind], _words(chain, numbers)
    code = [step.code.format(k=k) for step, k in zip(chain, numbers)]
    sentence = f"{_HEADS[kind]}, {', '.join(words[:-1])} and {words[-1]}."
    prompt = f'def f({name}):\n    """{sentence}"""\n'
    lines = [*(f"{name} = {line}" for line in code[:-1]), f"return {code[-1]}"]
    solution = "".join(f"    {line}\n" for line in lines)
    calls = _telling(chain, numbers, _arguments(kind, numbers, rng))
    return Kata(key, kind, len(chain) - 1, prompt, solution, tuple(calls))


def _answer(chain: Sequence[Step], numbers: Sequence[int], given: Any) -> Any:
    """What the steps make of an argument, by the functions that stand beside their code."""
    for step, k in zip(chain, numbers):
        given = step.does(given, k)
    return given


def _tells(one: Kata) -> bool:
    """Whether the answers differ: a problem whose answer is always 0 asks for nothing."""
    answers = {repr(answer) for _, answer in one.tests}
    return len(answers) >= (2 if answers <= {"True", "False"} else 3)


def _telling(
    chain: Sequence[Step], numbers: Sequence[int], given: Sequence[Any]
) -> list[tuple[tuple[Any, ...], Any]]:
    """Calls for the tests: the first argument, then those whose answers differ from all before."""
    answered = [(one, _answer(chain, numbers, one)) for one in given]
    chosen, seen = [0], [answered[0][1]]
    for i, (_, answer) in enumerate(answered[1:], 1):
        if len(chosen) < TESTS and answer not in seen:
            chosen.append(i)
            seen.append(answer)
    chosen += [i for i in range(len(answered)) if i not in chosen][: TESTS - len(chosen)]
    return [((answered[i][0],), answered[i][1]) for i in sorted(chosen)]


def _arguments(kind: str, numbers: Sequence[int], rng: np.random.Generator) -> list[Any]:
    """Arguments for calls to choose from: the smallest first, then random ones.

    The numbers of the problem and their neighbours come often, for there the answers change.
    """
    near = [k + d for k in numbers for d in (-1, 0, 1)]
    if kind == "number":
        far = rng.integers(-60, 61, CHOICE // 2)
        return [0, *near, *(int(n) for n in far), *(int(n) for n in 40 * far)]
    if kind == "list":
        lists = []
        for n in rng.integers(3, 9, CHOICE):
            values = [int(v) for v in rng.integers(-20, 41, n)]
            lists.append([near[v % len(near)] if v % 3 == 0 else v for v in values])
        return [[], *lists]
    letters = np.array(list("aAbBcdeEfiklmnorstTuwxyz0123456789   "))
    # many short ones: most questions about a length change their answer there
    lengths = [*rng.integers(1, 13, CHOICE // 2), *rng.integers(3, 36, CHOICE // 2)]
    return ["", *("".join(rng.choice(letters, n)) for n in lengths)]
