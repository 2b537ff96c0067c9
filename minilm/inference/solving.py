"""A code model does its homework: programs written for problems, and how many pass their tests."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minilm.data.worlds.katas import Kata
from minilm.errors import InputError
from minilm.inference.generate import generate
from minilm.sandbox.programs import Programs

ROWS = 240  # texts written at a time


def write_programs(
    model: Any,
    tokenizer: Any,
    prompts: Sequence[str],
    samples: int = 1,
    temperature: float = 0.2,
    tokens: int = 64,
    seed: int = 0,
) -> list[list[str]]:
    """Programs for each prompt: the prompt and what the model writes after it.

    A program ends where the model writes a special token, or begins a line that is not indented.

    Args:
        model: a decoder.
        tokenizer: the model's.
        prompts: heads of functions, each a text that a body completes.
        samples: programs for each prompt.
        temperature: 0 is greedy.
        tokens: of a body at most.
        seed: of the sampling.

    Raises:
        InputError: no prompt, or a number out of range.
    """
    if not prompts:
        raise InputError("prompts is empty; there must be at least one")
    if samples < 1:
        raise InputError(f"samples is {samples}; it must be 1 or more")
    ends = list(tokenizer.special.values())
    written: list[list[str]] = []
    step = max(1, ROWS // samples)
    for first in range(0, len(prompts), step):
        some = list(prompts[first : first + step])
        ids = [tokenizer.encode(text, disallowed_special=()) for text in some]
        rows = generate(
            model, ids, tokens, temperature=temperature, stop=ends, seed=seed + first,
            samples=samples,
        )  # fmt: skip
        bodies = [tokenizer.decode([i for i in row if i not in ends]) for row in rows]
        for place, prompt in enumerate(some):
            mine = bodies[place * samples : (place + 1) * samples]
            written.append([prompt + _body(text) for text in mine])
    return written


def _body(text: str) -> str:
    """The indented lines at the start of a text."""
    lines = text.splitlines(keepends=True)
    kept = next((i for i, line in enumerate(lines) if line.strip() and line[0] != " "), len(lines))
    return "".join(lines[:kept])


def judge(
    problems: Sequence[Kata],
    written: Sequence[Sequence[str]],
    programs: Programs,
    seconds: float = 3.0,
    told: Callable[[], Any] | None = None,
) -> np.ndarray:
    """Which programs pass, bool (P, n); equal programs for one problem are run once.

    Args:
        problems: (P,).
        written: n programs for each problem.
        programs: the sandbox.
        seconds: of processor time for each program.
        told: called after each program that was run.
    """
    jobs = [(i, code) for i, row in enumerate(written) for code in dict.fromkeys(row)]
    tests = [[("f", given, want) for given, want in one.tests] for one in problems]
    outcomes = programs.run_many([(code, tests[i]) for i, code in jobs], seconds=seconds, told=told)
    passed = {job: outcome.passed for job, outcome in zip(jobs, outcomes)}
    return np.array([[passed[i, code] for code in row] for i, row in enumerate(written)], bool)
