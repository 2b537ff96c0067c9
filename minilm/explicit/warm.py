"""A warm start of `SaffuModel`: every layer solved by counting, from the bottom up.

Each layer is solved on what the solved layers below send up, in one pass over the texts. Only O has
targets of its own; the layers in between get them as follows.

- U: a bit-cipher of the next token in `hidden` dimensions, its label embedding.
- W: the slots to weigh most are those whose vectors the layer above expects, given its target. U is
  solved first with all slots weighing the same, a_j = 1 / k. Its loss L = -y . log softmax(U z)
  then falls fastest along -dL/da_j = k (y - softmax(U z)) . U_j x_j, with U_j the columns of slot
  j: how much more the vector in slot j goes with the label than with what U says of itself. The
  softmax of that over the slots is W's target. The criterion of arXiv 2311.07498 is described in
  the talk in words only ("unsurprising to the layer above"); this derivation is ours.

The solution is exact for one-hot input. Hidden states are soft, and an O counted from them says
little more than the frequencies of tokens: most of what the layers below found has to be brought
out by fine-tuning.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np

from minilm import functional as F
from minilm.errors import InputError
from minilm.explicit.cipher import bit_cipher
from minilm.explicit.counts import Counts
from minilm.explicit.saffu import Bag, Saffu, SaffuModel
from minilm.nn import Linear
from minilm.tensor import Tensor, no_grad
from minilm.tokenizers.checks import check_ids


def warm_start(
    model: SaffuModel, texts: Iterable[Any], alpha: float = 1.0, weigh: bool = True
) -> None:
    """Solve all layers of a model, in place; its vectors stay as they are.

    Args:
        model: its weights are replaced.
        texts: batches of (B, T) integers, T at least 2, every row a document. They are kept, and
            gone through once for each solution.
        alpha: smoothing of every layer, as in `explicit_solution`. Besides, each layer counts one
            example of each target with even features, so that no target is impossible.
        weigh: whether W is solved; if not, it is 0, and all slots weigh the same.

    Raises:
        InputError: no text, or texts without a next token; an id out of range; more tokens than
            `hidden` bits tell apart; `alpha` below 0.
    """
    size, hidden = len(model.vectors), model.contexts[0].value.weight.shape[0]
    texts = [_check_text(text, size) for text in texts]
    if not texts:
        raise InputError("there are 0 texts; a warm start needs at least 1")
    seen = sum(np.bincount(text[:, 1:].ravel(), minlength=size) for text in texts)
    labels = bit_cipher(seen, hidden)  # (V, hidden)
    with no_grad():
        for part in model.contexts:
            if isinstance(part, Saffu):
                part.weigh.weight.data[...] = 0
                part.weigh.weight.touch()
                if weigh:
                    _solve_value(part, model.vectors, texts, labels, alpha)
                    _solve_weigh(part, model.vectors, texts, labels, alpha)
            _solve_value(part, model.vectors, texts, labels, alpha)
        counts = Counts(model.output.weight.shape[1], size)
        for text in texts:
            counts.add(_rows(model.hidden(text[:, :-1])), text[:, 1:].ravel())
        _set(model.output, counts, alpha)


def _solve_value(
    part: Saffu | Bag,
    vectors: Tensor,
    texts: list[np.ndarray],
    labels: np.ndarray,
    alpha: float,
) -> None:
    """U, against the labels of the next tokens."""
    counts = Counts(part.value.weight.shape[1], labels.shape[1])
    for text in texts:
        ids = text[:, :-1]
        if isinstance(part, Saffu):
            z = part.weighted(*part.slots(ids, vectors))
        else:
            z = part.mean(ids, vectors)
        counts.add(_rows(z), labels[text[:, 1:].ravel()])
    _set(part.value, counts, alpha)


def _solve_weigh(
    part: Saffu,
    vectors: Tensor,
    texts: list[np.ndarray],
    labels: np.ndarray,
    alpha: float,
) -> None:
    """W, against the slots that U, as it stands, would have weigh more."""
    counts = Counts(part.size, part.size)
    for text in texts:
        targets, compared = slot_targets(part, text, vectors, labels)
        counts.add(compared, targets)
    _set(part.weigh, counts, alpha)


def slot_targets(
    part: Saffu, text: np.ndarray, vectors: Tensor, labels: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """What W should give: softmax(-dL/da), with L the loss of U against the label.

    Args:
        part: its U is the layer above; its W must still be 0.
        text: (B, T + 1).
        vectors: (V, d).
        labels: (V, hidden).

    Returns:
        targets and comparisons, both (B T, K), 0 in empty slots.
    """
    ids = text[:, :-1]
    x, compared, filled = part.slots(ids, vectors)
    said = F.softmax(part.value(part.weighted(x, compared, filled)))
    wrong = labels[text[:, 1:]] - said.data  # (B, T, h)
    up = part.value.weight.data.reshape(wrong.shape[-1], *x.shape[-2:])  # (h, K d) -> (h, K, d)
    gain = np.einsum("bth,hkd,btkd->btk", wrong, up, x.data, optimize=True)
    gain *= filled.sum(axis=-1, keepdims=True)
    targets = F.softmax(np.where(filled, gain, -np.inf)).data
    return _rows(targets), _rows(compared)


def _rows(x: Any) -> np.ndarray:
    """(B, T, C) -> (B T, C), as float64."""
    x = np.asarray(x.data if isinstance(x, Tensor) else x, np.float64)
    return x.reshape(-1, x.shape[-1])  # (B, T, C) -> (B T, C)


def _set(layer: Linear, counts: Counts, alpha: float) -> None:
    width, size = counts.table.shape
    counts.add(np.full((size, width), counts.k / width), np.arange(size))
    layer.weight.data[...] = counts.solution(alpha).T  # (in, out) -> (out, in)
    layer.weight.touch()


def _check_text(text: Any, size: int) -> np.ndarray:
    text = np.asarray(text)
    if text.ndim != 2 or text.shape[1] < 2 or not len(text) or text.dtype.kind not in "iu":
        raise InputError(
            f"a text is {text.shape} {text.dtype}; it must be (B, T) integers with T at least 2"
        )
    check_ids(text.ravel(), size)
    return text
