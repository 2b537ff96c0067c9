"""Single operations beside PyTorch's: the tape, attention, norm, loss, experts, optimizer.

`minilm bench kernels` prints the table. Every operation goes through the package's public functions
and its tape, forward and backward, as in a step of a model.
"""

import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from minilm import Tensor, backend, optim, primitive
from minilm import functional as F
from minilm.bench.experts import expert_rows
from minilm.bench.peers import find_torch
from minilm.bench.rows import Row, seconds
from minilm.bench.timing import limit_row, thread_counts, timed_row, use_threads
from minilm.bench.training import peak_memory

CHAIN = 100  # operations in a row, so that the loop around them does not matter
BOOKKEEPING = 2.0  # microseconds
HEAD = 64
ATTENTION = {256: (8, 6), 512: (4, 6), 1024: (2, 6), 2048: (1, 4), 4096: (1, 2)}  # T: (B, H)
PEER = "torch"


@primitive
def _same(x: np.ndarray) -> tuple:
    """Do nothing: what remains is the tape's own work."""
    return x, lambda g: (g,)


def bookkeeping_row(rounds: int) -> Row:
    """Microseconds of an operation that computes nothing, forward and backward."""
    x = Tensor(np.ones((4, 4), np.float32), requires_grad=True)
    one = np.ones((4, 4), np.float32)

    def chain() -> None:
        a = x
        for _ in range(CHAIN):
            a = _same(a)
        a.backward(one)
        x.grad = None

    def hundred() -> None:
        for _ in range(100):
            chain()

    hundred()
    values = [seconds(hundred) / 100 / CHAIN * 1e6 for _ in range(rounds)]
    return limit_row("tape, bookkeeping of an operation", "us", values, BOOKKEEPING)


