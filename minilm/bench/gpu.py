"""`minilm bench gpu`: every kernel checked on the device, then timed against ceilings and torch.

Times are medians of CUDA events on an idle stream, ours and torch's in turn in one process: kernels
here, a whole model in `gpu_models`. Without a device nothing is measured or written.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from minilm import backend
from minilm.backend import machine
from minilm.bench.gpu_checks import checks
from minilm.bench.gpu_models import generating_rows, training_rows
from minilm.bench.rows import Race, Row, race_of, row_of
from minilm.errors import InputError

COPY, FLASH, FLASH_BOTH = 0.85, 0.90, 0.75  # goals: share of the copy's speed; of SDPA's


@dataclass(frozen=True)
class Sizes:
    """How large the arrays are; a test without a GPU makes them small.

    Attributes:
        copy: numbers copied.
        product: rows of the square product.
        matrix: shape of the arrays of norms and other kernels.
        logits: shape of the cross-entropy's.
        adamw: lengths of the parameters.
        attention: (head size, heads, length) of each.
        tokens: how many are in a batch of attention.
        cache: (sequences, heads, key heads, keys, head size).
        small: (rows, columns) of the quantized weight.
        vocab, context, layers, channels, batch: of GPT-2 124M.
        steps: tokens decoded.
    """

    copy: int = 1 << 28
    product: int = 8192
    matrix: tuple[int, int] = (65536, 1024)
    logits: tuple[int, int] = (8192, 50304)
    adamw: tuple[int, ...] = (50304 * 768, 1024 * 768, *12 * (768 * 2304, 768**2, 3072 * 1536))
    attention: tuple[tuple[int, int, int], ...] = ((64, 12, 1024), (64, 16, 4096), (128, 16, 4096))
    tokens: int = 16384
    cache: tuple[int, int, int, int, int] = (8, 32, 8, 8192, 128)
    small: tuple[int, int] = (28672, 8192)
    vocab: int = 50304
    context: int = 1024
    layers: int = 12
    channels: int = 768
    batch: int = 16
    steps: int = 128


def torch_on_gpu() -> Any | None:
    """torch if it is installed and sees the device, else None."""
    try:
        import torch
    except ImportError:
        return None
    return torch if torch.cuda.is_available() else None


def _event_seconds(cp: Any, function: Callable[[], Any], repeats: int) -> float:
    """Seconds of one call on the device: `repeats` calls between two events."""
    start, end = cp.cuda.Event(), cp.cuda.Event()
    cp.cuda.runtime.deviceSynchronize()
    start.record()
    for _ in range(repeats):
        function()
    end.record()
    end.synchronize()
    return cp.cuda.get_elapsed_time(start, end) / 1e3 / repeats


def _torch_seconds(torch: Any, function: Callable[[], Any], repeats: int) -> float:
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    torch.cuda.synchronize()
    start.record()
    for _ in range(repeats):
        function()
    end.record()
    end.synchronize()
    return start.elapsed_time(end) / 1e3 / repeats


def race(
    cp: Any, torch: Any, ours: Callable, peer: Callable, rounds: int, repeats: int, warm: int = 3
) -> Race:
    """Both timed in turn, round by round, after a few calls that are not counted."""
    for _ in range(warm):
        ours()
        peer()
    mine, theirs = [], []
    for turn in range(rounds):
        for who in (0, 1) if turn % 2 == 0 else (1, 0):
            if who == 0:
                mine.append(_event_seconds(cp, ours, repeats))
            else:
                theirs.append(_torch_seconds(torch, peer, repeats))
    return race_of(mine, theirs)


class Bench:
    """The arrays, the peers and the rows of one run."""

    def __init__(
        self,
        cp: Any,
        torch: Any | None,
        rounds: int,
        sizes: Sizes | None = None,
        warm: int = 3,
        repeats: int | None = None,
    ) -> None:
        self.cp, self.torch, self.rounds, self.sizes = cp, torch, rounds, sizes or Sizes()
        self.warm, self.repeats = warm, repeats
        self.rows: list[Row] = []
        self.rng = cp.random.default_rng(0)
        self.copy_speed = 0.0

    def array(self, *shape: int, dtype: Any = None) -> Any:
        """Normal numbers in bfloat16, or another type, on the device."""
        from minilm.emulator.source import dtype_of

        values = self.rng.standard_normal(shape, dtype=np.float32)
        return values.astype(dtype_of("bfloat16") if dtype is None else dtype)

    def twin(self, array: Any) -> Any:
        """The same memory as a torch tensor."""
        if array.dtype.itemsize == 2 and array.dtype.kind not in "iu":
            bits = self.torch.as_tensor(array.view(np.int16), device="cuda")
            half = self.torch.float16 if array.dtype == np.float16 else self.torch.bfloat16
            return bits.view(half)
        return self.torch.as_tensor(array, device="cuda")

    def time(self, function: Callable[[], Any], repeats: int = 20) -> float:
        """Median seconds of one call on the device."""
        for _ in range(self.warm):
            function()
        repeats = self.repeats or repeats
        runs = [_event_seconds(self.cp, function, repeats) for _ in range(self.rounds)]
        return statistics.median(runs)

    def add(
        self, name: str, unit: str, work: float, ours: Callable, peer: Callable | None,
        goal: float | None = None, repeats: int = 20,
    ) -> None:  # fmt: skip
        """A row against torch (None: alone); `work` is in units of `unit` times seconds."""
        if self.torch is None or peer is None:
            taken = work / self.time(ours, repeats)
            who = "" if self.torch is not None else "torch"
            self.rows.append(Row(name, unit, taken, None, who, None, None, goal, None))
            return
        repeats = self.repeats or repeats
        outcome = race(self.cp, self.torch, ours, peer, self.rounds, repeats, self.warm)
        self.rows.append(row_of(name, unit, work, outcome, "torch", goal))

    def moved(self, name: str, nbytes: float, ours: Callable, peer: Callable | None) -> None:
        """A memory-bound kernel: GB/s against torch, and its share of the copy's speed."""
        self.add(name, "GB/s", nbytes / 1e9, ours, peer)
        share = self.rows[-1].ours / self.copy_speed
        spread = (share, share)
        self.rows.append(
            Row(f"{name}, share of a copy", "GB/s", self.rows[-1].ours, self.copy_speed, "copy",
                share, spread, COPY, share >= COPY)
        )  # fmt: skip


