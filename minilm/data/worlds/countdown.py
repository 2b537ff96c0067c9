"""Arithmetic programs: three numbers, a target, and an expression to be found that gives it.

    task "527=19>"      program "5+2+7" is wrong, "5+2*7" is right

The numbers stand in their order, with +, - or * between them. Finding a program is hard, checking
one is running it: so a machine can make itself examples out of nothing but time. Programs are text
from elsewhere; what is run here can hold digits and three signs and nothing else.
"""

import itertools
from collections.abc import Collection
from functools import cache
from typing import NamedTuple

import numpy as np

from minilm.backend import rng
from minilm.errors import InputError

LETTERS = "0123456789+-*=>"
END = len(LETTERS)  # the id behind those of the letters: ends a program
VOCABULARY = END + 1
LONGEST = 5  # letters of a program
PROMPT = 7  # letters of a task
MOST = 99  # the largest target
WRITTEN = LETTERS[:13]  # what a program is made of
PATIENCE = 100_000


class Task(NamedTuple):
    """Three numbers, in order, and what a program of them must give."""

    numbers: tuple[int, int, int]
    target: int

    @property
    def prompt(self) -> str:
        """As a model reads it: "527=19>"."""
        return f"{''.join(map(str, self.numbers))}={self.target:02d}>"


def value_of(program: str) -> int | None:
    """What a program gives; None where it is none.

    Products joined by + and -; a product is digits joined by *. There is nothing else, so nothing
    else can be run.
    """
    if not program or len(program) % 2 == 0 or not set(program) <= set(WRITTEN):
        return None
    if not (program[::2].isdigit() and set(program[1::2]) <= set("+-*")):
        return None
    total, sign, product = 0, 1, int(program[0])
    for mark, digit in zip(program[1::2], program[2::2]):
        if mark == "*":
            product *= int(digit)
        else:
            total += sign * product
            sign, product = (1 if mark == "+" else -1), int(digit)
    return total + sign * product


def execute(task: Task, program: str) -> bool:
    """Whether a program solves a task: the three numbers in order, and the target comes out."""
    used = tuple(int(letter) for letter in program if letter in "0123456789")
    return used == tuple(task.numbers) and value_of(program) == task.target


@cache
def programs(numbers: tuple[int, int, int]) -> tuple[tuple[str, int], ...]:
    """The nine programs of three numbers with their values.

    Raises:
        InputError: other than three numbers from 1 to 9.
    """
    if len(numbers) != 3 or not all(1 <= n <= 9 for n in numbers):
        raise InputError(f"numbers are {numbers}; they must be three from 1 to 9")
    a, b, c = numbers
    texts = [f"{a}{p}{b}{q}{c}" for p, q in itertools.product("+-*", repeat=2)]
    return tuple((text, value) for text in texts if (value := value_of(text)) is not None)


def solutions(task: Task) -> list[str]:
    """All programs that solve a task."""
    return [text for text, value in programs(task.numbers) if value == task.target]


def random_program(numbers: tuple[int, int, int], random: np.random.Generator) -> str:
    """One of all programs, each as likely as any other: search that has learned nothing."""
    known = programs(numbers)
    return known[random.integers(len(known))][0]


def tasks(count: int, seed: int = 0, without: Collection[Task] = ()) -> list[Task]:
    """Different tasks, each of which has a solution.

    Args:
        count: how many.
        seed: of the draw.
        without: tasks that must not come.

    Raises:
        InputError: a count below 1, or more than there are.
    """
    if count < 1:
        raise InputError(f"count is {count}; it must be 1 or more")
    random, known, found = rng(seed, "countdown"), set(without), []
    for _ in range(PATIENCE):
        if len(found) == count:
            return found
        numbers = tuple(int(n) for n in random.integers(1, 10, 3))
        values = sorted({value for _, value in programs(numbers) if 1 <= value <= MOST})
        task = Task(numbers, values[random.integers(len(values))])
        if task not in known:
            known.add(task)
            found.append(task)
    raise InputError(f"count is {count}; only {len(found)} tasks were found")


def encode(task: Task, program: str | None = None) -> np.ndarray:
    """Ids of a task, (7,), or of a task and its program, (13,), the rest filled with `END`.

    Raises:
        InputError: a target out of range, a program that is too long or has other letters.
    """
    if not 0 <= task.target <= MOST:
        raise InputError(f"target is {task.target}; it must be from 0 to {MOST}")
    text = task.prompt
    if program is not None:
        if len(program) > LONGEST or not set(program) <= set(WRITTEN):
            raise InputError(f"program is {program!r}; it must be at most {LONGEST} of {WRITTEN}")
        text += program
    ids = [LETTERS.index(letter) for letter in text]
    end = [] if program is None else [END] * (PROMPT + LONGEST + 1 - len(ids))
    return np.array(ids + end)


def decode(ids: np.ndarray) -> str:
    """The letters before the first `END`."""
    kept = itertools.takewhile(lambda i: i != END, np.asarray(ids).tolist())
    return "".join(LETTERS[i] for i in kept)
