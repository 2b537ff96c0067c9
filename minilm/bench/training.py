"""Training steps beside PyTorch's: time, time outside matrix products, peak memory.

`minilm bench train` prints the table. Both sides have the same GPT with the same weights, see the
same batch and take AdamW steps, PyTorch's fused; before anything is timed, their gradients are
compared.
"""

import math
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from itertools import repeat
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from minilm import backend
from minilm.bench import machine
from minilm.bench.peers import find_torch, gpt, gradient_difference, twin
from minilm.bench.rows import Race, Row, missing_row, race_of, seconds
from minilm.bench.timing import (
    UNITS,
    best_threads,
    calls_per_round,
    repeated,
    thread_counts,
    timed_row,
    use_threads,
)
from minilm.models import Config, Transformer

LEAST, GOOD, GOOD_NARROW = 1.2, 2.0, 1.3  # goals: each size; geometric mean; with BLAS held back
OUTSIDE, MEMORY = 1 / 0.35, 1 / 0.75  # goals as "how many times less"
EQUAL = 1e-5
PEER = "torch eager"


class Size(NamedTuple):
    """A model and a batch."""

    layers: int
    channels: int
    heads: int
    context: int
    vocab_size: int
    batch: int

    def config(self) -> Config:
        """The GPT of this size."""
        return gpt(self.vocab_size, self.context, self.layers, self.heads, self.channels)

    def data(self) -> tuple[np.ndarray, np.ndarray]:
        """Random ids and targets, int64 (B, T)."""
        shape = self.batch, self.context + 1
        rows = backend.rng(0, "bench").integers(0, self.vocab_size, shape)
        return np.ascontiguousarray(rows[:, :-1]), np.ascontiguousarray(rows[:, 1:])


SIZES = {
    "nano": Size(2, 32, 2, 32, 64, 4),
    "micro": Size(4, 64, 2, 64, 256, 4),
    "tiny": Size(4, 128, 4, 128, 512, 16),
    "small": Size(6, 384, 6, 256, 4096, 8),
}


def our_step(model: Transformer, ids: np.ndarray, targets: np.ndarray) -> Callable[[], float]:
    """One step as `minilm.train.train` takes it, the batch split over `backend.threads()`."""
    from minilm import optim
    from minilm.train import choose_engine

    params = model.parameters()
    optimizer = optim.AdamW(params, lr=1e-3, betas=(0.9, 0.95), weight_decay=0.1)
    engine = choose_engine(model, optimizer)
    source = engine.feed(repeat((ids, targets)))
    model.train()

    def step() -> float:
        loss = engine.gradients(source, 0)
        engine.update(1.0)
        return loss

    return step


def torch_step(model: Any, ids: np.ndarray, targets: np.ndarray) -> Callable[[], float]:
    """The same step in PyTorch, eager, with the fused AdamW."""
    import torch

    settings = {"lr": 1e-3, "betas": (0.9, 0.95), "weight_decay": 0.1, "fused": True}
    optimizer = torch.optim.AdamW(model.parameters(), **settings)
    x, y = torch.from_numpy(ids), torch.from_numpy(targets)

    def step() -> float:
        loss = model(x, y)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return loss.item()

    return step


def products(size: Size) -> list[tuple[int, int, int]]:
    """(rows, in, out) of every linear map of a step; each has one product forward, two backward."""
    n, c = size.batch * size.context, size.channels
    block = [(n, c, 3 * c), (n, c, c), (n, c, 4 * c), (n, 4 * c, c)]
    return [*block * size.layers, (n, c, size.vocab_size)]


def our_products(size: Size) -> Callable[[], None]:
    """The matrix products of a step and nothing else, as NumPy runs them."""
    held = [
        tuple(np.ones(shape, np.float32) for shape in ((n, i), (o, i), (n, o)))
        for n, i, o in products(size)
    ]

    def run() -> None:
        for x, w, g in held:
            x @ w.T, g @ w, g.T @ x

    return run


def torch_products(size: Size) -> Callable[[], None]:
    """The same products in PyTorch."""
    import torch

    held = [
        tuple(torch.ones(shape) for shape in ((n, i), (o, i), (n, o))) for n, i, o in products(size)
    ]

    def run() -> None:
        for x, w, g in held:
            x @ w.T, g @ w, g.T @ x

    return run


def check_equal(name: str, model: Transformer, other: Any, size: Size) -> None:
    """Refuse to go on where the two sides do not compute the same gradients.

    Raises:
        AssertionError: they do not.
    """
    difference = gradient_difference(model, other, *size.data())
    if not difference <= EQUAL:
        raise AssertionError(
            f"{name}: gradients differ from PyTorch's by {difference:.1e} of their norm, more "
            f"than {EQUAL:.0e}, so nothing was timed"
        )


def step_rows(names: Sequence[str], rounds: int) -> Iterator[Row]:
    """A training step of each size, on 1 and 2 threads, and the geometric mean of the ratios.

    PyTorch may use fewer threads where that is faster, as it is for small steps.
    """
    torch = find_torch()
    rows = []
    for name in names:
        size = SIZES[name]
        for threads in thread_counts():
            use_threads(threads)
            model, theirs, peer = Transformer(size.config()), None, PEER
            if torch is not None:
                other = twin(model)
                check_equal(name, model, other, size)
                theirs = torch_step(other, *size.data())
                used = best_threads(theirs, threads)
                peer = f"{PEER}, {used} thread{'s' * (used > 1)}"
            ours = our_step(model, *size.data())
            title = f"step, {name}, {threads} thread{'s' * (threads > 1)}"
            rows.append(timed_row(title, "ms", ours, theirs, peer, LEAST, rounds))
            yield rows[-1]
    yield mean_row(rows)


