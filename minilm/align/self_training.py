"""Compute turned into data: write, run, keep what is right, learn from it, and again.

STaR (Zelikman et al. 2022, arXiv 2203.14465) and rejection sampling for code do this. A task needs
no solution, only a way to tell one: then every sample that passes is a new example, and the model
that learned from it passes more.
"""

from collections.abc import Callable, Hashable, Sequence
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from minilm.errors import InputError

if TYPE_CHECKING:
    from minilm.sandbox.programs import Programs

Problem = TypeVar("Problem", bound=Hashable)
Write = Callable[[Sequence[Problem], int], Sequence[Sequence[str]]]


class Round(NamedTuple):
    """What came of one round.

    Attributes:
        kept: (task, program) of every different program that passed, in the order of the tasks.
        solved: the tasks with at least one, in their order.
        tried: programs that were written.
        passed: how many of them passed, repeats counted.
    """

    kept: list[tuple]
    solved: list
    tried: int
    passed: int


def self_train_round(
    write: Write,
    tasks: Sequence[Problem],
    execute: Callable[[Problem, str], bool],
    tries: int = 8,
) -> Round:
    """Let a model write programs for tasks and keep those that pass.

    Args:
        write: (tasks, tries) -> for each task the programs that the model wrote.
        tasks: what to solve; no solution is known.
        execute: (task, program) -> whether it is right. Equal programs of a task are run once.
        tries: programs for each task.

    Raises:
        InputError: no task, fewer than one try, or a model that wrote for another number of tasks.
    """
    if not len(tasks):
        raise InputError("tasks is empty; there must be at least one")
    if tries < 1:
        raise InputError(f"tries is {tries}; it must be 1 or more")
    written = write(tasks, tries)
    if len(written) != len(tasks):
        raise InputError(f"write gave programs for {len(written)} tasks; it was asked {len(tasks)}")
    kept, solved, tried, passed = [], [], 0, 0
    for task, programs in zip(tasks, written, strict=True):
        right = {program: bool(execute(task, program)) for program in dict.fromkeys(programs)}
        tried += len(programs)
        passed += sum(right[program] for program in programs)
        good = [program for program, ok in right.items() if ok]
        kept += [(task, program) for program in good]
        if good:
            solved.append(task)
    return Round(kept, solved, tried, passed)


def sandboxed(
    programs: "Programs",
    tests_of: Callable[[Problem], Sequence],
    code_of: Callable[[Problem, str], str],
) -> Callable[[Problem, str], bool]:
    """An `execute` that runs programs behind the wall, for programs that may do anything.

    Args:
        programs: warm workers.
        tests_of: task -> calls with the values that they must return.
        code_of: (task, program) -> Python source.
    """

    def execute(task: Problem, program: str) -> bool:
        return programs.run(code_of(task, program), tests_of(task)).passed

    return execute
