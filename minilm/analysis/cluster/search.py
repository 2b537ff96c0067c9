"""The best layouts of a cluster for a job; where none fits, what would be needed."""

import heapq
import math
from collections.abc import Iterator

from minilm.analysis.cluster.layouts import RECOMPUTE, Job, Layout
from minilm.analysis.cluster.machines import Machine
from minilm.analysis.cluster.predict import Prediction, predict
from minilm.errors import InputError

MOST_DEVICES = 2**17
MICRO = (1, 2, 4, 8, 16)  # texts of a micro-batch that are tried
PIECES = (1, 2, 4, 8)
LEAST_CONTEXT = 1024  # tokens that a context rank keeps at least


def _divisors(number: int, most: int) -> list[int]:
    return [n for n in range(1, min(number, most) + 1) if number % n == 0]


def layouts(job: Job, devices: int, node: int = 8) -> Iterator[Layout]:
    """Every layout that is worth trying: tensor ranks stay in a node, stages 2 and 3 without
    pipelines, because they would move gradients and weights again for each micro-batch.

    Args:
        job: what a step must do.
        devices: how many there are; all of them are used.
        node: devices of one node.

    Raises:
        InputError: `devices` is out of range.
    """
    if not 1 <= devices <= MOST_DEVICES:
        raise InputError(f"devices is {devices}; it must lie between 1 and {MOST_DEVICES:,}")
    s = job.sizes
    for tp in _divisors(math.gcd(devices, s.heads, s.kv_heads, s.width), node):
        for pp in _divisors(math.gcd(devices // tp, s.layers), s.layers):
            left = devices // tp // pp
            for cp in _divisors(left, max(1, job.length // LEAST_CONTEXT)):
                dp = left // cp
                if job.length % (2 * cp) and cp > 1 or job.batch % dp:
                    continue
                for ep in _divisors(math.gcd(dp, s.experts), s.experts):
                    yield from _finer(job, dp, tp, pp, cp, ep)


def _finer(job: Job, dp: int, tp: int, pp: int, cp: int, ep: int) -> Iterator[Layout]:
    per_stage = job.sizes.layers // pp
    for stage in (1,) if pp > 1 else (1, 2, 3):
        for micro in MICRO:
            if job.batch % (dp * micro):
                continue
            batches = job.batch // (dp * micro)
            for pieces in PIECES if pp > 1 and batches % pp == 0 else (1,):
                if per_stage % pieces:
                    continue
                for recompute in RECOMPUTE[1:]:
                    yield Layout(dp, tp, pp, cp, ep, stage, recompute, micro, pieces)


def search(
    job: Job, machine: Machine, devices: int, most: int = 5
) -> tuple[list[Prediction], Prediction, Prediction]:
    """The quickest layouts that fit, the quickest of all, and the one that holds least.

    Args:
        job: what a step must do.
        machine: its devices.
        devices: how many.
        most: answers at most; each differs from the others in dp, tp, pp, cp or ep.

    Returns:
        Those that fit, quickest first (none, where none fits); the quickest if memory had no end;
        the one that takes the least memory.

    Raises:
        InputError: `devices` is out of range, or no layout uses all of them.
    """
    best: dict[tuple[int, ...], Prediction] = {}
    quickest = leanest = None
    for layout in layouts(job, devices, machine.node):
        found = predict(job, machine, layout)
        if quickest is None or found.step < quickest.step:
            quickest = found
        if leanest is None or found.held < leanest.held:
            leanest = found
        cut = (layout.dp, layout.tp, layout.pp, layout.cp, layout.ep)
        if found.fits and (cut not in best or found.step < best[cut].step):
            best[cut] = found
    if quickest is None or leanest is None:
        raise InputError(
            f"devices is {devices}; no layout of {job.batch} texts over all of them was found. "
            f"Its factors must divide the batch, the {job.sizes.layers} layers or the "
            f"{job.sizes.heads} heads"
        )
    return heapq.nsmallest(most, best.values(), key=lambda p: p.step), quickest, leanest


def smallest(job: Job, machine: Machine, devices: int) -> int | None:
    """The smallest number of devices, `devices` doubled again and again, on which the job fits.

    The batch grows with them where it has fewer texts than there would be data ranks.
    """
    while devices <= MOST_DEVICES:
        try:
            if search(job, machine, devices, most=1)[0]:
                return devices
        except InputError:
            pass
        devices *= 2
    return None
