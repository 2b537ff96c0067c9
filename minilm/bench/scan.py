"""The selective scan beside loops in NumPy and PyTorch, and beside PyTorch's cumulative operations.

A scan token by token is what NumPy and PyTorch offer no operation for. What they have is cumulative
sums, and h_t = exp(s_t) sum over i <= t of exp(-s_i) delta_i B_i x_i, with s the cumulative sum of
delta A, is one. In logarithms it neither overflows nor vanishes (arXiv 2311.06281), and it needs an
array of (B, T, E, N) numbers several times over.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from minilm import Tensor, backend, kernels
from minilm import functional as F
from minilm.bench.peers import find_torch
from minilm.bench.rows import Row
from minilm.bench.timing import timed_row, use_threads

SIZES = (4, 256, 256, 16)  # rows, tokens, channels, states: a layer of width 128
SHORT = (1, 64, 32, 16)
HEADS = (4, 4, 256, 32)  # rows, heads, tokens, size
LOOP, TORCH, CUMULATIVE = "a loop in NumPy", "a loop in torch", "torch, cumulative"


def inputs(rows: int, time: int, channels: int, states: int) -> list[np.ndarray]:
    """x, delta, A, B and C as a layer that has just been made would give them."""
    rng = backend.rng(0, "bench", "scan")
    x = rng.standard_normal((rows, time, channels), np.float32)
    delta = np.exp(rng.uniform(np.log(0.001), np.log(0.1), x.shape)).astype(np.float32)
    a = -np.tile(np.arange(1, states + 1, dtype=np.float32), (channels, 1))
    b, c = (rng.standard_normal((rows, time, states), np.float32) for _ in range(2))
    return [x, delta, a, b, c]


def forward_and_back(given: list[np.ndarray]) -> Callable[[], np.ndarray]:
    """Our scan and all its gradients, through the tape."""
    tensors = [Tensor(part, requires_grad=True) for part in given]
    gradient = np.ones(given[0].shape, np.float32)

    def run() -> np.ndarray:
        y = F.selective_scan(*tensors)
        y.backward(gradient)
        for tensor in tensors:
            tensor.grad = None
        return y.data

    return run


def by_reference(run: Callable[[], np.ndarray]) -> Callable[[], np.ndarray]:
    """The same in the tier that is a loop over tokens, in NumPy."""

    def slow() -> np.ndarray:
        with kernels.use("reference"):
            return run()

    return slow


def in_torch(given: list[np.ndarray], scan: Callable[..., Any]) -> Callable[[], np.ndarray] | None:
    """The same in PyTorch, by a function of its five tensors; None without PyTorch."""
    torch = find_torch()
    if torch is None:
        return None
    tensors = [torch.tensor(part, requires_grad=True) for part in given]
    gradient = torch.ones(given[0].shape)

    def run() -> np.ndarray:
        y = scan(torch, *tensors)
        y.backward(gradient)
        for tensor in tensors:
            tensor.grad = None
        return y.detach().numpy()

    return run


def looped(torch: Any, x: Any, delta: Any, a: Any, b: Any, c: Any) -> Any:
    """Token after token, as `transformers` does it where no kernel is installed."""
    decay = torch.exp(delta[..., None] * a)  # (B, T, E, N)
    entering = (delta * x)[..., None] * b[:, :, None]
    h, out = torch.zeros_like(entering[:, 0]), []
    for t in range(x.shape[1]):
        h = decay[:, t] * h + entering[:, t]
        out.append((h @ c[:, t, :, None])[..., 0])  # (B, E, N) @ (B, N, 1)
    return torch.stack(out, 1)


def cumulative(torch: Any, x: Any, delta: Any, a: Any, b: Any, c: Any) -> Any:
    """By `cumsum` and `logcumsumexp`; logarithms take one sign at a time."""
    s = torch.cumsum(delta[..., None] * a, 1)  # (B, T, E, N)
    entering = (delta * x)[..., None] * b[:, :, None]

    def summed(part: Any) -> Any:
        return torch.exp(s + torch.logcumsumexp(torch.log(part.clamp_min(1e-30)) - s, 1))

    return ((summed(entering) - summed(-entering)) * c[:, :, None]).sum(-1)


def scan_rows(sizes: tuple[int, int, int, int], rounds: int) -> Iterator[Row]:
    """Forward and backward, one thread, beside all three; the outputs have to agree."""
    given = inputs(*sizes)
    name = "selective scan, {} x {} tokens, {} channels, {} states".format(*sizes)
    ours = forward_and_back(given)
    peers = (
        (LOOP, by_reference(ours), 5.0),
        (TORCH, in_torch(given, looped), 5.0),
        (CUMULATIVE, in_torch(given, cumulative), 3.0),
    )
    for peer, run, goal in peers:
        if run is not None:
            np.testing.assert_allclose(ours(), run(), rtol=1e-3, atol=1e-3)
        yield timed_row(name, "ms", ours, run, peer, goal, rounds)


def linear_row(sizes: tuple[int, int, int, int], rounds: int) -> Row:
    """Linear attention forward and backward, beside PyTorch's cumulative sum of all k v^T."""
    rows, heads, time, size = sizes
    rng = backend.rng(0, "bench", "linear")
    given = [np.abs(rng.standard_normal(sizes, np.float32)) / size for _ in range(3)]
    tensors, gradient = [Tensor(p, requires_grad=True) for p in given], np.ones(sizes, np.float32)

    def ours() -> np.ndarray:
        y = F.linear_attention(*tensors)
        y.backward(gradient)
        for tensor in tensors:
            tensor.grad = None
        return y.data

    name = f"linear attention, {rows} x {time} tokens, {heads} heads of {size}"
    torch = find_torch()
    if torch is None:
        return timed_row(name, "ms", ours, None, CUMULATIVE, 2.0, rounds)
    theirs = [torch.tensor(part, requires_grad=True) for part in given]
    torch_gradient = torch.ones(sizes)

    def peer() -> np.ndarray:
        q, k, v = theirs
        states = torch.cumsum(k[..., :, None] * v[..., None, :], 2)  # (B, H, T, D, D)
        y = (q[..., None, :] @ states)[..., 0, :]
        y.backward(torch_gradient)
        for tensor in theirs:
            tensor.grad = None
        return y.detach().numpy()

    np.testing.assert_allclose(ours(), peer(), rtol=1e-3, atol=1e-4)
    return timed_row(name, "ms", ours, peer, CUMULATIVE, 2.0, rounds)


def run(quick: bool = False) -> Iterator[Row]:
    """Each row as it is measured; some seconds, on one thread."""
    before, rounds = backend.threads(), 3 if quick else 7
    use_threads(1)
    try:
        for sizes in (SHORT,) if quick else (SHORT, SIZES):
            yield from scan_rows(sizes, rounds)
        yield linear_row((1, 2, 64, 16) if quick else HEADS, rounds)
    finally:
        use_threads(before)
