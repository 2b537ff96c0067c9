"""What lesson 00b measures with: a stopwatch, counts, and a saw that takes barriers out."""

import inspect
import linecache
import math
import textwrap
import time
import types
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

import minilm
from minilm import backend, kernels
from minilm.course import bars
from minilm.emulator import EmulatorError, Report, emulate
from minilm.emulator.build import compiler
from minilm.kernels.attention import cuda_readable
from minilm.kernels.softmax.cuda import THREADS, softmax_rows

from .more_kernels import product_swapped, softmax_online, sum_shuffle, transposer

Array = np.ndarray
ONCE = ("lockstep",)  # one order of threads is enough where only counts are wanted
PLAIN = (None, None, False, None, 0.125)  # attention: mask, bias, causal, window, scale


def seconds(function: Callable[..., Any], *arguments: Any, rounds: int = 3) -> float:
    """The best of some rounds."""
    best = math.inf
    for _ in range(rounds):
        began = time.perf_counter()
        function(*arguments)
        best = min(best, time.perf_counter() - began)
    return best


def ceilings(depths: Sequence[int], taken: Array, size: int) -> tuple[float, float]:
    """Bytes and operations per second that one core reached: (bandwidth, peak)."""
    left = np.random.default_rng(0).standard_normal((1024, 1024), dtype=np.float32)
    product = 2 * 1024**3 / seconds(np.matmul, left, left, rounds=5)
    work = 2 * np.array(depths) * size
    return float((8 * size / taken).max()), float(max(product, (work / taken).max()))


def other_points() -> dict[str, tuple[float, float]]:
    """Intensity and speed of a norm, told twice, and of attention."""
    rng, found = np.random.default_rng(2), {}
    rows, weight = rng.standard_normal((16384, 1024), dtype=np.float32), np.ones(1024, np.float32)
    for tier, name in (("reference", "norm, NumPy"), ("cpu", "norm, one loop")):
        norm = kernels.rms_norm.tier(tier)
        norm(rows[:8], weight, 1e-5)
        found[name] = 0.5, 4 * rows.size / seconds(norm, rows, weight, 1e-5)
    q, k, v = rng.standard_normal((3, 1, 4, 1024, 64), dtype=np.float32)
    attention, work = kernels.attention.tier("cpu"), 4 * q.size * q.shape[2]
    attention(q, k, v, *PLAIN)
    found["attention"] = work / (4 * q.nbytes), work / seconds(attention, q, k, v, *PLAIN)
    return found


def numbers_read(report: Report) -> int:
    """Numbers that all threads of a recorded launch read from device memory."""
    return sum(t.kind == "read" and t.argument >= 0 for t in report.touches)


def numbers_moved(kernel: Any, *launch: Any) -> int:
    """Numbers that a launch reads from and writes to device memory."""
    report = emulate(kernel, *launch, schedules=ONCE, record=True)
    return sum(t.argument >= 0 for t in report.touches)


def without_barrier(kernel: Any, number: int) -> Any:
    """The kernel, one of its barriers taken out; None if it has no such barrier."""
    function = kernel.py_func
    parts = textwrap.dedent(inspect.getsource(function)).split("cuda.syncthreads()")
    if number + 1 >= len(parts):
        return None
    parts[number : number + 2] = [f"{parts[number]}pass{parts[number + 1]}"]
    text = "cuda.syncthreads()".join(parts)
    name = f"<{function.__name__} without barrier {number}>"
    linecache.cache[name] = len(text), None, text.splitlines(True), name
    names = {**function.__globals__, **inspect.getclosurevars(function).nonlocals}
    exec(compile(text, name, "exec"), names)
    return names[function.__name__]


def say_what_is_wrong(kernel: Any, *launch: Any) -> None:
    """Launch a kernel that the emulator will refuse, and print its sentence and its line."""
    try:
        emulate(kernel, *launch)
    except EmulatorError as error:
        print(textwrap.fill(str(error), 92), "\n")
        text, first = inspect.getsourcelines(kernel.py_func)
        for at, line in enumerate(text, first):
            if abs(at - error.line) < 4:
                print("-->" if at == error.line else "   ", at, line, end="")