def mean_row(rows: list[Row]) -> Row:
    """The geometric mean of some rows' ratios; its spread is the lowest and the highest of them."""
    goal = GOOD_NARROW if machine.is_held_back() else GOOD
    name = "step, geometric mean"
    ratios = [row.ratio for row in rows if row.ratio is not None]
    if not ratios:
        return missing_row(name, "x", PEER, goal)
    mean = math.exp(sum(map(math.log, ratios)) / len(ratios))
    spread = min(ratios), max(ratios)
    return Row(name, "x", None, None, PEER, mean, spread, goal, mean >= goal)


def outside_rows(names: Sequence[str], rounds: int) -> Iterator[Row]:
    """Time of a step outside its matrix products, on one thread: the step minus the products.

    The products are those of the linear maps; attention's own count as outside, on both sides.
    """
    torch = find_torch()
    for name in names:
        title, size = f"outside matrix products, {name}", SIZES[name]
        use_threads(1)
        model = Transformer(size.config())
        sides = [(our_step(model, *size.data()), our_products(size))]
        if torch is not None:
            sides.append((torch_step(twin(model), *size.data()), torch_products(size)))
        count = calls_per_round(sides[0][0], sides[1][0] if len(sides) > 1 else None)
        sides = [tuple(repeated(function, count) for function in side) for side in sides]
        for side in sides:
            for function in side:
                function()
        left: list[list[float]] = [[] for _ in sides]
        for turn in range(rounds):
            for i in range(len(sides))[:: 1 if turn % 2 == 0 else -1]:
                whole, products_alone = map(seconds, sides[i])
                # A step is never all products, although noise can make it look so: the ratio would
                # then be infinite.
                outside = max(whole - products_alone, 0.01 * whole)
                left[i].append(outside / count * UNITS["ms"])
        race = race_of(*left) if len(sides) > 1 else Race(statistics.median(left[0]))
        times = race.ours, race.peer
        rest = race.ratio, race.spread, OUTSIDE, race.reaches(OUTSIDE)
        yield Row(title, "ms", *times, PEER, *rest)


def memory_rows(names: Sequence[str], runs: int) -> Iterator[Row]:
    """Peak memory of a process that imports what it needs and takes three steps on one thread."""
    torch = find_torch()
    for name in names:
        title = f"peak memory, {name}, imports included"
        if torch is None:
            alone = statistics.median(measured_peak("ours", name) for _ in range(runs))
            yield Row(title, "MB", alone, None, PEER, None, None, MEMORY, None)
            continue
        pairs = [(measured_peak("ours", name), measured_peak("torch", name)) for _ in range(runs)]
        ratios = [theirs / ours for ours, theirs in pairs]
        ratio = statistics.median(ratios)
        peaks = [statistics.median(side) for side in zip(*pairs)]
        spread = min(ratios), max(ratios)
        yield Row(title, "MB", *peaks, PEER, ratio, spread, MEMORY, ratio >= MEMORY)


def measured_peak(side: str, name: str) -> float:
    """Peak memory in MB of a fresh process that trains: `side` is "ours" or "torch"."""
    code = f"from minilm.bench.training import print_peak; print_peak({side!r}, {name!r})"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"the process that measures memory failed: {done.stderr.strip()}")
    return float(done.stdout.split()[-1])


def print_peak(side: str, name: str) -> None:
    """Take three steps in this process and print its peak memory in MB.

    PyTorch's process also carries our imports, NumPy and this module, less than a tenth of its own;
    it makes its own weights, and neither Numba nor SciPy is loaded there.
    """
    size = SIZES[name]
    data = size.data()
    if side == "ours":
        backend.keep_freed_memory()
        use_threads(1)
        step = our_step(Transformer(size.config()), *data)
    else:
        import torch

        torch.set_num_threads(1)
        step = torch_step(twin(Transformer(size.config(), allocate=False)), *data)
    for _ in range(3):
        step()
    print(peak_memory() / 1e6)


def peak_memory() -> float:
    """The most memory that this process has held, in bytes.

    On Linux, `getrusage` counts a parent's memory as its child's peak; /proc does not.
    """
    if sys.platform.startswith("linux"):
        for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
            if line.startswith("VmHWM:"):
                return float(line.split()[1]) * 1024
    from minilm.train.watch import peak_memory as unix_peak

    peak = unix_peak()
    if peak is None:  # Windows
        import psutil

        peak = psutil.Process().memory_info().peak_wset
    return float(peak)


def run(quick: bool = False) -> Iterator[Row]:
    """Each row as it is measured; about four minutes, or one where `quick`."""
    before = backend.threads()
    find_torch()  # loaded now, so that the thread counts set below hold for it too
    backend.keep_freed_memory()
    names = tuple(SIZES)
    try:
        yield from step_rows(names, 5 if quick else 15)
        yield from outside_rows(names, 5 if quick else 11)
        yield from memory_rows(names[-2:] if quick else names, 1 if quick else 3)
    finally:
        use_threads(before)
