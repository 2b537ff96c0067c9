"""What a run in the emulator reports: counts that a learner can reduce, or an error and where."""

from __future__ import annotations

from dataclasses import dataclass, field


class EmulatorError(RuntimeError):
    """A kernel did something wrong, or could not be run.

    Attributes:
        kernel: its name; like all others, None where it is not known.
        block, thread: (x, y, z).
        path, line: of the source.
    """

    def __init__(
        self,
        message: str,
        *,
        kernel: str | None = None,
        block: tuple[int, int, int] | None = None,
        thread: tuple[int, int, int] | None = None,
        path: str | None = None,
        line: int | None = None,
    ) -> None:
        self.kernel, self.block, self.thread = kernel, block, thread
        self.path, self.line = path, line
        place = []
        if kernel:
            place.append(kernel)
        if block is not None:
            place.append(f"block {block}")
        if thread is not None:
            place.append(f"thread {thread}")
        if line:
            place.append(f"{path or 'line'}:{line}" if path else f"line {line}")
        super().__init__(f"{', '.join(place)}: {message}" if place else message)


@dataclass(frozen=True)
class HotLine:
    """A source line that costs more than necessary: what is wrong, and by how much."""

    place: str
    problem: str
    excess: int


@dataclass
class Report:
    """Counts of one launch, summed over all warps of all blocks.

    A *request* is one load or store instruction of one warp. Device memory moves in sectors of 32
    bytes: `sectors` were touched, `ideal_sectors` would hold the bytes asked for. `uncoalesced`
    counts requests that touched at least two sectors more than they needed. Shared memory has 32
    banks of 4 bytes: `bank_conflicts` counts the extra rounds. `divergence` counts the stretches of
    code that a warp ran with some of its live lanes switched off.
    """

    kernel: str
    grid: tuple[int, int, int]
    block: tuple[int, int, int]
    barriers: int = 0
    warp_barriers: int = 0
    divergence: int = 0
    lane_efficiency: float = 1.0
    global_reads: int = 0
    global_writes: int = 0
    sectors: int = 0
    ideal_sectors: int = 0
    uncoalesced: int = 0
    shared_requests: int = 0
    bank_conflicts: int = 0
    schedules: tuple[str, ...] = ()
    hot_lines: list[HotLine] = field(default_factory=list)
    touches: list[Touch] = field(default_factory=list, repr=False)

    @property
    def coalescing(self) -> float:
        """The share of the moved sectors that was needed: 1.0 is perfect."""
        return self.ideal_sectors / self.sectors if self.sectors else 1.0

    def __str__(self) -> str:
        rows = [
            ("block barriers", self.barriers),
            ("warp operations", self.warp_barriers),
            ("divergent stretches", self.divergence),
            ("device memory requests", self.global_reads + self.global_writes),
            ("  sectors moved / needed", f"{self.sectors} / {self.ideal_sectors}"),
            ("  uncoalesced requests", self.uncoalesced),
            ("shared memory requests", self.shared_requests),
            ("  bank conflicts", self.bank_conflicts),
        ]
        head = f"{self.kernel}  grid {self.grid}  block {self.block}"
        text = [head, *(f"  {name:<28}{value}" for name, value in rows)]
        text += [f"  {h.place}: {h.problem} ({h.excess})" for h in self.hot_lines[:5]]
        return "\n".join(text)


@dataclass(frozen=True)
class Touch:
    """One access of one thread, for figures that show what each thread touches.

    `argument` is the index of the kernel argument, or -1 for shared memory (-2 if dynamic);
    `element` counts array elements for an argument and bytes for shared memory.
    """

    block: int
    thread: int
    argument: int
    kind: str
    element: int
    line: int