def every_barrier(launches: Sequence[tuple]) -> list[tuple[str, int, str]]:
    """Each barrier of each kernel left out once.

    Returns:
        The kernel and the barrier, in how many of three orders of threads the results are right
        all the same, and what watching says ("" for nothing).
    """
    tried = []
    for kernel, *launch in launches:
        emulate(kernel, *launch)  # as it is: not a word
        arrays = [array for array in launch if isinstance(array, np.ndarray)]
        right, number = [array.copy() for array in arrays], 0
        while (broken := without_barrier(kernel, number)) is not None:
            number, lucky, said = number + 1, 0, ""
            for order in ("lockstep", "first warp ahead", "last warp ahead"):
                emulate(broken, *launch, trace=False, schedules=(order,))
                pairs = zip(arrays, right, strict=True)
                lucky += all(np.allclose(x, y, atol=1e-6) for x, y in pairs)
            try:
                emulate(broken, *launch, schedules=ONCE)
            except EmulatorError as error:
                said = str(error).split(": ", 1)[1]
            tried.append((f"{kernel.py_func.__name__}, barrier {number}", lucky, said))
    return tried


def print_barriers(tried: Iterable[tuple[str, int, str]]) -> None:
    """One line for each barrier that was left out."""
    print("left out                    right in   watched")
    for name, lucky, said in tried:
        print(f"{name:<28}{lucky} of 3     {textwrap.shorten(said, 54, placeholder=' ...')}")


def launches(sum_tree: Any, product_tiled: Any, rng: np.random.Generator) -> list[tuple]:
    """Six kernels of the lesson and of the package, each with a grid, a block and arguments."""

    def some(*shape: int) -> Array:
        return rng.standard_normal(shape, dtype=np.float32)

    numbers, sums, scores, rows = some(512), some(2), some(2, 96), some(2, 96)
    attention = *some(3, 1, 32, 16), some(1, 32, 16), some(1, 32), 0.25, False
    return [
        (sum_tree, 2, 256, numbers, sums),
        (sum_shuffle, 2, 256, numbers, sums),
        (transposer(1), 1, (32, 8), some(32, 32), some(32, 32)),
        (product_tiled, (2, 2), (8, 8), *some(3, 16, 16)),
        (softmax_rows, 2, THREADS, scores, rows),
        (cuda_readable.attention_rows, (2, 1), 16, *attention),
    ]


def with_constants(kernel: Any, **constants: Any) -> Any:
    """The same kernel, written for other sizes."""
    function = kernel.py_func
    return types.FunctionType(function.__code__, {**function.__globals__, **constants})


