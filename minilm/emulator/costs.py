"""Prices the accesses of a warp: sectors of device memory, rounds of shared memory, idle lanes.

The same rules as in memory.h, for kernels that run as Python.
"""

from __future__ import annotations

import os
from collections import defaultdict

from .report import HotLine, Report, Touch


def sectors(spans: list[tuple[int, int]]) -> tuple[int, int]:
    """How many sectors of 32 bytes the spans (start, size) touch, and how many would suffice."""
    touched = {s for start, size in spans for s in range(start // 32, (start + size - 1) // 32 + 1)}
    count = end = 0
    for start, size in sorted(set(spans)):
        begin = max(start, end)
        if start + size > begin:
            count += start + size - begin
            end = start + size
    return len(touched), (count + 31) // 32


def rounds(offsets: list[tuple[int, int]], size: int) -> tuple[int, int]:
    """Rounds that 32 banks need to serve (lane, byte offset) requests, and the fewest possible."""
    lanes = 8 if size >= 16 else 16 if size >= 8 else 32
    cost = ideal = 0
    for first in range(0, 32, lanes):
        words = {
            (offset + b) // 4
            for lane, offset in offsets
            if first <= lane < first + lanes
            for b in range(0, max(size, 4), 4)
        }
        if not words:
            continue
        banks = [0] * 32
        for word in words:
            banks[word % 32] += 1
        cost += max(banks)
        ideal += 1
    return cost, ideal


class Costs:
    """Collects the accesses of each thread until its warp meets, then prices them together."""

    def __init__(self, record: bool) -> None:
        self.record = record
        self.logs: dict[int, list[tuple]] = defaultdict(list)
        self.report = Report("", (1, 1, 1), (1, 1, 1))
        self.excess: dict[tuple[str, str], int] = defaultdict(int)
        self.ran = self.active = 0
        self.touches: list[Touch] = []

    def access(
        self, thread: int, site: tuple, file: str, kind: str, argument: int, offset: int, size: int
    ) -> None:
        self.logs[thread].append((site, file, kind, argument, offset, size))

    def step(self, thread: int, line: int) -> None:
        self.logs[thread].append((line, "", "step", 0, 0, 0))

    def price(self, low: int, high: int) -> None:
        """Prices what the warp of threads low to high - 1 did since it last met."""
        groups: dict[tuple, list[tuple[int, tuple]]] = defaultdict(list)
        live = 0
        for thread in range(low, high):
            log = self.logs.pop(thread, None)
            if not log:
                continue
            live += 1
            seen: dict[tuple, int] = defaultdict(int)
            for entry in log:
                key = (entry[0], entry[2], entry[3])
                groups[(*key, seen[key])].append((thread - low, entry))
                seen[key] += 1
        r = self.report
        for (_, kind, argument, _), members in groups.items():
            if kind == "step":
                self.ran += 1
                self.active += len(members)
                r.divergence += len(members) < live
                continue
            site, file, *_, size = members[0][1]
            if argument < 0:
                cost, ideal = rounds([(lane, e[4]) for lane, e in members], size)
                r.shared_requests += 1
                r.bank_conflicts += cost - ideal
                problem = "bank conflicts"
            else:
                cost, ideal = sectors([(e[4], e[5]) for _, e in members])
                r.sectors += cost
                r.ideal_sectors += ideal
                r.uncoalesced += cost - ideal > 1
                r.global_reads += kind == "read"
                r.global_writes += kind != "read"
                problem = "sectors more than needed"
            if cost > ideal:
                place = f"{os.path.basename(file)}:{site[1]}"
                self.excess[place, problem] += cost - ideal

    def fill(self, report: Report) -> None:
        """Copies the totals into the report of a launch."""
        for name in (
            "divergence", "global_reads", "global_writes", "sectors", "ideal_sectors",
            "uncoalesced", "shared_requests", "bank_conflicts",
        ):  # fmt: skip
            setattr(report, name, int(getattr(self.report, name)))
        size = min(32, report.block[0] * report.block[1] * report.block[2])
        report.lane_efficiency = self.active / (self.ran * size) if self.ran else 1.0
        ordered = sorted(self.excess.items(), key=lambda item: -item[1])
        report.hot_lines = [HotLine(place, problem, n) for (place, problem), n in ordered]
        report.touches = self.touches