def ceilings(b: Bench) -> None:
    """The speed of a large copy and of a large matrix product."""
    source = b.array(b.sizes.copy, dtype=np.float32)
    target = b.cp.empty_like(source)
    b.add(
        f"copy of {source.nbytes / 2**30:.3g} GiB", "GB/s", 2 * source.nbytes / 1e9,
        lambda: b.cp.copyto(target, source), None,
    )  # fmt: skip
    b.copy_speed = b.rows[-1].ours
    n = b.sizes.product
    x, y = b.array(n, n), b.array(n, n)
    peer = None
    if b.torch is not None:
        tx, ty = b.twin(x), b.twin(y)
        peer = lambda: tx @ ty  # noqa: E731
    ours = lambda: backend.matmul(x, y)  # noqa: E731
    b.add(f"product {n}^3, bf16", "TFLOP/s", 2 * n**3 / 1e12, ours, peer, repeats=5)


def memory_bound(b: Bench) -> None:
    """Norms, softmax, cross-entropy, activations, embedding and AdamW against torch."""
    from minilm.kernels.adamw.cuda import adamw_many
    from minilm.kernels.cross_entropy.cuda import cross_entropy_with_gradient
    from minilm.kernels.gelu.cuda import gelu
    from minilm.kernels.layer_norm.cuda import layer_norm, layer_norm_backward
    from minilm.kernels.rms_norm.cuda import rms_norm
    from minilm.kernels.softmax.cuda import softmax
    from minilm.kernels.swiglu.cuda import swiglu

    rows, width = b.sizes.matrix
    x, g, w, bias = b.array(rows, width), b.array(rows, width), b.array(width), b.array(width)
    _, mean, rstd = layer_norm(x, w, bias, 1e-5)
    t = None
    peers: dict[str, Callable] = {}
    if b.torch is not None:
        t, nn = b.torch, b.torch.nn.functional
        tx, tg, tw, tb = (b.twin(a) for a in (x, g, w, bias))
        native = t.ops.aten.native_layer_norm_backward
        saved = t.ops.aten.native_layer_norm(tx, [width], tw, tb, 1e-5)[1:]
        peers = {
            "softmax": lambda: nn.softmax(tx, -1),
            "layer norm": lambda: nn.layer_norm(tx, (width,), tw, tb),
            "layer norm backward": lambda: native(tg, tx, [width], *saved, tw, tb, [True] * 3),
            "RMS norm": lambda: nn.rms_norm(tx, (width,), tw),
            "GELU": lambda: nn.gelu(tx, approximate="tanh"),
            "SwiGLU": lambda: nn.silu(tx) * tg,
        }
    once = x.nbytes
    for name, passes, ours in (
        ("softmax", 2, lambda: softmax(x)),
        ("layer norm", 2, lambda: layer_norm(x, w, bias, 1e-5)),
        ("layer norm backward", 3, lambda: layer_norm_backward(g, x, w, mean, rstd)),
        ("RMS norm", 2, lambda: rms_norm(x, w, 1e-5)),
        ("GELU", 2, lambda: gelu(x, True)),
        ("SwiGLU", 3, lambda: swiglu(x, g)),
    ):
        b.moved(name, passes * once, ours, peers.get(name))

    logits = b.array(*b.sizes.logits)
    targets = b.cp.asarray(np.arange(len(logits), dtype=np.int32) % logits.shape[1])
    peer = None
    if t is not None:
        tl = b.twin(logits).clone().requires_grad_()
        tt = b.twin(targets).long()

        def peer() -> None:
            tl.grad = None
            t.nn.functional.cross_entropy(tl, tt).backward()

    b.moved("cross-entropy and gradient", 2 * logits.nbytes,
            lambda: cross_entropy_with_gradient(logits, targets, 0.0, 0.0, 1e-4), peer)  # fmt: skip

    sizes = b.sizes.adamw
    p, gr, m = ([b.array(n, dtype=np.float32) for n in sizes] for _ in range(3))
    v = [b.cp.abs(a) for a in m]
    peer = None
    if t is not None:
        weights = [b.twin(a).clone().requires_grad_() for a in p]
        for weight, slope in zip(weights, gr):
            weight.grad = b.twin(slope)
        peer = t.optim.AdamW(weights, lr=1e-4, fused=True).step
    settings = (1e-4, 0.9, 0.999, 1e-8, 0.01, 10)
    b.moved(
        "AdamW of GPT-2 124M", 7 * 4 * sum(sizes), lambda: adamw_many(p, gr, m, v, *settings), peer
    )


