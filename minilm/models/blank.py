"""GLM's training text: spans cut out, moved to the end, written word by word.

Du et al. 2021, arXiv 2103.10360. Part A is the text with one mask per span; part B holds the
spans in shuffled order, each behind a start token; the model writes every span and an end token.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from minilm.backend import IGNORE
from minilm.errors import InputError
from minilm.nn.masks import prefix as prefix_mask


@dataclass(frozen=True)
class Blanks:
    """One text ready for a model of kind "glm", or a batch of them padded on the right.

    inputs      (T,) or (B, T): part A, then per span the start token and its tokens
    targets     as inputs: IGNORE (-100) in A; in B the next token of the span, the end token last
    positions   (2, T) or (2, B, T): place in the text, counted from 1 (in B: of the span's mask);
                place in the span (A: 0; B: 1, 2, ...)
    prefix      length of part A, an int or (B,)
    valid       (B, T) bool, False for padding; None for one text
    """

    inputs: np.ndarray
    targets: np.ndarray
    positions: np.ndarray
    prefix: int | np.ndarray
    valid: np.ndarray | None = None

    @property
    def loss_mask(self) -> np.ndarray:
        """True where the model is scored."""
        return self.targets != IGNORE

    @property
    def mask(self) -> np.ndarray:
        """Who may look at whom: part A at A, part B at A and at what came before it in B."""
        return prefix_mask(self.inputs.shape[-1], self.prefix)


def blank_out(
    ids: Sequence[int],
    spans: Sequence[tuple[int, int]],
    order: Sequence[int] | None = None,
    *,
    mask_id: int,
    start_id: int,
    end_id: int,
) -> Blanks:
    """Cut spans out of one text and put them behind it.

    Args:
        ids: the text, (n,) ints.
        spans: (first, past the last) of each, counted from 0; not empty, apart by at least one.
        order: in which part B holds them, a permutation; None: as they stand.
        mask_id, start_id, end_id: the special tokens.

    Raises:
        InputError: spans that overlap, touch, are empty or leave the text.
    """
    text = check_text(ids)
    order = list(range(len(spans))) if order is None else [int(i) for i in order]
    if sorted(order) != list(range(len(spans))):
        raise InputError(f"order is {order}; it must be a permutation of {len(spans)} spans")
    ranked = check_spans(spans, len(text))
    kept: list[int] = []
    where: dict[int, int] = {}
    done = 0
    for i in ranked:
        first, past = spans[i]
        kept += text[done:first].tolist() + [mask_id]
        where[i] = len(kept)
        done = past
    kept += text[done:].tolist()
    inputs, targets = list(kept), [IGNORE] * len(kept)
    place, within = list(range(1, len(kept) + 1)), [0] * len(kept)
    for i in order:
        words = text[slice(*spans[i])].tolist()
        inputs += [start_id, *words]
        targets += [*words, end_id]
        place += [where[i]] * (len(words) + 1)
        within += range(1, len(words) + 2)
    return Blanks(np.array(inputs), np.array(targets), np.array([place, within]), prefix=len(kept))


def check_text(ids: Sequence[int]) -> np.ndarray:
    """The text as an array (n,).

    Raises:
        InputError: it is no row of whole numbers.
    """
    text = np.asarray(ids)
    if text.ndim != 1 or text.dtype.kind not in "iu":
        raise InputError(
            f"ids is {text.dtype} of shape {text.shape}; it must be whole numbers of shape (n,)"
        )
    return text


def check_spans(spans: Sequence[tuple[int, int]], length: int) -> list[int]:
    """The numbers of the spans in order of their places, once it is sure that they fit.

    Raises:
        InputError: spans that overlap, touch, are empty or leave a text of this length.
    """
    ranked = sorted(range(len(spans)), key=lambda i: spans[i][0])
    edge = -1
    for i in ranked:
        first, past = spans[i]
        if not edge < first < past <= length:
            raise InputError(
                f"spans has {(first, past)}; each must lie in 0..{length}, be at least 1 long "
                "and 1 apart from the others"
            )
        edge = past
    return ranked


def sample_spans(
    length: int, rng: np.random.Generator, ratio: float = 0.15, mean: float = 3.0
) -> list[tuple[int, int]]:
    """Spans that cover about `ratio` of a text, lengths Poisson(`mean`) but at least 1.

    The last span is cut so that exactly round(ratio * length) tokens are covered (at least 1),
    and the gaps between spans share what is left, at least one token each.

    Args:
        length: of the text; at least 2.
        ratio: in (0, 1).
        mean: of the lengths, positive.

    Returns:
        (first, past the last) of each span, in order of position.

    Raises:
        InputError: a value outside these, or a ratio that leaves no room for gaps.
    """
    if length < 2 or not 0 < ratio < 1 or mean <= 0:
        raise InputError(
            f"length, ratio and mean are {length}, {ratio} and {mean}; they must be at least 2, "
            "in (0, 1) and positive"
        )
    wanted = max(1, round(ratio * length))
    lengths: list[int] = []
    while (left := wanted - sum(lengths)) > 0:
        lengths.append(min(max(1, int(rng.poisson(mean))), left))
    free = length - wanted - (len(lengths) - 1)
    if free < 0:
        raise InputError(
            f"ratio is {ratio}; of {length} tokens it leaves no room between {len(lengths)} spans"
        )
    cuts = np.sort(rng.integers(0, free + 1, len(lengths)))
    spans, used = [], 0
    for i, (cut, size) in enumerate(zip(cuts, lengths, strict=True)):
        first = int(cut) + used + i
        spans.append((first, first + size))
        used += size
    return spans


def batch_blanks(texts: Sequence[Blanks], pad_id: int = 0) -> Blanks:
    """Several texts as one batch, padded on the right.

    Padding is masked by `valid`, and nothing is scored on it.

    Raises:
        InputError: no text.
    """
    if not texts:
        raise InputError("texts is empty; it must hold at least one text")
    time = max(len(text.inputs) for text in texts)

    def padded(arrays: list[np.ndarray], fill: int) -> np.ndarray:
        rows = [
            np.pad(a, [(0, 0)] * (a.ndim - 1) + [(0, time - a.shape[-1])], constant_values=fill)
            for a in arrays
        ]  # (T,) or (2, T) each
        return np.stack(rows, axis=-2)  # -> (B, T) or (2, B, T)

    return Blanks(
        padded([text.inputs for text in texts], pad_id),
        padded([text.targets for text in texts], IGNORE),
        padded([text.positions for text in texts], 0),
        np.array([text.prefix for text in texts]),
        np.arange(time) < np.array([[len(text.inputs)] for text in texts]),
    )
