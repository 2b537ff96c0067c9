"""Training text with words hidden: BERT's masks, and T5's spans behind sentinels.

Beside `blank`, which makes GLM's. The three differ in what is left of the hidden words, and in
where the model writes them: in place (BERT), in a second sequence (T5), behind the text (GLM).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from minilm.backend import IGNORE
from minilm.errors import InputError
from minilm.models.blank import check_spans, check_text


def mask_out(
    ids: np.ndarray,
    rng: np.random.Generator,
    *,
    mask_id: int,
    vocab_size: int,
    ratio: float = 0.15,
) -> tuple[np.ndarray, np.ndarray]:
    """BERT's masked words (Devlin et al. 2018, arXiv 1810.04805, section 3.1).

    Of each text exactly max(1, round(ratio T)) places are chosen. There, the input is the mask in
    80 % of the cases, any word in 10 % and the word itself in 10 %; only there is a target.

    Args:
        ids: (..., T) ints, the texts.
        rng: for the draws.
        mask_id: of the mask.
        vocab_size: random words are drawn from 0 to vocab_size - 1.
        ratio: in (0, 1).

    Returns:
        inputs and targets, each as ids; `minilm.backend.IGNORE` (-100) where nothing is asked.

    Raises:
        InputError: ids that are no whole numbers, a ratio or a size out of range.
    """
    ids = np.asarray(ids)
    if ids.ndim < 1 or not ids.size or ids.dtype.kind not in "iu":
        raise InputError(
            f"ids is {ids.dtype} of shape {ids.shape}; it must be whole numbers of shape (..., T)"
        )
    if not 0 < ratio < 1 or vocab_size < 1:
        raise InputError(
            f"ratio is {ratio} and vocab_size {vocab_size}; they must be in (0, 1) and at least 1"
        )
    count = max(1, round(ratio * ids.shape[-1]))
    chosen = rng.random(ids.shape).argsort(-1).argsort(-1) < count  # ranks: `count` in every row
    fate = rng.random(ids.shape)
    other = rng.integers(0, vocab_size, ids.shape)
    inputs = np.where(fate < 0.8, mask_id, np.where(fate < 0.9, other, ids))
    return np.where(chosen, inputs, ids), np.where(chosen, ids, IGNORE)


@dataclass(frozen=True)
class Corrupted:
    """One text ready for an encoder-decoder, or a batch of them padded on the right.

    source      (M,) or (B, M): the text, one sentinel in the place of each span
    fed         (T,) or (B, T): what the decoder reads, a start token and the targets but the last
    targets     (T,) or (B, T): per span its sentinel and its words; then the next sentinel
    valid       (B, M) bool, False for padding of the source; None for one text
    """

    source: np.ndarray
    fed: np.ndarray
    targets: np.ndarray
    valid: np.ndarray | None = None


def corrupt_spans(
    ids: Sequence[int],
    spans: Sequence[tuple[int, int]],
    *,
    sentinels: Sequence[int],
    start_id: int,
) -> Corrupted:
    """T5's span corruption (Raffel et al. 2019, arXiv 1910.10683, section 3.1.4 and figure 2).

    "Thank you for inviting me to your party last week" becomes the source "Thank you <X> me to your
    party <Y> week" and the target "<X> for inviting <Y> last <Z>".

    Args:
        ids: the text, (n,) ints.
        spans: (first, past the last) of each, counted from 0; not empty, apart by at least one.
        sentinels: ids, one more than there are spans at least; the first ones are used, in order.
        start_id: what the decoder reads first.

    Raises:
        InputError: spans that overlap, touch, are empty or leave the text; too few sentinels.
    """
    text = check_text(ids)
    ranked = [spans[i] for i in check_spans(spans, len(text))]
    if len(sentinels) <= len(ranked):
        raise InputError(
            f"sentinels has {len(sentinels)} ids for {len(ranked)} spans; it must have one more"
        )
    source: list[int] = []
    targets: list[int] = []
    done = 0
    for sentinel, (first, past) in zip(sentinels, ranked, strict=False):
        source += [*text[done:first].tolist(), sentinel]
        targets += [sentinel, *text[first:past].tolist()]
        done = past
    source += text[done:].tolist()
    targets.append(sentinels[len(ranked)])
    return Corrupted(np.array(source), np.array([start_id, *targets[:-1]]), np.array(targets))


def batch_corrupted(texts: Sequence[Corrupted], pad_id: int = 0) -> Corrupted:
    """Several texts as one batch, padded on the right.

    Padding of the source is masked by `valid`, and nothing is scored on that of the target.

    Raises:
        InputError: no text.
    """
    if not texts:
        raise InputError("texts is empty; it must hold at least one text")
    source = _padded([text.source for text in texts], pad_id)
    lengths = np.array([[len(text.source)] for text in texts])
    return Corrupted(
        source,
        _padded([text.fed for text in texts], pad_id),
        _padded([text.targets for text in texts], IGNORE),
        np.arange(source.shape[1]) < lengths,
    )


def _padded(rows: Sequence[np.ndarray], fill: int) -> np.ndarray:
    made = np.full((len(rows), max(map(len, rows))), fill)
    for row, values in zip(made, rows, strict=True):
        row[: len(values)] = values
    return made
