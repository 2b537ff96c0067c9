"""What lesson 07b runs beside its page: a small net, a split transformer, segments, published runs."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from minilm import backend
from minilm import functional as F
from minilm.analysis import cluster
from minilm.models import Config, Transformer, gpt2
from minilm.nn import Linear, Module, ModuleList
from minilm.optim import Adam
from minilm.parallel import Communicator, Zero, simulate, split_tensors
from minilm.tensor import Tensor, checkpoint

# ----------------------------------------------------------------------------- a net of plain layers

WIDTH, LAYERS, BATCH = 24, 4, 16


def net(seed: int) -> list[np.ndarray]:
    """Weights of four layers, each y = tanh(x W): (C, C), float64."""
    draw = backend.rng(seed, "net").standard_normal
    return [draw((WIDTH, WIDTH)) / WIDTH**0.5 for _ in range(LAYERS)]


def texts(seed: int, steps: int = 20) -> list[tuple[np.ndarray, np.ndarray]]:
    """Batches of inputs and targets: (B, C) each."""
    draw = backend.rng(seed, "batches").standard_normal
    return [(draw((BATCH, WIDTH)), np.tanh(draw((BATCH, WIDTH)))) for _ in range(steps)]


def loss_and_slopes(weights: list[np.ndarray], x: np.ndarray, y: np.ndarray) -> list[np.ndarray]:
    """Gradients of the mean squared error, one array a layer, the plain way."""
    kept = [x]
    for W in weights:
        kept.append(np.tanh(kept[-1] @ W))
    g, slopes = 2 * (kept[-1] - y) / len(x), []
    for W, before, after in zip(weights[::-1], kept[-2::-1], kept[:0:-1], strict=True):
        g = g * (1 - after**2)
        slopes.append(before.T @ g)
        g = g @ W.T
    return slopes[::-1]


def alone(seed: int, rate: float = 1e-2) -> list[np.ndarray]:
    """One process with Adam: the weights that every layout must reach."""
    weights = net(seed)
    m, v = ([np.zeros_like(W) for W in weights] for _ in range(2))
    for t, (x, y) in enumerate(texts(seed), 1):
        for W, g, a, b in zip(weights, loss_and_slopes(weights, x, y), m, v, strict=True):
            a += 0.1 * (g - a)
            b += 0.001 * (g * g - b)
            W -= rate * (a / (1 - 0.9**t)) / (np.sqrt(b / (1 - 0.999**t)) + 1e-8)
    return weights


class Net(Module):
    """The same net as a module of the package; its last layer is in no unit."""

    def __init__(self, seed: int) -> None:
        *first, last = (_layer(W) for W in net(seed))
        self.layers, self.last = ModuleList(first), last

    def loss(self, x: np.ndarray, y: np.ndarray) -> Tensor:
        """Mean over the batch of the squared distance."""
        out = Tensor(x)
        for layer in self.layers:
            out = layer(out)
        out = self.last(out)
        return ((out - Tensor(y)) ** 2).sum() * (1 / len(x))


class _Tanh(Module):
    def __init__(self, linear: Linear) -> None:
        self.linear = linear

    def forward(self, x: Tensor) -> Tensor:
        return F.tanh(self.linear(x))


def _layer(W: np.ndarray) -> _Tanh:
    linear = Linear(WIDTH, WIDTH, bias=False)
    linear.weight.data = np.ascontiguousarray(W.T)  # (out, in)
    return _Tanh(linear)


def by_the_package(comm: Communicator, seed: int, stage: int, rate: float = 1e-2) -> list[Any]:
    """The same training with `minilm.parallel.Zero`."""
    model = Net(seed)
    zero = Zero(comm, model, model.layers, lambda p: Adam(p, lr=rate), stage)
    for x, y in texts(seed):
        mine = [np.split(a, comm.size)[comm.rank] for a in (x, y)]
        model.loss(*mine).backward()
        zero.step()
    with zero.whole():
        return [p.data.T.copy() for p in model.parameters()]


def note(
    comm: Communicator,
    stage: int,
    layer: np.ndarray,
    full: list[np.ndarray | None],
    slopes: list[np.ndarray | None],
    adams: list[np.ndarray],
) -> None:
    """Write into a rank's ledger how many bytes of each kind are there now.

    At stage 3 one whole layer is there while it runs, and no other weights but Adam's copy.
    """
    there = {"weights": [layer] if stage == 3 else full, "gradients": slopes, "adam": adams}
    for kind, arrays in there.items():
        size = sum(a.nbytes for a in arrays if a is not None)
        comm.ledger.hold(kind, size - comm.ledger.held[kind])


def apart(one: list[np.ndarray], other: list[np.ndarray]) -> float:
    """The largest difference between two sets of weights."""
    return max(float(abs(a - b).max()) for a, b in zip(one, other, strict=True))


# ----------------------------------------------------------------------------- a split transformer

SPLIT = gpt2(layers=3, heads=4, channels=32, vocab_size=40, context=16)


def _batch(seed: int) -> tuple[np.ndarray, np.ndarray]:
    ids = backend.rng(seed, "ids").integers(0, 40, (4, 17))
    return ids[:, :-1], ids[:, 1:]


def split_transformer(ranks: int, seed: int) -> dict[str, float]:
    """Loss apart from the whole model's, all_reduces a layer, bytes of one beside B T C."""
    whole = Transformer(SPLIT, seed=seed, dtype=np.float64)
    wanted = whole.loss(*_batch(seed)).item()

    def worker(comm: Communicator) -> tuple[float, int, int, int]:
        model = Transformer(SPLIT, seed=seed, dtype=np.float64)
        split_tensors(comm, model)
        loss = model.loss(*_batch(seed))
        forward = comm.ledger.messages["all_reduce"]
        loss.backward()
        both, sent = comm.ledger.messages["all_reduce"], comm.ledger.sent["all_reduce"]
        return loss.item(), forward, both, sent

    loss, forward, both, sent = simulate(worker, ranks).values[0]
    rings = 2 * (ranks - 1)  # messages of an all_reduce
    array = 4 * 16 * 32 * 8 * rings / ranks  # bytes that one sends: 2 (P - 1) / P of B T C
    return {
        "loss apart": abs(loss - wanted),
        "forward": forward / rings / SPLIT.layers,
        "backward": (both - forward) / rings / SPLIT.layers,
        "bytes": sent / (both / rings) / array,
    }