def smallest_row(rounds: int) -> Row:
    """The smallest operations, sums and products of 4 x 4 numbers, forward and backward."""
    name, goal = "tape, operation on 4 x 4", 1 / 0.4
    torch = find_torch()
    x, y = (Tensor(np.ones((4, 4), np.float32), requires_grad=True) for _ in range(2))
    one = np.ones((4, 4), np.float32)

    def ours() -> None:
        a = x
        for _ in range(CHAIN // 2):
            a = a * y + y
        a.backward(one)
        x.grad = y.grad = None

    if torch is None:
        return timed_row(name, "us", ours, None, PEER, goal, rounds, work=CHAIN)
    tx, ty = (torch.ones(4, 4, requires_grad=True) for _ in range(2))
    torch_one = torch.ones(4, 4)

    def theirs() -> None:
        a = tx
        for _ in range(CHAIN // 2):
            a = a * ty + ty
        a.backward(torch_one)
        tx.grad = ty.grad = None

    return timed_row(name, "us", ours, theirs, PEER, goal, rounds, work=CHAIN)


def attention_pair(batch: int, time: int, heads: int) -> tuple[Callable, Callable | None]:
    """Causal attention from packed queries, keys and values to mixed values, and back."""
    torch = find_torch()
    width = heads * HEAD
    packed = backend.rng(0, "bench").standard_normal((batch, time, 3 * width), np.float32)
    gradient = np.ones((batch, time, width), np.float32)
    x = Tensor(packed, requires_grad=True)

    def ours() -> None:
        F.self_attention(x, heads, heads, causal=True).backward(gradient)
        x.grad = None

    if torch is None:
        return ours, None
    tx, torch_gradient = torch.tensor(packed, requires_grad=True), torch.from_numpy(gradient)

    def theirs() -> None:
        parts = tx.view(batch, time, 3, heads, HEAD).permute(2, 0, 3, 1, 4).unbind(0)
        y = torch.nn.functional.scaled_dot_product_attention(*parts, is_causal=True)
        y.transpose(1, 2).reshape(batch, time, width).backward(torch_gradient)
        tx.grad = None

    return ours, theirs


def attention_rows(lengths: Sequence[int], rounds: int) -> Iterator[Row]:
    """Attention at several lengths; heads of 64 channels, one thread."""
    for time in lengths:
        batch, heads = ATTENTION[time]
        name = f"attention, causal, T {time}"
        pair = attention_pair(batch, time, heads)
        yield timed_row(name, "ms", *pair, "torch SDPA", 2.0, rounds)


def attention_memory_row(short: int, long: int) -> Row:
    """How much more memory attention takes for a longer sequence, against linear growth."""
    taken = []
    for time in (short, long):
        code = f"from minilm.bench.kernels import print_attention; print_attention({time})"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"the process that measures memory failed: {done.stderr.strip()}")
        taken.append(float(done.stdout.split()[-1]))
    growth, straight = taken[1] / taken[0], long / short
    ratio = straight / growth
    name = f"attention, memory at T {long} over T {short}"
    return Row(
        name, "x", growth, straight, "linear growth", ratio, (ratio, ratio), 0.9, ratio > 0.9
    )


def print_attention(time: int) -> None:
    """Print the bytes that attention, forward and backward, adds to this process's peak."""
    use_threads(1)
    attention_pair(1, 64, 2)[0]()  # loads and compiles
    before = peak_memory()
    attention_pair(1, time, 2)[0]()
    print(peak_memory() - before)


def norm_row(rounds: int) -> Row:
    """Layer norm of 2048 rows of 384 channels, forward and backward, one thread."""
    name, goal = "layer norm, 2048 x 384", 1.5
    torch = find_torch()
    rng = backend.rng(0, "bench")
    data = rng.standard_normal((2048, 384), np.float32)
    gradient = rng.standard_normal((2048, 384), np.float32)
    held = [data, np.ones(384, np.float32), np.zeros(384, np.float32)]
    x, w, b = (Tensor(array, requires_grad=True) for array in held)

    def ours() -> None:
        F.layer_norm(x, w, b).backward(gradient)
        x.grad = w.grad = b.grad = None

    if torch is None:
        return timed_row(name, "ms", ours, None, PEER, goal, rounds)
    tx, tw, tb = (torch.tensor(array, requires_grad=True) for array in held)
    torch_gradient = torch.from_numpy(gradient)

    def theirs() -> None:
        torch.nn.functional.layer_norm(tx, (384,), tw, tb).backward(torch_gradient)
        tx.grad = tw.grad = tb.grad = None

    return timed_row(name, "ms", ours, theirs, PEER, goal, rounds)


def loss_row(rounds: int) -> Row:
    """Cross-entropy of 256 rows of 32,000 logits, forward and backward, one thread."""
    name, goal = "cross-entropy, 256 x 32,000", 1.5
    torch = find_torch()
    rng = backend.rng(0, "bench")
    logits = rng.standard_normal((256, 32_000), np.float32)
    targets = rng.integers(0, 32_000, 256)
    x = Tensor(logits, requires_grad=True)

    def ours() -> None:
        F.cross_entropy(x, targets).backward()
        x.grad = None

    if torch is None:
        return timed_row(name, "ms", ours, None, PEER, goal, rounds)
    tx, torch_targets = torch.tensor(logits, requires_grad=True), torch.from_numpy(targets)

    def theirs() -> None:
        torch.nn.functional.cross_entropy(tx, torch_targets).backward()
        tx.grad = None

    return timed_row(name, "ms", ours, theirs, PEER, goal, rounds)


def optimizer_row(rounds: int, threads: int = 1) -> Row:
    """An AdamW step over 20 matrices of 384 x 1536, PyTorch's fused."""
    name = f"AdamW step, 11.8 million weights, {threads} thread{'s' * (threads > 1)}"
    torch = find_torch()
    use_threads(threads)
    rng = backend.rng(0, "bench")
    arrays = [rng.standard_normal((384, 1536), np.float32) for _ in range(20)]
    ours: list[Any] = [Tensor(array.copy(), requires_grad=True) for array in arrays]
    for mine, array in zip(ours, arrays):
        mine.grad = array
    settings = {"lr": 1e-3, "betas": (0.9, 0.95), "weight_decay": 0.1}
    step = optim.AdamW(ours, **settings).step
    if torch is None:
        return timed_row(name, "ms", step, None, "torch fused", 1.0, rounds)
    theirs: list[Any] = [torch.tensor(array, requires_grad=True) for array in arrays]
    for other, array in zip(theirs, arrays):
        other.grad = torch.tensor(array)
    other_step = torch.optim.AdamW(theirs, fused=True, **settings).step
    row = timed_row(name, "ms", step, other_step, "torch fused", 1.0, rounds)
    for mine, other in zip(ours, theirs):
        np.testing.assert_allclose(mine.data, other.detach().numpy(), rtol=1e-4, atol=1e-5)
    return row


def run(quick: bool = False) -> Iterator[Row]:
    """Each row as it is measured; about a minute, or half a minute where `quick`."""
    before = backend.threads()
    find_torch()  # loaded now, so that the thread counts set below hold for it too
    backend.keep_freed_memory()
    rounds = 5 if quick else 15
    try:
        use_threads(1)
        yield bookkeeping_row(rounds)
        yield smallest_row(rounds)
        yield from attention_rows((256, 1024) if quick else tuple(ATTENTION), rounds)
        yield attention_memory_row(4096, 8192)
        yield norm_row(rounds)
        yield loss_row(rounds)
        yield from expert_rows(rounds, quick)
        for threads in thread_counts():
            yield optimizer_row(rounds, threads)
    finally:
        use_threads(before)
