"""A near-shallow language model: SAFFU over a block and a radius, a bag of the document, softmax.

Every activation is a softmax, so every layer has an explicit solution (`warm`).
"""

from typing import Any

import numpy as np

from minilm import functional as F
from minilm.errors import InputError
from minilm.explicit.attention import attention_weights, look_up
from minilm.explicit.checks import check_rows
from minilm.explicit.contexts import EMPTY, block_places, radius_places
from minilm.nn import Linear, Module, ModuleList, Parameter
from minilm.nn.module import constant
from minilm.tensor import Tensor


class Saffu(Module):
    """One context of at most K tokens, turned into a hidden state.

        c_j = x_j . pivot        comparisons
        a = softmax(W c)         weights of the slots
        h = softmax(U [k a_1 x_1, ..., k a_K x_K])     k slots are filled

    The sources leave open, and here it is decided:

    - The weighted vectors go side by side into U; they are not summed, so U knows their slots.
    - Weights sum to 1, and k times them go into U. So U's input sums to k, the number of features
      in its explicit solution, and with W = 0 it is the vectors as they are.
    - U sees the weighted vectors themselves; no logarithm is taken of the weights before it.
    - The pivot takes part in its own context.
    - In a radius, slots count back from the pivot; in a block, on from its start. Short contexts
      leave slots empty, which comes to the same as a smaller W.
    - No layer has a bias.

    Args:
        kind: "block" or "radius".
        size: K.
        width: d of the vectors.
        hidden: width of h.

    Raises:
        InputError: another kind; a size below 1.
    """

    def __init__(
        self, kind: str, size: int, width: int, hidden: int, dtype: Any = np.float32
    ) -> None:
        places = {"block": block_places, "radius": radius_places}
        if kind not in places:
            raise InputError(f"kind is {kind!r}; allowed are 'block' and 'radius'")
        self.kind, self.size = kind, size
        self._places = places[kind]
        self.weigh = Linear(size, size, bias=False, dtype=dtype)
        self.weigh.weight.data = constant((size, size), 0.0, dtype)  # all slots weigh the same
        self.value = Linear(size * width, hidden, bias=False, std=1.0, dtype=dtype)

    def slots(
        self, ids: np.ndarray, vectors: Tensor, table: np.ndarray | None = None
    ) -> tuple[Tensor, Any, np.ndarray]:
        """What stands in the slots at each position, 0 in empty ones.

        Args:
            ids: (B, T).
            vectors: (V, d).
            table: (V, V), the comparisons of the vectors; None: they are computed.

        Returns:
            vectors (B, T, K, d), comparisons (B, T, K), and (T, K) whether a slot is filled.
        """
        places = self._places(ids.shape[1], self.size)
        filled = places != EMPTY
        held = ids[:, np.maximum(places, 0)]  # (B, T, K)
        x = F.embedding(held, vectors) * filled[..., None].astype(vectors.dtype)
        if table is None:
            pivots = F.embedding(ids, vectors)[:, :, None]  # (B, T, 1, d)
            return x, (x * pivots).sum(axis=-1), filled
        return x, look_up(held, ids[..., None], table).astype(vectors.dtype) * filled, filled

    def weighted(self, x: Tensor, compared: Any, filled: np.ndarray) -> Tensor:
        """The input of U: (B, T, K d), summing to the number of filled slots."""
        weights = attention_weights(compared, self.weigh.weight, filled)
        weights = weights * filled.sum(axis=-1, keepdims=True).astype(weights.dtype)
        wide = x.shape[2] * x.shape[3]
        return (x * weights[..., None]).reshape(*x.shape[:2], wide)  # (B, T, K, d) -> (B, T, K d)

    def forward(self, ids: np.ndarray, vectors: Tensor, table: np.ndarray | None = None) -> Tensor:
        """(B, T) -> (B, T, hidden)."""
        return F.softmax(self.value(self.weighted(*self.slots(ids, vectors, table))))


