"""Three models of what came before: the block, the last r tokens, the whole document.

- block: texts are cut into blocks of one length; a token's slot is its place in its block
- radius: a token's slot is its distance from the last token read
- document: the sum of all vectors so far, a bag

Side by side they tell apart contexts of any length: past the block and the radius the bag still
grows.
"""

from typing import Any

import numpy as np

from minilm.errors import InputError
from minilm.explicit.checks import check_rows
from minilm.tokenizers.checks import check_ids

EMPTY = -1  # the position in a slot that no token fills


def block_places(count: int, size: int, start: int = 0) -> np.ndarray:
    """Positions of the tokens in the block of each position, up to and with itself.

    Args:
        count: positions start .. start + count - 1 are asked for.
        size: length of a block, at least 1; the first starts at position 0.
        start: first position.

    Returns:
        (count, size) positions; `EMPTY` in slots that are still to come.

    Raises:
        InputError: a size below 1.
    """
    _check_size(size)
    here = np.arange(start, start + count)[:, None]
    places = here - here % size + np.arange(size)
    return np.where(places <= here, places, EMPTY)


def radius_places(count: int, size: int, start: int = 0) -> np.ndarray:
    """Positions of the last tokens at each position, itself in the last slot.

    Arguments and errors as for `block_places`.

    Returns:
        (count, size) positions; `EMPTY` in slots before the text.
    """
    _check_size(size)
    here = np.arange(start, start + count)[:, None]
    return np.maximum(here - np.arange(size)[::-1], EMPTY)


def _check_size(size: int) -> None:
    if size < 1:
        raise InputError(f"size is {size}; it must be at least 1")


class ContextReader:
    """Reads a text in pieces of any length and gives the context after each token.

    A row of features is the slots of the block, the slots of the radius (the last token in the last
    slot), and the bag, one after the other. With vectors that sum to 1 its L1 norm is the number of
    slots filled, plus the number of tokens read for the bag.

    Args:
        vectors: (V, d), 0 or more; a `bit_cipher`.
        block: length of a block; 0: no such part.
        radius: how many tokens back; 0: no such part.
        document: whether there is a bag.

    Attributes:
        width: D = (block + radius + document) d.
        last: (D,) the features after all that was read; None before the first token.

    Raises:
        InputError: a size below 0, or no part at all; vectors below 0.
    """

    def __init__(
        self, vectors: Any, block: int = 0, radius: int = 0, document: bool = False
    ) -> None:
        for name, value in (("block", block), ("radius", radius)):
            if value < 0:
                raise InputError(f"{name} is {value}; it must be 0 or more")
        if not (block or radius or document):
            raise InputError("block and radius are 0 and there is no bag; a context needs a part")
        self.vectors = check_rows("vectors", vectors)
        self.block, self.radius, self.document = block, radius, document
        self.width = (block + radius + bool(document)) * self.vectors.shape[1]
        self.last: np.ndarray | None = None
        self._seen = 0  # tokens read so far
        self._kept = np.zeros((0, self.vectors.shape[1]))  # vectors of the last ones
        self._bag = np.zeros((1, self.vectors.shape[1]))

    def read(self, ids: Any) -> np.ndarray:
        """Read on.

        Args:
            ids: (n,).

        Returns:
            (n, D) float64, row s the context after ids[s]; it predicts the token that comes next.

        Raises:
            InputError: an id out of range.
        """
        ids = check_ids(ids, len(self.vectors))
        new = self.vectors[ids]  # (n, d)
        known = np.concatenate([self._kept, new])
        first = self._seen - len(self._kept)  # the position of known[0]
        slots = [
            places(len(ids), size, self._seen)
            for places, size in ((block_places, self.block), (radius_places, self.radius))
            if size
        ]
        parts = [_fill(known, p, first) for p in slots]
        # One running sum over all pieces, so that how the text was cut changes no digit.
        bag = np.cumsum(np.concatenate([self._bag, new]), axis=0)
        if self.document:
            parts.append(bag[1:])
        rows = np.concatenate(parts, axis=1)
        self._bag, self._seen = bag[-1:], self._seen + len(ids)
        self._kept = known[len(known) - min(len(known), max(self.block, self.radius)) :].copy()
        if len(ids):
            self.last = rows[-1].copy()
        return rows


def _fill(known: np.ndarray, places: np.ndarray, first: int) -> np.ndarray:
    """The vectors at these positions side by side, 0 in empty slots: (n, size d)."""
    filled = (places != EMPTY)[..., None] * known[np.maximum(places - first, 0)]
    return filled.reshape(len(places), places.shape[1] * known.shape[1])  # (n, s, d) -> (n, s d)


def context_features(
    ids: Any, vectors: Any, block: int = 0, radius: int = 0, document: bool = False
) -> np.ndarray:
    """The context after each token of one whole text, (T, D): see `ContextReader`."""
    return ContextReader(vectors, block, radius, document).read(ids)