# ----------------------------------------------------------------------------- layers run again


class Segments(NamedTuple):
    """What a pass through a deep model took, its layers in segments."""

    segments: int
    peak: float  # bytes at the fullest moment, above those held before
    runs: int  # of a block
    gradient: float  # largest difference from the gradients of k = 0


DEEP = gpt2(layers=16, heads=2, channels=64, vocab_size=64, context=96)


def measured_segments(choices: tuple[int, ...], layers: int = 16, seed: int = 0) -> list[Segments]:
    """A real decoder whose blocks are run again in `k` segments; 0 keeps everything.

    The peak is what Python's allocator saw, NumPy's arrays among it.
    """
    import tracemalloc

    ids = backend.rng(seed, "deep").integers(0, 64, (6, 97))
    found, wanted = [], None
    for k in (0, *choices):
        model = Transformer(DEEP.replace(layers=layers), seed=seed)
        runs = [0]
        _in_segments(model, k, runs)
        if not k:  # the first pass compiles and fills caches
            model.loss(ids[:, :-1], ids[:, 1:]).backward()
            model.zero_grad()
            runs[0] = 0
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        model.loss(ids[:, :-1], ids[:, 1:]).backward()
        peak = tracemalloc.get_traced_memory()[1] - before
        tracemalloc.stop()
        slopes = [p.grad.copy() for p in model.parameters()]
        wanted = wanted or slopes
        found.append(Segments(k, float(peak), runs[0], apart(slopes, wanted)))
    return found


class _Counted(Module):
    def __init__(self, inside: Module, runs: list[int]) -> None:
        self.inside, self._runs = inside, runs

    def forward(self, *args: Any, **kwargs: Any) -> Tensor:
        self._runs[0] += 1
        return self.inside(*args, **kwargs)


class _Segment(Module):
    """Blocks that keep their input only, and run again in backward."""

    def __init__(self, blocks: list[Module]) -> None:
        self.blocks = ModuleList(blocks)

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        def run(x: Tensor) -> Tensor:
            for block in self.blocks:
                x = block(x, *args, **kwargs)
            return x

        return checkpoint(run, x)


def _in_segments(model: Transformer, k: int, runs: list[int]) -> None:
    blocks = [_Counted(block, runs) for block in model.stack.blocks]
    if k:
        parts = [list(part) for part in _parts(blocks, k)]
        blocks = [_Segment(part) for part in parts]
    model.stack.blocks = ModuleList(blocks)


def _parts(blocks: list[Module], k: int) -> Iterator[list[Module]]:
    cuts = [round(i * len(blocks) / k) for i in range(k + 1)]
    for start, end in zip(cuts, cuts[1:], strict=False):
        yield blocks[start:end]