def attention_rows(b: Bench) -> None:
    """FlashAttention forward, and forward with backward, against torch's flash SDPA."""
    from minilm.kernels.attention.cuda import attention, attention_backward

    for size, heads, length in b.sizes.attention:
        batch = max(1, b.sizes.tokens // length)
        q, k, v, g = (b.array(batch, heads, length, size) for _ in range(4))
        settings = (None, None, True, None, size**-0.5)
        out, lse = attention(q, k, v, *settings)
        flops = 4 * batch * heads * length * length * size / 2 / 1e12  # causal: half the scores
        forward = backward = None
        if b.torch is not None:
            t = b.torch
            tq, tk, tv, tg = (b.twin(a).clone().requires_grad_() for a in (q, k, v, g))
            flash = t.nn.attention.SDPBackend.FLASH_ATTENTION

            def forward(tq=tq, tk=tk, tv=tv, t=t, flash=flash):
                with t.no_grad(), t.nn.attention.sdpa_kernel(flash):
                    return t.nn.functional.scaled_dot_product_attention(tq, tk, tv, is_causal=True)

            def backward(tq=tq, tk=tk, tv=tv, tg=tg, t=t, flash=flash):
                with t.nn.attention.sdpa_kernel(flash):
                    t.nn.functional.scaled_dot_product_attention(
                        tq, tk, tv, is_causal=True
                    ).backward(tg.detach())

        def both(q=q, k=k, v=v, g=g, settings=settings):
            o, s = attention(q, k, v, *settings)
            attention_backward(g, q, k, v, o, s, *settings)

        name = f"attention, head size {size}, T = {length}"
        ours = lambda a=(q, k, v), s=settings: attention(*a, *s)  # noqa: E731
        b.add(f"{name}, forward", "TFLOP/s", flops, ours, forward, FLASH)
        b.add(f"{name}, both", "TFLOP/s", 3.5 * flops, both, backward, FLASH_BOTH, 10)


def decoding_rows(b: Bench) -> None:
    """Decoding attention, and products with small weights at one row, against torch in bf16."""
    from minilm.kernels.decode_attention.cuda import decode_attention
    from minilm.kernels.quantized_matmul.cuda import quantized_matmul
    from minilm.kernels.quantized_matmul.reference import quantize

    batch, heads, groups, keys, size = b.sizes.cache
    q = b.array(batch, heads, size)
    k, v = b.array(batch, groups, keys, size), b.array(batch, groups, keys, size)
    lengths = b.cp.full(batch, keys, dtype=np.int32)
    b.moved(f"decoding attention, {batch} x {keys} keys", k.nbytes + v.nbytes,
            lambda: decode_attention(q, k, v, lengths, None, size**-0.5), None)  # fmt: skip
    x, w = b.array(1, b.sizes.small[1]), b.array(*b.sizes.small)
    peer = None
    if b.torch is not None:
        tx, tw = b.twin(x), b.twin(w)
        peer = lambda: tx @ tw.T  # noqa: E731
    for bits in (8, 4):
        codes, scales = quantize(w, bits)
        moved = (codes.nbytes + scales.nbytes) / 1e9
        ours = lambda c=codes, s=scales, n=bits: quantized_matmul(x, c, s, n)  # noqa: E731
        b.add(f"product at one row, {bits} bits (torch: 16)", "GB/s", moved, ours, peer)


PARTS = (
    ceilings,
    memory_bound,
    attention_rows,
    decoding_rows,
    training_rows,
    generating_rows,
)


def run(quick: bool = False) -> list[Row]:
    """Checks every kernel on the device, then times ceilings, kernels and torch's.

    Raises:
        InputError: CuPy is missing, there is no device, or a kernel's result is wrong.
    """
    cp = backend.cupy()
    print(machine.gpu(cp))
    wrong = []
    for check in checks(cp):
        print(f"  {check.name:<28}{check.dtype:<10}error {check.error:.1e}")
        if not check.passed:
            wrong.append(f"{check.name} in {check.dtype} ({check.error:.1e})")
    if wrong:
        raise InputError(
            f"kernels give wrong results on this device, so nothing is timed: {', '.join(wrong)}"
        )
    b = Bench(cp, torch_on_gpu(), 5 if quick else 9)
    for part in PARTS:
        try:
            part(b)
        except InputError:
            raise
        except Exception as problem:  # the other parts are still worth measuring
            print(f"{part.__name__} failed: {type(problem).__name__}: {problem}", flush=True)
        cp.get_default_memory_pool().free_all_blocks()
    return b.rows
