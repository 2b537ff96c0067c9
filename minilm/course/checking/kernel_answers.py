"""A student's CUDA kernel in the emulator: what it computes, and what it costs.

    run = launch(student, "transpose_tiles", (2, 2), (32, 8), x, y)
    close(run.arrays[1], x.T, dtype=np.float32, what="y")
    run.check_costs(sectors=256, bank_conflicts=0)

The student's side only hands over the kernel's text. It is looked through (`kernel_rules`) and
launched elsewhere, so neither the counts nor the order of the threads are the student's to choose.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from minilm.course.checking.expect import Wrong
from minilm.course.checking.kernel_rules import Program, RuleError, read
from minilm.course.checking.student import Student
from minilm.emulator import SCHEDULES

SECONDS = 2  # of processor time; then the emulator names the line where a launch still runs
TOO_LONG = "still running when the time limit"
NAMES = {
    "sectors": ("sectors of device memory", "sectors more than needed"),
    "barriers": ("block barriers", ""),
    "bank_conflicts": ("bank conflicts", "bank conflicts"),
    "shared_requests": ("requests to shared memory", ""),
}


@dataclass(frozen=True)
class Run:
    """One launch: the array arguments afterwards, the emulator's counts, its costly lines."""

    program: Program
    arrays: list[np.ndarray]
    counts: dict[str, float]
    hot: list[list]

    def check_costs(self, **most: int) -> None:
        """Refuse a launch in which a count, such as `sectors`, is larger than its bound."""
        for name, bound in most.items():
            found = self.counts[name]
            if found > bound:
                words, problem = NAMES[name]
                at = next((line for line, what, _ in self.hot if what == problem), None)
                where = self.program.quote(at).replace("(in", "(most of it in")
                raise Wrong("cost", f"{found} {words}, and {bound} would do{where}")


def launch(
    student: Student,
    name: str,
    grid: int | Sequence[int],
    block: int | Sequence[int],
    *arguments: Any,
    schedules: Sequence[str] = SCHEDULES,
) -> Run:
    """Launch the student's kernel in the emulator.

    Args:
        student: as a test gets it.
        name: of the kernel.
        grid, block: as CUDA takes them.
        arguments: arrays, which are copied, and numbers.
        schedules: orders of the threads, see `minilm.emulator`; the first is watched and counted.

    Raises:
        Wrong: "kernel" for what the emulator found, or for what is no kernel; "time".
    """
    try:
        program = read(student.kernel_source(name))
    except RuleError as error:
        raise Wrong("kernel", str(error)) from None
    plain = {"kernel": program.kernel, "functions": program.functions, "names": program.names}
    how = {"schedules": list(schedules), "timeout": SECONDS}
    copies = [a.copy() if isinstance(a, np.ndarray) else a for a in arguments]
    answer = student.run_kernel(plain, grid, block, copies, how)
    if "error" in answer:
        kind = "time" if TOO_LONG in answer["error"] else "kernel"
        raise Wrong(kind, answer["error"] + program.quote(answer["line"]))
    return Run(program, answer["arrays"], answer["counts"], answer["hot"])
