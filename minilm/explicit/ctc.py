"""Connectionist temporal classification: a text's probability without knowing when it was said.

A path names a symbol or the blank in every frame; runs are merged, then blanks dropped, to give its
text. A text's probability is the sum over all paths that give it, found by going once through the
frames (Graves et al. 2006, section 4). All of it in logarithms: products of hundreds of
probabilities leave the range of floats.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from minilm.backend import Array
from minilm.errors import InputError
from minilm.tensor import primitive


def collapse(path: Sequence[int] | np.ndarray, blank: int = 0) -> list[int]:
    """The text of a path: runs merged, then blanks dropped."""
    path = [int(symbol) for symbol in path]
    return [s for i, s in enumerate(path) if s != blank and (i == 0 or path[i - 1] != s)]


def ctc_forward(logp: np.ndarray, target: Any, blank: int = 0) -> np.ndarray:
    """alpha: all ways to come to a state.

    The states of a text of L symbols are 2 L + 1: blank, first symbol, blank, ..., blank. A path
    stays, goes on one state, or skips a blank between two symbols that differ.

    Args:
        logp: (T, V) log-probabilities of each frame.
        target: (L,) symbols, no blank.
        blank: its id.

    Returns:
        (T, 2 L + 1) float64: log of the sum over paths in state s at frame t, frame t included. The
        last two states of the last frame add up to the probability of the text.

    Raises:
        InputError: no frames; a symbol that is the blank or outside V; a text too long for T.
    """
    logp, states, skips = _prepare(logp, target, blank)
    emitted = logp[:, states]
    return _arrivals(emitted, skips) + emitted


def ctc_backward(logp: np.ndarray, target: Any, blank: int = 0) -> np.ndarray:
    """beta: all ways to end from a state, frame t not included.

    So at every t, alpha + beta over all states adds up to the text's log-probability. Arguments and
    errors as for `ctc_forward`.
    """
    logp, states, skips = _prepare(logp, target, blank)
    emitted = logp[:, states]
    # Backwards is forwards over turned time and states, where skips lead into mirrored states.
    turned = np.zeros_like(skips)
    turned[2:] = skips[2:][::-1]
    return _arrivals(emitted[::-1, ::-1], turned)[::-1, ::-1]


def _arrivals(emitted: np.ndarray, skips: np.ndarray) -> np.ndarray:
    """log of the sum over paths that come to a state, what they emit there not included.

    Args:
        emitted: (T, S) log-probabilities of the states' symbols.
        skips: (S,) whether a state is also reached from the one before the last.
    """
    come = np.full(emitted.shape, -np.inf)
    come[0, :2] = 0.0
    for t in range(1, len(emitted)):
        before = come[t - 1] + emitted[t - 1]
        come[t] = before
        come[t, 1:] = np.logaddexp(come[t, 1:], before[:-1])
        come[t, 2:] = np.where(skips[2:], np.logaddexp(come[t, 2:], before[:-2]), come[t, 2:])
    return come


def _prepare(logp: Any, target: Any, blank: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """log-probabilities as float64, the symbol of each state, which states skip a blank."""
    logp, target = np.asarray(logp, np.float64), np.asarray(target)
    if logp.ndim != 2 or not logp.size:
        raise InputError(f"log-probabilities are {logp.shape}; they must be (T, V), T at least 1")
    size = logp.shape[1]
    if not 0 <= blank < size:
        raise InputError(f"blank is {blank}; it must be from 0 to {size - 1}")
    target = target.astype(np.int64) if not target.size else target
    if target.ndim != 1 or target.dtype.kind not in "iu":
        raise InputError(f"target is {target.shape} {target.dtype}; it must be (L,) integers")
    if target.size and not 0 <= target.min() <= target.max() < size:
        odd = target.min() if target.min() < 0 else target.max()
        raise InputError(f"target holds {odd}; symbols are from 0 to {size - 1}")
    if (target == blank).any():
        raise InputError(f"target holds {blank}, the blank; it stands for no symbol of a text")
    needed = len(target) + int((target[1:] == target[:-1]).sum())  # a blank between equal symbols
    if needed > len(logp):
        raise InputError(
            f"the target needs {needed} frames, of {len(target)} symbols and a blank between equal "
            f"ones; there are {len(logp)}"
        )
    states = np.full(2 * len(target) + 1, blank)
    states[1::2] = target
    skips = np.zeros(len(states), bool)
    skips[3::2] = target[1:] != target[:-1]
    return logp, states, skips


def ctc_occupancy(logp: np.ndarray, target: Any, blank: int = 0) -> tuple[float, np.ndarray]:
    """The text's log-probability, and how likely each symbol is at each frame given the text.

    Arguments and errors as for `ctc_forward`.

    Returns:
        log p(text), and (T, V) float64, rows that sum to 1 (0 where the text is impossible).
    """
    alpha, beta = ctc_forward(logp, target, blank), ctc_backward(logp, target, blank)
    total = float(np.logaddexp.reduce(alpha[-1, -2:]))
    occupancy = np.zeros(np.shape(logp))
    if total > -np.inf:
        states = _prepare(logp, target, blank)[1]
        np.add.at(occupancy.T, states, np.exp(alpha + beta - total).T)  # states share the blank
    return total, occupancy


@primitive
def ctc_loss(logp: Array, targets: Sequence[Any], lengths: Any = None, blank: int = 0):
    """-log p(text) of each recording, in nats.

    The gradient is that of log-probabilities taken as free numbers, minus the occupancy. Through
    the `log_softmax` that made them it becomes softmax minus occupancy.

    Args:
        logp: (B, T, V) log-probabilities.
        targets: B rows of symbols, of any lengths.
        lengths: (B,) frames of each recording; None: all T.
        blank: id of the blank.

    Returns:
        (B,); inf where the frames rule a text out.

    Raises:
        InputError: as `ctc_forward`; numbers of rows that differ; a length out of range.
    """
    if logp.ndim != 3 or len(targets) != len(logp):
        raise InputError(
            f"log-probabilities are {logp.shape} and targets {len(targets)} rows; they must be "
            "(B, T, V) and B rows"
        )
    lengths = np.full(len(logp), logp.shape[1]) if lengths is None else np.asarray(lengths)
    if lengths.shape != (len(logp),) or lengths.dtype.kind not in "iu":
        raise InputError(f"lengths is {lengths.shape} {lengths.dtype}; it must be (B,) integers")
    losses = np.zeros(len(logp), logp.dtype)
    occupied = np.zeros(logp.shape, logp.dtype)
    for row, (target, frames) in enumerate(zip(targets, lengths, strict=True)):
        if not 1 <= frames <= logp.shape[1]:
            raise InputError(f"a length is {frames}; it must be from 1 to {logp.shape[1]} frames")
        total, occupancy = ctc_occupancy(logp[row, :frames], target, blank)
        losses[row], occupied[row, :frames] = -total, occupancy

    return losses, lambda g: (-g[:, None, None] * occupied,)


def greedy_text(logp: np.ndarray, blank: int = 0) -> list[int]:
    """The text of the likeliest path, which need not be the likeliest text.

    Args:
        logp: (T, V).
    """
    return collapse(np.asarray(logp).argmax(axis=-1), blank)
