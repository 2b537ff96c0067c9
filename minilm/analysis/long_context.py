"""What a long text costs: work of each rank, traffic of a layer, reading against writing.

One layer of causal attention over N tokens has N (N + 1) / 2 pairs of query and key. Ranks split
the text; `PLANS` says how:

contiguous   rank r gets the r-th of P pieces
zigzag       of 2 P chunks rank r gets those at r and 2 P - 1 - r (Zhu, ring-flash-attention)
striped      rank r gets the tokens r, r + P, r + 2 P, ... (Brandon et al. 2023, arXiv 2311.09431)
"""

from typing import Any, NamedTuple

import numpy as np

from minilm.analysis.accounting import kv_bytes_per_token, matrix_parameters
from minilm.analysis.shape import shape_of
from minilm.errors import InputError

PLANS = ("contiguous", "zigzag", "striped")


def places_of(count: int, ranks: int, plan: str = "zigzag") -> list[np.ndarray]:
    """Which tokens of a text lie on each rank: P arrays (count / P,) in rising order.

    Raises:
        InputError: no such plan, or tokens that it cannot share out evenly.
    """
    if plan not in PLANS:
        raise InputError(f"plan is {plan!r}; it must be one of {', '.join(PLANS)}")
    pieces = 2 * ranks if plan == "zigzag" else ranks
    if ranks < 1 or count < 1 or count % pieces:
        raise InputError(f"count is {count}; {plan} needs a multiple of {max(pieces, 1)} tokens")
    tokens = np.arange(count)
    if plan == "striped":
        return [tokens[r::ranks] for r in range(ranks)]
    chunks = np.split(tokens, pieces)
    if plan == "contiguous":
        return chunks
    return [np.concatenate([chunks[r], chunks[pieces - 1 - r]]) for r in range(ranks)]


def ring_work(count: int, ranks: int, plan: str = "zigzag") -> np.ndarray:
    """Pairs of query and key that each rank computes while keys and values go round.

    In step s rank r holds the keys of rank r - s. Everybody waits for the slowest in each step, so
    a layer takes as long as `ring_work(...).max(1).sum()` pairs.

    Returns:
        (steps P, ranks P) int64; a column's sum is that rank's work.

    Raises:
        InputError: as `places_of`.
    """
    places = places_of(count, ranks, plan)
    table = np.zeros((ranks, ranks), np.int64)
    for step in range(ranks):
        for rank, own in enumerate(places):
            keys = places[(rank - step) % ranks]
            table[step, rank] = np.searchsorted(keys, own, side="right").sum()
    return table


def _check_text(tokens: int, channels: int, ranks: int) -> None:
    for name, value in (("tokens", tokens), ("channels", channels), ("ranks", ranks)):
        if value < 1:
            raise InputError(f"{name} is {value}; it must be 1 or more")


def ring_traffic(tokens: int, channels: int, ranks: int, kv_channels: int | None = None) -> float:
    """Numbers that each rank sends in the forward of one layer with ring attention.

    Its N / P keys and values go to the neighbour P - 1 times: 2 N d (P - 1) / P.

    Args:
        tokens: N, of the whole text.
        channels: d, of queries.
        ranks: P.
        kv_channels: of keys and values where query heads share them; None: channels.
    """
    _check_text(tokens, channels, ranks)
    return 2 * tokens * (kv_channels or channels) * (ranks - 1) / ranks


def ulysses_traffic(
    tokens: int, channels: int, ranks: int, kv_channels: int | None = None
) -> float:
    """Numbers that each rank sends in the forward of one layer with Ulysses.

    Queries, keys, values and outputs change places, all but a rank's own share of each:
    4 N d / P times (P - 1) / P (Jacobs et al. 2023, arXiv 2309.14509, section 3.2).
    """
    _check_text(tokens, channels, ranks)
    moved = 2 * channels + 2 * (kv_channels or channels)
    return moved * tokens / ranks * (ranks - 1) / ranks


class RingTime(NamedTuple):
    """Seconds of one layer's ring: in all, and how many of them wait for messages."""

    total: float
    waiting: float


def ring_seconds(
    block: int, channels: int, ranks: int, flops: float, bandwidth: float, element: int = 2
) -> RingTime:
    """One forward of ring attention without a mask, where a step sends while it computes.

    A step computes 4 d c^2 operations and sends 2 c d numbers; whichever takes longer is its time,
    but nothing is sent in the last one. Messages hide from c = flops / bandwidth on, at two bytes a
    number (`cluster.ring_block`).

    Args:
        block: c, tokens of a rank.
        channels: d.
        ranks: P.
        flops: of a rank, per second.
        bandwidth: between neighbours, bytes per second.
        element: bytes of a number.
    """
    _check_text(block, channels, ranks)
    if flops <= 0 or bandwidth <= 0:
        raise InputError(f"flops is {flops:g}, bandwidth {bandwidth:g}; both must be above 0")
    compute = 4 * channels * block**2 / flops
    send = 2 * block * channels * element / bandwidth
    waiting = (ranks - 1) * max(0.0, send - compute)
    return RingTime(ranks * compute + waiting, waiting)


class Cost(NamedTuple):
    """Operations, and bytes read from memory."""

    flops: int
    bytes: int

    def seconds(self, flops: float, bandwidth: float) -> float:
        """At least this long on a machine of so many operations and bytes per second."""
        return max(self.flops / flops, self.bytes / bandwidth)


def _pairs_flops(config: Any) -> int:
    """Operations of all layers for one pair of query and key: 4 L H D."""
    s = shape_of(config)
    return 4 * s.stack * s.h * s.d


def prefill_cost(config: Any, length: int, element: int = 2) -> Cost:
    """Read `length` tokens at once and keep their keys and values.

    2 N n operations in the matrices and 4 L H D for each of n (n + 1) / 2 pairs; the weights are
    read once.

    Args:
        config: of a decoder.
        length: n.
        element: bytes of a weight and of a cached number.
    """
    if length < 1:
        raise InputError(f"length is {length}; it must be 1 or more")
    weights = matrix_parameters(config)
    pairs = length * (length + 1) // 2
    return Cost(2 * weights * length + _pairs_flops(config) * pairs, element * weights)


def decode_cost(config: Any, length: int, written: int, element: int = 2) -> Cost:
    """Write tokens one by one after `length` were read.

    Each one reads all weights and all keys and values before it.

    Args:
        config: of a decoder.
        length: n, tokens in the cache at the start.
        written: m, tokens that are written.
        element: bytes of a weight and of a cached number.
    """
    if length < 0 or written < 1:
        raise InputError(
            f"length is {length}, written {written}; they must be at least 0 and at least 1"
        )
    weights = matrix_parameters(config)
    seen = length * written + written * (written + 1) // 2  # keys, over all tokens written
    kept = kv_bytes_per_token(config, element) * seen
    flops = 2 * weights * written + _pairs_flops(config) * seen
    return Cost(flops, element * weights * written + kept)
