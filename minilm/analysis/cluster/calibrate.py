"""Links and seconds measured on the machine at hand, and a step predicted from them.

All of it runs inside a worker of any communicator, so the same lines calibrate a laptop's two
processes and a cluster's thousand.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minilm.analysis.cluster.machines import Link
from minilm.errors import InputError

SIZES = tuple(2**k for k in range(10, 24, 2))  # bytes of the messages that calibrate a link


def fit_link(sizes: Sequence[float], seconds: Sequence[float]) -> Link:
    """alpha and beta from measured times: seconds = alpha + size / beta.

    Least squares of the relative error, so that small messages count as much as large ones; neither
    number is below 0.

    Args:
        sizes: bytes, of at least two different lengths.
        seconds: of each.

    Raises:
        InputError: fewer than two sizes, a time that is not above 0, or times that do not grow.
    """
    size, taken = np.asarray(sizes, dtype=np.float64), np.asarray(seconds, dtype=np.float64)
    if size.shape != taken.shape or len(set(size.tolist())) < 2:
        raise InputError(
            f"sizes are {list(sizes)} with {taken.size} times; there must be two sizes or more, "
            "and a time for each"
        )
    if not (taken > 0).all():
        raise InputError(f"seconds are {taken.tolist()}; each must be above 0")
    rows = np.stack([1 / taken, size / taken], axis=1)  # (N, 2): relative error
    (alpha, slope), *_ = np.linalg.lstsq(rows, np.ones_like(taken), rcond=None)
    if alpha < 0:
        alpha, slope = 0.0, float((size / taken).sum() / ((size / taken) ** 2).sum())
    if slope <= 0:
        raise InputError("the times do not grow with the sizes; measure larger messages")
    return Link(float(alpha), 1 / float(slope))


def measure_collectives(
    comm: Any, sizes: Sequence[int] = SIZES, repeats: int = 9
) -> dict[str, Link]:
    """What an all_reduce, a reduce_scatter and an all_gather of so many bytes take, per collective.

    Args:
        comm: a communicator (`minilm.parallel`); every rank calls this.
        sizes: bytes of the array that all ranks share in the end.
        repeats: of each; the median counts, then the slowest rank's.

    Returns:
        Operation -> link, whose size is the whole array's. The same on every rank.
    """
    calls = {
        "all_reduce": comm.all_reduce,
        "reduce_scatter": comm.reduce_scatter,
        "all_gather": lambda x: comm.all_gather(x[: max(1, x.size // comm.size)]),
    }
    links = {}
    for name, call in calls.items():
        taken = []
        for size in sizes:
            x = np.ones(max(comm.size, size // 4), dtype=np.float32)
            call(x)
            times = []
            for _ in range(repeats):
                comm.barrier()
                began = time.perf_counter()
                call(x)
                times.append(time.perf_counter() - began)
            taken.append(float(comm.all_reduce(np.array([np.median(times)]), "max")[0]))
        links[name] = fit_link(sizes, taken)
    return links


def measure_work(comm: Any, work: Callable[[], Any], repeats: int = 5) -> float:
    """Seconds of this rank's own work while all others do theirs; the slowest rank's median.

    Ranks of one machine share its memory and cores, so work is measured on all at once.
    """
    work()
    times = []
    for _ in range(repeats):
        comm.barrier()
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return float(comm.all_reduce(np.array([np.median(times)]), "max")[0])


def predicted_step(
    work: float,
    update: float,
    units: Sequence[float],
    links: dict[str, Link],
    stage: int = 0,
    element: int = 4,
) -> float:
    """Seconds of a data-parallel step whose messages wait for each other and for nobody else.

    Stage 0 sums each unit's gradients by one all_reduce; stages 1 and 2 scatter the sums and gather
    the weights; stage 3 gathers the weights once more.

    Args:
        work: seconds of forward and backward of one rank's share, see `measure_work`.
        update: seconds of the optimizer over what one rank keeps.
        units: numbers in each array that is reduced at once, such as the parameters of each block.
        links: see `measure_collectives`.
        stage: of ZeRO.
        element: bytes of a number.

    Raises:
        InputError: the stage is none.
    """
    if stage not in (0, 1, 2, 3):
        raise InputError(f"stage is {stage}; it must be 0, 1, 2 or 3")
    sent = 0.0
    for numbers in units:
        size = element * numbers
        if stage == 0:
            sent += links["all_reduce"].seconds(size)
        else:
            sent += links["reduce_scatter"].seconds(size)
            sent += (2 if stage == 3 else 1) * links["all_gather"].seconds(size)
    return work + update + sent
