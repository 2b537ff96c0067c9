"""What lesson 07c measures of memory and time: arrays held, ranks' ledgers, reading and writing."""

import time
import tracemalloc
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from minilm.analysis import long_context
from minilm.inference.cache import ContiguousCache
from minilm.models import Config, Transformer
from minilm.parallel import merge, simulate
from minilm.tensor import no_grad

Array = np.ndarray
MACHINES = {  # operations per second in 16 bits, bytes per second to a neighbour (arXiv 2310.01889)
    "A100, NVLink": (312e12, 300e9),
    "TPUv4": (275e12, 268e9),
    "A100, InfiniBand": (312e12, 12.5e9),
}
HEADS, SIZE, TILE = 2, 16, 64


def peak_memory(
    block: Callable, in_pieces: Callable, lengths: Sequence[int] = (128, 256, 512, 1024, 2048)
) -> dict[str, list[float]]:
    """Most bytes that NumPy held beside the inputs, dense and in pieces of 64, two heads of 16."""
    found: dict[str, list[float]] = {"n": list(lengths), "dense": [], "in pieces of 64": []}
    for n in lengths:
        q, k, v = np.random.default_rng(n).standard_normal((3, HEADS, n, SIZE))
        ways = {
            "dense": lambda q=q, k=k, v=v, n=n: block(q, k, v, np.tri(n, dtype=bool)),
            "in pieces of 64": lambda q=q, k=k, v=v: in_pieces(q, k, v, TILE),
        }
        for name, call in ways.items():
            tracemalloc.start()
            call()
            found[name].append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
    return found


def counted_ring(comm, q: Array, k: Array, v: Array, at: Array) -> Array:
    """Ring attention in tiles of `TILE` queries and keys, with a ledger of what a rank holds."""

    def held(kind: str, *arrays: Array) -> int:
        size = sum(a.nbytes for a in arrays)
        comm.ledger.hold(kind, size)
        return size

    mine, out = at, np.zeros_like(q)
    total = np.full(q.shape[:-1], -np.inf)
    held("its part", q, k, v, at, out, total)
    tiles = [slice(i, i + TILE) for i in range(0, q.shape[1], TILE)]
    for step in range(comm.size):
        if step:
            for tag, one in enumerate((k, v, at)):
                comm.send(one, (comm.rank + 1) % comm.size, tag)
            k, v, at = (comm.recv((comm.rank - 1) % comm.size, tag) for tag in range(3))
            through = held("passing through", k, v, at)
        for rows in tiles:
            for keys in tiles:
                scores = q[:, rows] @ k[:, keys].swapaxes(-1, -2) / np.sqrt(q.shape[-1])
                scores = np.where(at[keys] <= mine[rows, None], scores, -np.inf)
                tile = held("scores", scores)
                top = np.maximum(scores.max(-1, keepdims=True), -1e300)
                e = np.exp(scores - top)
                mass = np.maximum(e.sum(-1, keepdims=True), 1e-300)
                o, weight = e @ v[:, keys] / mass, (top + np.log(mass))[..., 0]
                out[:, rows], total[:, rows] = merge(out[:, rows], total[:, rows], o, weight)
                comm.ledger.hold("scores", -tile)
        if step:
            comm.ledger.hold("passing through", -through)
    return out


class Peak(NamedTuple):
    """Tokens, ranks, and the most bytes that any rank held."""

    tokens: int
    ranks: int
    bytes: int


def peaks(cases: Sequence[tuple[int, int]]) -> list[Peak]:
    """The ledgers of ring attention for some (tokens, ranks)."""
    found = []
    for tokens, ranks in cases:
        x = np.random.default_rng(tokens).standard_normal((3, HEADS, tokens, SIZE))
        places = long_context.places_of(tokens, ranks, "zigzag" if ranks > 1 else "contiguous")

        def worker(comm, x=x, places=places):
            at = places[comm.rank]
            counted_ring(comm, *(part[:, at] for part in x), at)

        ledgers = simulate(worker, ranks).ledgers
        found.append(Peak(tokens, ranks, max(ledger.peak for ledger in ledgers)))
    return found


def small_gpt() -> Config:
    """The shape of a GPT with ten million weights in its matrices."""
    return Config(
        vocab_size=256, context=8192, layers=6, heads=6, channels=384, positions="rope",
        activation="gelu_tanh",
    )  # fmt: skip


class Timed(NamedTuple):
    """Seconds: of reading each length, and of writing one token after the longest."""

    lengths: list[int]
    read: list[float]
    write: float


def time_reading(config: Config, lengths: Sequence[int], repeats: int = 2) -> Timed:
    """The least of some repeats; the time does not depend on what the weights are."""
    model, longest = Transformer(config, seed=0), lengths[-1]
    ids = np.random.default_rng(0).integers(0, config.vocab_size, (1, longest)).astype(np.int32)

    def least(call: Callable[[], object]) -> float:
        seconds = []
        for _ in range(repeats):
            began = time.perf_counter()
            call()
            seconds.append(time.perf_counter() - began)
        return min(seconds)

    with no_grad():
        model.hidden(ids[:, :64])  # kernels are compiled on the first call
        read = [least(lambda n=n: model.hidden(ids[:, :n])) for n in lengths]
        cache = ContiguousCache(config, 1, longest + 64)
        model.hidden(ids, cache=cache)
        model.hidden(ids[:, :1], cache=cache)

        def write() -> None:
            for _ in range(16):
                model.hidden(ids[:, :1], cache=cache)

        return Timed(list(lengths), read, least(write) / 16)
