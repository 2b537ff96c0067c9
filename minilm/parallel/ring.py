"""Attention of a text that is cut over ranks, as a step of the tape, and the layer made of it.

Each rank has the queries of its tokens. Keys and values go around the ring; what a rank finds for
each block is merged by the logs of the totals, so no rank ever holds all keys (Liu, Zaharia and
Abbeel 2023, arXiv 2310.01889). In backward they go around again, and the gradients of each block
travel with it until they are home.

`ContextAttention` puts Ulysses' exchange of heads (2309.14509) inside: with both, heads are shared
among neighbours and blocks go around between them (Fang and Zhao 2024, arXiv 2405.07719).
"""

from typing import Any

import numpy as np

from minilm.backend import Array, xp_of
from minilm.nn import Attention, Sight
from minilm.nn.attention import OPEN
from minilm.parallel.communicator import Communicator
from minilm.parallel.context import merge
from minilm.parallel.moves import to_heads, to_tokens
from minilm.tensor import Tensor, primitive

ROWS = 128  # queries whose scores are held at a time
_COPIES = 4  # of these scores at once: raw, masked, their exponentials, and a product on its way


def _weights(q: Array, k: Array, seen: Array, scale: float, log: Array | None) -> tuple:
    """exp(scores - log) where seen, and log: given, or that of the row's total.

    q (B, G, n, T, D), k (B, G, S, D), seen (T, S) -> (B, G, n, T, S), (B, G, n, T).
    """
    xp = xp_of(q)
    scores = q @ k[:, :, None].swapaxes(-1, -2) * q.dtype.type(scale)
    scores = xp.where(seen, scores, q.dtype.type(-np.inf))
    if log is None:
        top = scores.max(-1)
        top = xp.where(xp.isfinite(top), top, 0).astype(q.dtype)
        total = xp.exp(scores - top[..., None]).sum(-1)
        with np.errstate(divide="ignore"):
            log = top + xp.log(total)
    safe = xp.where(xp.isfinite(log), log, 0).astype(q.dtype)  # a query that sees nothing
    return xp.exp(scores - safe[..., None]), log


def _rows(q: Array, places: Array, keys: Array, causal: bool):
    """(rows, columns, seen) of each stretch of queries that sees anything of a block."""
    for first in range(0, q.shape[-2], ROWS):
        rows = slice(first, first + ROWS)
        own = places[rows]
        seen = keys[None, :] <= own[:, None] if causal else np.ones((len(own), len(keys)), bool)
        columns = np.flatnonzero(seen.any(0))
        if len(columns):
            whole = len(columns) == len(keys)
            yield rows, slice(None) if whole else columns, seen if whole else seen[:, columns]