# ----------------------------------------------------------------------------- published runs

# Every run of 1 billion parameters or more with 2,048 tokens on cards of 80 GB, but for those of 7
# billion, in MosaicML's tables of MPT models under FSDP, nodes of 8 (llm-foundry, scripts/train/
# benchmarking/README.md, commit 061f2c7): machine, model, GPUs, micro-batch, micro-batches, whether
# all is computed again, tokens/s/GPU.
MPT = {"70b": (80, 8192, 64), "30b": (48, 7168, 56), "13b": (40, 5120, 40), "7b": (32, 4096, 32),
       "3b": (32, 2560, 20), "1b": (24, 2048, 16)}  # fmt: skip
PUBLISHED = [
    ("h100", "70b", 64, 8, 4, True, 1039),
    ("h100", "70b", 32, 2, 16, True, 882),
    ("h100", "30b", 32, 14, 3, True, 2308),
    ("h100", "30b", 16, 10, 3, True, 2263),
    ("h100", "30b", 8, 3, 21, True, 2002),
    ("h100", "13b", 64, 2, 1, False, 4800),
    ("h100", "13b", 32, 2, 1, False, 4811),
    ("h100", "13b", 16, 2, 1, False, 4767),
    ("h100", "13b", 8, 2, 1, False, 4792),
    ("h100", "3b", 64, 6, 3, False, 22525),
    ("h100", "3b", 32, 6, 3, False, 23021),
    ("h100", "3b", 16, 10, 3, False, 24142),
    ("h100", "1b", 64, 20, 1, False, 44402),
    ("h100", "1b", 32, 20, 1, False, 45130),
    ("h100", "1b", 16, 20, 1, False, 46037),
    ("h100", "1b", 8, 14, 1, False, 45455),
    ("a100", "70b", 64, 8, 4, True, 410),
    ("a100", "70b", 32, 2, 16, True, 373),
    ("a100", "30b", 8, 3, 21, True, 916),
    ("a100", "13b", 8, 2, 3, False, 2262),
    ("a100", "3b", 8, 10, 2, False, 10811),
    ("a100", "1b", 8, 14, 4, False, 20513),
]


def predicted() -> list[tuple[str, float, float]]:
    """(run, published, predicted) tokens per second and GPU."""
    rows = []
    for machine, model, gpus, micro, times, again, published in PUBLISHED:
        layers, channels, heads = MPT[model]
        config = Config(vocab_size=50368, context=2048, layers=layers, heads=heads,
                        channels=channels, bias=False)  # fmt: skip
        job = cluster.Job(config, 2048, gpus * micro * times)
        layout = cluster.Layout(
            gpus, stage=3, recompute="full" if again else "selective", micro=micro
        )
        found = cluster.predict(job, cluster.machine(machine), layout)
        rows.append((f"{model} on {gpus} {machine.upper()}", published,
                     found.tokens_per_second / gpus))  # fmt: skip
    return rows


# The runs of 7 billion parameters and 2,048 tokens in the same tables: tokens/s/GPU on 8 GPUs.
SET_ON = {"h100": 10643, "a100": 4641}


def yardstick() -> tuple[float, float]:
    """How far one share of full speed for each machine is off at worst, for `PUBLISHED`.

    A token takes 6 operations a parameter, and nothing else. The share is that of `SET_ON`, or the
    one that makes the largest relative error on `PUBLISHED` smallest.
    """
    taken, fitted = 0.0, 0.0
    for name, told in SET_ON.items():
        speeds = [_work(model) * tokens for at, model, *_, tokens in PUBLISHED if at == name]
        low, high, set_on = min(speeds), max(speeds), _work("7b") * told
        taken = max(taken, *(abs(set_on / speed - 1) for speed in speeds))
        fitted = max(fitted, (high - low) / (high + low))
    return taken, fitted


def _work(model: str) -> float:
    layers, channels, _ = MPT[model]
    return 6.0 * (12 * layers * channels**2 + 50368 * channels)


def adams_share(
    sizes: tuple[float, ...], length: int = 4096, again: str = "selective"
) -> list[float]:
    """Adam's share of all memory of one device, one text at a time, nothing shared out.

    `again` says what is computed again: "selective" attention's scores, "none" nothing.
    """
    found = []
    for size in sizes:
        job = cluster.Job(cluster.transformer_of(size, length), length, 64)
        layout = cluster.Layout(64, stage=0, recompute=again)
        held = cluster.predict(job, cluster.machine("h100"), layout).memory
        found.append(held["optimizer"] / sum(held.values()))
    return found