class Bag(Module):
    """The whole document so far, h = softmax(U mean of its vectors).

    The mean, where the talk adds up: U's input sums to 1 however long the text is.
    """

    def __init__(self, width: int, hidden: int, dtype: Any = np.float32) -> None:
        self.value = Linear(width, hidden, bias=False, std=1.0, dtype=dtype)

    def mean(self, ids: np.ndarray, vectors: Tensor) -> Tensor:
        """(B, T) -> (B, T, d): the mean of all vectors up to each position."""
        count = np.arange(1, ids.shape[1] + 1, dtype=vectors.dtype)[:, None]
        return F.embedding(ids, vectors).cumsum(axis=1) / count

    def forward(self, ids: np.ndarray, vectors: Tensor, table: np.ndarray | None = None) -> Tensor:
        """(B, T) -> (B, T, hidden); bags compare nothing, so no table is used."""
        return F.softmax(self.value(self.mean(ids, vectors)))


class SaffuModel(Module):
    """Predicts each next token from a block, a radius and the document.

    Each context has a hidden state of its own; side by side they go through O: logits = O h.

    The vectors start frozen. `model.vectors.requires_grad = True` thaws them; a table of
    comparisons is then refused, since it would not follow them.

    Args:
        vectors: (V, d), rows that sum to 1; a `bit_cipher`.
        hidden: width of each context's state; 2^hidden - 1 must be at least V for a warm start.
        block, radius: K of these contexts; 0: without.
        document: whether the bag takes part.
        dtype: of the parameters.

    Raises:
        InputError: vectors below 0 or rows that do not sum to 1; a size out of range; no context.
    """

    def __init__(
        self,
        vectors: Any,
        hidden: int,
        block: int = 0,
        radius: int = 0,
        document: bool = False,
        dtype: Any = np.float32,
    ) -> None:
        vectors = check_rows("vectors", vectors)
        off = np.abs(vectors.sum(axis=1) - 1)
        if off.size and off.max() > 1e-6:
            raise InputError(
                f"vectors has a row that sums to {vectors[off.argmax()].sum():g}; all must sum to 1"
            )
        for name, value in (("block", block), ("radius", radius)):
            if value < 0:
                raise InputError(f"{name} is {value}; it must be 0 or more")
        if not (block or radius or document):
            raise InputError("block and radius are 0 and there is no bag; a model needs a context")
        size, width = vectors.shape
        self.vectors = Parameter(vectors.astype(dtype), requires_grad=False)
        self.contexts = ModuleList()
        for kind, length in (("block", block), ("radius", radius)):
            if length:
                self.contexts.append(Saffu(kind, length, width, hidden, dtype))
        if document:
            self.contexts.append(Bag(width, hidden, dtype))
        self.output = Linear(len(self.contexts) * hidden, size, bias=False, dtype=dtype)

    def hidden(self, ids: Any, table: np.ndarray | None = None) -> Tensor:
        """The input of O: (B, T) -> (B, T, contexts * hidden).

        Args:
            ids: (B, T) integers, each row a document.
            table: (V, V), `compare_table` of the vectors; None: comparisons are computed.

        Raises:
            InputError: ids of another shape, kind or range; a table beside vectors that train, or
                of another size.
        """
        ids = np.asarray(ids)
        if ids.ndim != 2:
            raise InputError(f"ids are {ids.shape}; they must be (B, T)")
        if table is not None:
            if self.vectors.requires_grad:
                raise InputError("the vectors train; a table of comparisons needs frozen ones")
            if table.shape != (len(self.vectors),) * 2:
                raise InputError(
                    f"table is {table.shape}; with {len(self.vectors)} tokens it must be (V, V)"
                )
        return F.concatenate([part(ids, self.vectors, table) for part in self.contexts], axis=-1)

    def forward(self, ids: Any, table: np.ndarray | None = None) -> Tensor:
        """Logits of the next token: (B, T) -> (B, T, V). Arguments and errors as for `hidden`."""
        return self.output(self.hidden(ids, table))