@primitive
def ring(
    q: Array,
    k: Array,
    v: Array,
    comm: Communicator,
    places: list[np.ndarray],
    scale: float,
    causal: bool = True,
):
    """Attention of this rank's queries to the keys of all ranks of the ring.

    Args:
        q: (B, H, T, D); k, v: (B, G, T, D), G divides H.
        comm: the ring.
        places: of each rank's tokens in the text, (T,) each.
        scale: of the scores.
        causal: no key after the query.

    Returns:
        (B, H, T, D).
    """
    xp, own = xp_of(q), places[comm.rank]
    b, h, t, d = q.shape
    grouped = q.reshape(b, k.shape[1], -1, t, d)  # (B, H, T, D) -> (B, G, H / G, T, D)
    out = xp.zeros((*grouped.shape[:-1], v.shape[-1]), q.dtype)
    log = xp.full(grouped.shape[:-1], -np.inf, q.dtype)
    hold = comm.ledger.hold
    held = 2 * (k.nbytes + v.nbytes) + _COPIES * b * h * min(ROWS, t) * t * q.itemsize
    hold("attention", held)
    blocks = (k, v)
    for step in range(comm.size):
        here, blocks = blocks, _turn(comm, blocks) if step + 1 < comm.size else None
        keys = places[(comm.rank - step) % comm.size]
        for rows, columns, seen in _rows(q, own, keys, causal):
            at = (..., columns, slice(None))
            p, total = _weights(grouped[..., rows, :], here[0][at], seen, scale, None)
            part = p @ here[1][at][:, :, None]
            place = (..., rows)
            o, log[place] = merge(out[..., rows, :], log[place], part, total)
            out[..., rows, :] = o
        blocks = blocks and blocks()
    hold("attention", -held)

    def pullback(g: Array):
        g = g.reshape(out.shape)
        slope = (g * out).sum(-1)  # (B, G, H / G, T)
        dq = xp.zeros_like(grouped)
        travelling = (k, v, xp.zeros_like(k), xp.zeros_like(v))
        hold("attention", 2 * held)
        for step in range(comm.size):
            k_, v_, dk, dv = travelling
            ahead = _turn(comm, (k_, v_)) if step + 1 < comm.size else None
            keys = places[(comm.rank - step) % comm.size]
            for rows, columns, seen in _rows(q, own, keys, causal):
                at = (..., columns, slice(None))
                wide = (slice(None), slice(None), None)
                queries, gradient = grouped[..., rows, :], g[..., rows, :]
                p, _ = _weights(queries, k_[at], seen, scale, log[..., rows])
                dv[at] += (p.swapaxes(-1, -2) @ gradient).sum(2)
                ds = gradient @ v_[at][wide].swapaxes(-1, -2) - slope[..., rows, None]
                ds *= p
                ds *= ds.dtype.type(scale)
                dq[..., rows, :] += ds @ k_[at][wide]
                dk[at] += (ds.swapaxes(-1, -2) @ queries).sum(2)
            grads = _turn(comm, (dk, dv), 2)()  # the last turn brings them home
            travelling = (*(ahead() if ahead else (k, v)), *grads)
        hold("attention", -2 * held)
        return dq.reshape(q.shape), travelling[2], travelling[3]

    return out.reshape(b, h, t, -1), pullback


def _turn(comm: Communicator, arrays: tuple, tag: int = 0) -> Any:
    """Send arrays to the next rank of a ring; the function returned gives those of the last."""
    if comm.size == 1:
        return lambda: arrays
    for i, array in enumerate(arrays):
        comm.send(array, (comm.rank + 1) % comm.size, tag + i)
    before = (comm.rank - 1) % comm.size
    return lambda: tuple(comm.recv(before, tag + i) for i in range(len(arrays)))


class ContextAttention(Attention):
    """A self-attention layer whose text is cut over ranks; takes over the weights of a whole one.

    Args:
        whole: the layer, of which nothing is copied.
        ring: ranks among which blocks go around.
        ulysses: ranks that share the heads.
        places: where each rank's tokens stand in the text, after the exchange of heads.
    """

    def __init__(
        self, whole: Attention, ring: Communicator, ulysses: Communicator, places: Any
    ) -> None:
        vars(self).update(vars(whole))
        self._ring, self._ulysses, self._places = ring, ulysses, places

    def forward(self, x: Tensor, sight: Sight = OPEN, cache: Any = None, layer: int = 0) -> Tensor:
        """(B, T, C) -> (B, T, C): T tokens of this rank, which see those before them anywhere."""
        q, k, v = self.project(x, sight.rope)  # (B, H, T, D), (B, G, T, D) twice
        if self._ulysses.size > 1:
            q, k, v = (to_heads(one, self._ulysses) for one in (q, k, v))
        places = self._places(x.shape[1])
        scale = self.head_size**-0.5 if self.scale is None else self.scale
        mixed = ring(q, k, v, self._ring, places, scale, sight.causal)
        if self._ulysses.size > 1:
            mixed = to_tokens(mixed, self._ulysses)
        batch, heads, time, size = mixed.shape
        mixed = mixed.transpose(1, 2).reshape(batch, time, heads * size)  # -> (B, T, H D)
        return self.out(mixed)
