"""CogLM: one model that draws, tells and fills in, by masks alone (CogView2, arXiv 2204.14217).

Some tokens of a sequence are hidden. There is no token in their place: all others see each other in
both directions, and a hidden one sees them and the hidden ones before it. Each token that stands
before a hidden one must predict it. Which are hidden decides the task:

    draw   the picture is hidden: text to image, one token after the other
    tell   the text is hidden: image to text
    fill   some of the picture is hidden: what a masked autoencoder learns
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from minilm.backend import IGNORE, rng, to_numpy
from minilm.errors import InputError
from minilm.tensor import Tensor, no_grad
from minilm.vision.sequence import Layout, pick

KINDS = ("draw", "tell", "fill")


class Masked(NamedTuple):
    """A batch: what a model reads, what it predicts, and who sees whom."""

    ids: np.ndarray  # (B, T - 1)
    targets: np.ndarray  # (B, T - 1), tokens that are not hidden ignored
    mask: np.ndarray  # (B, T - 1, T - 1)


def coglm_mask(hidden: np.ndarray) -> np.ndarray:
    """Who sees whom: (..., T) -> (..., T, T) bool, True where the row may look at the column.

    Everyone sees what is not hidden; a hidden token also sees itself and the hidden ones before it.
    With n shown and m hidden tokens that is n n + m n + m (m + 1) / 2 pairs.

    Args:
        hidden: bool (..., T).

    Raises:
        InputError: another dtype; a sequence whose first token is hidden, as nothing is before it.
    """
    hidden = np.asarray(hidden)
    if hidden.dtype != bool or not hidden.ndim or not hidden.shape[-1]:
        raise InputError(f"hidden is {hidden.dtype} of shape {hidden.shape}; it must be bool (T,)")
    if hidden[..., 0].any():
        raise InputError("the first token is hidden; one must stand before it to predict it")
    among = hidden[..., :, None] & hidden[..., None, :]  # (..., T, T)
    before = np.tri(hidden.shape[-1], dtype=bool)
    return ~hidden[..., None, :] | (among & before)


def popcount(shown: int, hidden: int) -> int:
    """How many pairs `coglm_mask` allows, by formula.

    Raises:
        InputError: a number below 0.
    """
    if min(shown, hidden) < 0:
        raise InputError(f"shown is {shown} and hidden {hidden}; neither may be below 0")
    return shown * shown + hidden * shown + hidden * (hidden + 1) // 2


def hide(
    kind: str, layout: Layout, count: int, random: np.random.Generator, share: float = 0.5
) -> np.ndarray:
    """Which tokens are hidden: bool (count, T).

    Args:
        kind: one of `KINDS`.
        layout: of the sequence.
        count: how many sequences.
        random: chooses what is hidden for "fill".
        share: of the picture's tokens that "fill" hides, rounded, at least one.

    Raises:
        InputError: another kind; a share that is not above 0 and at most 1; nothing to hide.
    """
    if kind not in KINDS:
        raise InputError(f"kind is {kind!r}; it must be one of {', '.join(KINDS)}")
    if not 0 < share <= 1:
        raise InputError(f"share is {share}; it must be above 0 and at most 1")
    if kind == "tell" and not layout.text:
        raise InputError("the layout has no text; kind 'tell' needs one to hide")
    hidden = np.zeros((count, layout.length), bool)
    if kind == "fill":
        some = max(1, round(share * layout.picture))
        order = random.random((count, layout.picture)).argsort(-1)
        hidden[:, layout.of_picture] = order < some
    else:
        hidden[:, layout.of_picture if kind == "draw" else layout.of_text] = True
    return hidden


def masked(rows: np.ndarray, hidden: np.ndarray) -> Masked:
    """The batch that `Transformer.loss` takes: `model.loss(ids, targets, mask=mask)`.

    Args:
        rows: sequences (B, T).
        hidden: bool (B, T).

    Raises:
        InputError: shapes that differ, or what `coglm_mask` refuses.
    """
    if rows.shape != hidden.shape or rows.ndim != 2:
        raise InputError(f"rows are {rows.shape} and hidden {hidden.shape}; both must be (B, T)")
    targets = np.where(hidden, rows, IGNORE)
    return Masked(rows[:, :-1], targets[:, 1:], coglm_mask(hidden[:, :-1]))


def loss(model: Any, batch: Masked) -> Tensor:
    """Mean cross-entropy of the hidden tokens, in nats."""
    return model.loss(batch.ids, batch.targets, mask=batch.mask)


def scored(batch: Masked) -> int:
    """How many tokens the loss of a batch is a mean over: what `train` weighs pieces by."""
    return int((batch.targets != IGNORE).sum())


def draw_batches(
    rows: np.ndarray,
    layout: Layout,
    kinds: Sequence[str],
    batch: int,
    seed: int,
    share: float = 0.5,
) -> Callable[[int], Masked]:
    """A function from the number of a batch to the batch; each of its rows is of a random kind.

    Args:
        rows: sequences (N, T) to draw from.
        layout: of the sequence.
        kinds: of `KINDS`; one alone makes a specialist.
        batch: sequences a batch.
        seed: of all that is random.
        share: as for `hide`.

    Raises:
        InputError: no kind, a batch below 1, rows of another length, or what `hide` refuses.
    """
    if not kinds or batch < 1:
        raise InputError(
            f"kinds are {kinds} and batch is {batch}; there must be at least one of each"
        )
    if rows.ndim != 2 or rows.shape[1] != layout.length:
        raise InputError(f"rows are {rows.shape}; they must be (N, {layout.length})")

    def draw(step: int) -> Masked:
        random = rng(seed, "coglm", step)
        chosen = rows[random.integers(0, len(rows), batch)]
        of_kind = [hide(kind, layout, batch, random, share) for kind in kinds]
        which = random.integers(0, len(kinds), batch)
        return masked(chosen, np.stack(of_kind)[which, np.arange(batch)])

    return draw


def fill(
    model: Any,
    layout: Layout,
    rows: np.ndarray,
    hidden: np.ndarray,
    random: np.random.Generator,
    temperature: float = 1.0,
    top: int = 0,
) -> np.ndarray:
    """Write the hidden tokens, one after the other from the left: int64 (B, T).

    Each takes one pass of all sequences through the model.

    Args:
        model: a `Transformer` that was trained on `masked` batches.
        layout: of the sequence.
        rows: (B, T); what stands in hidden places is not read.
        hidden: bool (T,), the same places in every sequence, or (B, T).
        random, temperature, top: as for `pick`.

    Raises:
        InputError: what `masked` and `pick` refuse.
    """
    hidden = np.broadcast_to(hidden, rows.shape)
    rows, (first, end) = np.where(hidden, layout.start, rows), layout.allowed()
    model.eval()
    with no_grad():
        for place in np.flatnonzero(hidden.any(0)):
            here = np.flatnonzero(hidden[:, place])
            batch = masked(rows[here], hidden[here])
            logits = to_numpy(model(batch.ids, mask=batch.mask).data[:, place - 1])  # (B, V)
            among = logits[:, first[place] : end[place]]
            rows[here, place] = first[place] + pick(among, random, temperature, top)
    return rows
