"""Context parallelism: attention over a text whose parts lie on different ranks.

ring       keys and values go round; each rank merges what it sees block by block (Liu, Zaharia
           and Abbeel 2023, arXiv 2310.01889)
zigzag     rank r gets the chunks r and 2 P - 1 - r, so that under a causal mask all have the
           same work
ulysses    an all_to_all turns parts of the text into parts of the heads, and back (Jacobs et
           al. 2023, arXiv 2309.14509)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from minilm.errors import InputError

if TYPE_CHECKING:
    from minilm.parallel.communicator import Communicator

Array = np.ndarray
PLANS = ("contiguous", "zigzag")


def _block(q: Array, k: Array, v: Array, seen: Array) -> tuple[Array, Array]:
    """Attention to one block, and the log of each query's total; zeros and -inf where none is seen.

    q (..., T, D), k and v (..., S, D), seen (T, S) -> (..., T, D), (..., T).
    """
    scores = q @ np.swapaxes(k, -1, -2) / np.sqrt(q.shape[-1])  # (..., T, S)
    scores = np.where(seen, scores, -np.inf)
    top = scores.max(-1, keepdims=True)
    finite = np.where(np.isfinite(top), top, 0)
    e = np.exp(scores - finite)  # (..., T, S)
    total = e.sum(-1, keepdims=True)  # (..., T, 1)
    out = e @ v / np.where(total > 0, total, 1)
    with np.errstate(divide="ignore"):
        return out, (finite + np.log(total))[..., 0]


def merge(o1: Array, l1: Array, o2: Array, l2: Array) -> tuple[Array, Array]:
    """Two results of attention over different keys as one over both.

    o <- o1 - sigmoid(l2 - l1)(o1 - o2), l <- log(e^l1 + e^l2); exact, in any order.

    Args:
        o1, o2: (..., T, D) outputs.
        l1, l2: (..., T) logs of the totals; -inf where nothing was seen.
    """
    both = np.logaddexp(l1, l2)
    with np.errstate(invalid="ignore"):
        share = np.where(np.isneginf(both), 0.0, np.exp(l2 - both))[..., None]  # of the second
    return o1 + share * (o2 - o1), both


def ring_attention(
    comm: Communicator, q: Array, k: Array, v: Array, places: Array, causal: bool = True
) -> Array:
    """Attention of this rank's queries to the keys of all ranks.

    Args:
        comm: the ranks among which the text is split.
        q, k, v: (H, T, D) this rank's part; the same T on every rank.
        places: (T,) where its tokens stand in the text.
        causal: no key after the query.

    Returns:
        (H, T, D).
    """
    out, total = np.zeros_like(q), np.full(q.shape[:-1], -np.inf)
    after, before = (comm.rank + 1) % comm.size, (comm.rank - 1) % comm.size
    at = np.asarray(places)
    for step in range(comm.size):
        if step:
            for tag, block in enumerate((k, v, at)):
                comm.send(block, after, tag)
            k, v, at = (comm.recv(before, tag) for tag in range(3))
        seen = (
            at <= np.asarray(places)[:, None] if causal else np.ones((q.shape[-2], len(at)), bool)
        )
        out, total = merge(out, total, *_block(q, k, v, seen))
    return out


def ulysses_attention(
    comm: Communicator, q: Array, k: Array, v: Array, causal: bool = True
) -> Array:
    """The same through two all_to_alls: all tokens of some heads on each rank.

    Args:
        comm: the ranks; their number divides the heads.
        q, k, v: (H, T, D) this rank's part of the text, parts in the order of ranks.
        causal: no key after the query.

    Raises:
        InputError: the ranks do not divide the heads.
    """
    heads, ranks = q.shape[0], comm.size
    if heads % ranks:
        raise InputError(f"heads are {heads}; they must be a multiple of {ranks} ranks")

    def to_heads(x: Array) -> Array:  # (H, T, D) here -> (H / P, P T, D)
        return np.concatenate(comm.all_to_all(np.split(x, ranks)), axis=1)

    q, k, v = to_heads(q), to_heads(k), to_heads(v)
    time = q.shape[1]
    seen = np.tri(time, dtype=bool) if causal else np.ones((time, time), bool)
    out, _ = _block(q, k, v, seen)  # (H / P, P T, D)
    return np.concatenate(comm.all_to_all(np.split(out, ranks, axis=1)))  # (H, T, D)


def zigzag_split(count: int, ranks: int) -> list[Array]:
    """Which tokens each rank gets: of 2 P chunks those at r and 2 P - 1 - r.

    Raises:
        InputError: 2 P does not divide the tokens.
    """
    if ranks < 1 or count % (2 * ranks):
        raise InputError(f"count is {count}; it must be a multiple of twice the ranks, {2 * ranks}")
    chunks = np.split(np.arange(count), 2 * ranks)
    return [np.concatenate([chunks[r], chunks[2 * ranks - 1 - r]]) for r in range(ranks)]


def zigzag_join(parts: list[Array], axis: int = 0) -> Array:
    """What `zigzag_split` took apart, in the order of the text."""
    size = sum(part.shape[axis] for part in parts)
    order = np.argsort(np.concatenate(zigzag_split(size, len(parts))))
    return np.take(np.concatenate(parts, axis=axis), order, axis=axis)


def work_per_rank(count: int, ranks: int, plan: str = "zigzag") -> list[int]:
    """Pairs of query and key that each rank computes under a causal mask.

    Raises:
        InputError: `plan` is none of `PLANS`, or the tokens cannot be split so.
    """
    if plan not in PLANS:
        raise InputError(f"plan is {plan!r}; it must be one of {', '.join(PLANS)}")
    if plan == "zigzag":
        places = zigzag_split(count, ranks)
    else:
        if ranks < 1 or count % ranks:
            raise InputError(f"count is {count}; it must be a multiple of the ranks, {ranks}")
        places = np.split(np.arange(count), ranks)
    return [int((own + 1).sum()) for own in places]