def attention_traffic(
    product: Any, rng: np.random.Generator, length: int, size: int
) -> dict[str, int]:
    """Numbers moved by attention of one head, as three kernels and as FlashAttention.

    Args:
        product: a tiled matrix product with tiles of side 8.
        rng: of queries, keys and values.
        length: T, tokens; a multiple of 32.
        size: D, of the head; a multiple of 8.

    Returns:
        "three kernels", and FlashAttention with r = 8, 16 and 32 queries per block.
    """
    q, k, v = rng.standard_normal((3, length, size), dtype=np.float32)
    scores, shares = np.empty((2, length, length), np.float32)
    out, lse, scale = np.empty_like(q), np.empty((1, length), np.float32), 1 / math.sqrt(size)
    keys = np.ascontiguousarray(k.T) * np.float32(scale)
    tiles = length // 8
    counts = {"three kernels": numbers_moved(product, (tiles, tiles), (8, 8), q, keys, scores)}
    counts["three kernels"] += numbers_moved(softmax_online, length, 32, scores, shares)
    counts["three kernels"] += numbers_moved(product, (size // 8, tiles), (8, 8), shares, v, out)
    for r in (8, 16, 32):
        kernel = with_constants(cuda_readable.attention_rows, TILE=r, HEAD=size)
        one, again = (q[None], k[None], v[None]), np.empty_like(q[None])
        moved = numbers_moved(kernel, (length // r, 1), r, *one, again, lse, scale, False)
        counts[f"r = {r}"] = moved - length  # lse, which only training needs, apart
        assert np.allclose(again[0], out, atol=1e-5)
    return counts


def in_cpp(run: Callable[[], Any]) -> Any:
    """What run() gives; None, and a sentence, on a machine without a C++ compiler."""
    try:
        compiler()
    except EmulatorError as why:
        return print(f"CUDA C++ sits this out: {why}.")
    return run()


ONE_MMA = """
#include "tensor_core.cuh"

extern "C" __global__ void one_mma(const T *a, const T *b, float *c) {
    int row = threadIdx.x / 4, pair = threadIdx.x % 4 * 2;
    unsigned left[4], right[2];
    for (int i = 0; i < 4; i++) {
        const T *at = a + (row + 8 * (i % 2)) * 16 + pair + 8 * (i / 2);
        left[i] = pack2(to_float(at[0]), to_float(at[1]));
    }
    for (int i = 0; i < 2; i++) {
        const T *at = b + (pair + 8 * i) * 8 + row;
        right[i] = pack2(to_float(at[0]), to_float(at[8]));
    }
    float sum[4] = {0, 0, 0, 0};
    mma(sum, left, right[0], right[1]);
    for (int i = 0; i < 4; i++) c[(row + 8 * (i / 2)) * 8 + pair + i % 2] = sum[i];
}
"""


def one_mma(fragment: Callable[[int], tuple], rng: np.random.Generator) -> tuple[int, int, float]:
    """One tensor-core instruction, watched.

    Returns:
        Numbers touched, those that `fragment` does not give to the lane, and the largest error.
    """
    a = rng.standard_normal((16, 16)).astype(np.float16)
    b, c = rng.standard_normal((16, 8)).astype(np.float16), np.empty((16, 8), np.float32)
    how = {"defines": {"DTYPE": "__half"}, "record": True}
    touches = emulate((ONE_MMA, "one_mma"), 1, 32, a, b, c, **how).touches
    strays = 0
    for touch in touches:
        place = divmod(touch.element, (16, 8, 8)[touch.argument])
        strays += place not in fragment(touch.thread)[touch.argument]
    error = np.abs(c - a.astype(np.float64) @ b.astype(np.float64)).max()
    return len(touches), strays, float(error)


def on_a_gpu(product: Any, product_tiled: Any) -> None:
    """TFLOP/s of the lesson's products where this machine has a GPU; a sentence where it has none."""
    try:
        gpu = backend.cupy()
    except minilm.InputError as why:
        return print(f"No kernel is timed here: {why}.")
    from minilm.bench.gpu import Bench

    print("GPU found:", gpu.cuda.runtime.getDeviceProperties(0)["name"].decode())
    bench, n = Bench(gpu, None, 1), 2048
    a, b, out = (bench.array(n, n, dtype=np.float32) for _ in range(3))
    half_a, half_b = bench.array(n, n), bench.array(n, n)
    launch = (n // 32, n // 32), (32, 32)
    calls = {
        "names swapped": lambda: product_swapped[launch](a, b, out),
        "first kernel": lambda: product[launch](a, b, out),
        "tiles of 32": lambda: product_tiled[launch](a, b, out),
        "library, float32": lambda: a @ b,
        "library, bfloat16": lambda: half_a @ half_b,
    }
    speed = [
        [2 * n**3 / bench.time(call, repeats=5) / 1e12 for call in calls.values()] for _ in range(3)
    ]
    bars(
        list(calls),
        speed,
        ylabel="TFLOP/s",
        numbers="{:.3g}",
        alt="Speed of matrix products on this GPU, from swapped names to the library.",
    )
