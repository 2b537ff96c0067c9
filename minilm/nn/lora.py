"""LoRA: a frozen linear map plus a small product that trains (Hu et al. 2021, arXiv 2106.09685).

    y = x W^T + b + (alpha / r) x A^T B^T        A (r, in), B (out, r)

W may be stored in 4 bits (QLoRA, arXiv 2305.14314). New special tokens need more than adapters:
their rows of the embedding were never trained, and `train_rows` trains those rows alone.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from minilm import backend
from minilm import functional as F
from minilm.backend import Array, xp_of
from minilm.errors import InputError
from minilm.nn.embedding import Embedding
from minilm.nn.linear import Linear
from minilm.nn.module import Buffer, Module, Parameter, normal
from minilm.tensor import Tensor, is_grad_enabled

MAPS = ("qkv", "query", "key_value", "out", "gate", "up", "down")  # of the blocks, none of the head


class LoRALinear(Linear):
    """A frozen linear map and its adapter.

    Args:
        base: a `Linear`, or one of fewer bits; it is frozen.
        rank: r.
        alpha: with r, the adapter's factor alpha / r.
        rng: draws A, normal with variance 1 / in; B starts at 0, so nothing changes at first.

    Parameters: `base.weight` (out, in) and `base.bias`, frozen; `A` (r, in), `B` (out, r).

    Raises:
        InputError: a rank below 1.
    """

    def __init__(self, base: Linear, rank: int, alpha: float, rng: np.random.Generator) -> None:
        if rank < 1:
            raise InputError(f"rank is {rank}; it must be 1 or more")
        self.base = base
        base.requires_grad_(False)
        self.in_features, self.out_features = base.in_features, base.out_features
        weight = base.dense()[0]
        xp, dtype = xp_of(weight), weight.dtype
        a = normal(rng, (rank, self.in_features), self.in_features**-0.5)
        self.A = Parameter(xp.asarray(a).astype(dtype, copy=False))
        self.B = Parameter(xp.zeros((self.out_features, rank), dtype))
        self.rank, self.scale = rank, alpha / rank
        self._merged: Array | None = None

    def forward(self, x: Tensor) -> Tensor:  # (..., in) -> (..., out)
        if self._merged is not None and not is_grad_enabled():
            return F.linear(x, self._merged, self.base.bias)
        low = F.linear(x, self.A)  # (..., in) -> (..., r)
        return self.base(x) + F.linear(low, self.B) * self.scale  # -> (..., out)

    @property
    def weight(self) -> Tensor:
        """(out, in): the base's weight and the adapter's product, for those who read weights."""
        return Tensor(self.base.dense()[0]) + F.matmul(self.B, self.A) * self.scale

    @property
    def bias(self) -> Parameter | None:
        """The base's (out,), or None."""
        return self.base.bias

    def dense(self) -> tuple[Array, Array | None]:
        """The merged weight (out, in) and the bias."""
        weight, bias = self.base.dense()
        if self._merged is not None:
            return self._merged, bias
        product = self.B.data @ self.A.data  # (out, r) @ (r, in)
        return weight + product * weight.dtype.type(self.scale), bias

    def thaw(self) -> None:
        """Let the adapter train, and only it."""
        self.A.requires_grad = self.B.requires_grad = True

    def merge(self) -> None:
        """Keep the sum beside its parts, and use it wherever no gradient is taken."""
        self._merged = None
        self._merged = self.dense()[0]

    def unmerge(self) -> None:
        """Forget the sum; the base is what it was, to the byte."""
        self._merged = None


class EmbeddingRows(Embedding):
    """A frozen table of which some rows train.

    Args:
        base: the table; it is frozen.
        ids: the rows, each once.

    Parameters: `base.weight` (V, C), frozen; `rows` (n, C). Buffer: `ids` (n,).

    Raises:
        InputError: no ids, one twice, or one that the table lacks.
    """

    def __init__(self, base: Embedding, ids: Sequence[int]) -> None:
        table = base.weight.data
        ids = np.asarray(ids)
        if ids.ndim != 1 or not ids.size or ids.dtype.kind not in "iu":
            raise InputError(f"ids is {ids.dtype} of shape {ids.shape}; it must be (n,) ints")
        if ids.min() < 0 or ids.max() >= len(table) or len(set(ids.tolist())) < len(ids):
            raise InputError(
                f"ids is {ids.tolist()}; each must be there once, from 0 to {len(table) - 1}"
            )
        self.base = base
        base.requires_grad_(False)
        self.ids = Buffer(xp_of(table).asarray(ids, dtype=np.int64))
        self.rows = Parameter(table[self.ids.data])

    @property
    def weight(self) -> Tensor:
        """(V, C): the table with its trained rows; a head that is tied to it sees them too."""
        return F.replace_rows(self.base.weight, self.ids.data, self.rows)

    def thaw(self) -> None:
        """Let the rows train, and only these."""
        self.rows.requires_grad = True


def is_target(name: str, targets: str | Sequence[str]) -> bool:
    """Whether the map of this dotted name is meant, as PEFT's `target_modules` means it.

    Args:
        name: such as "stack.blocks.0.attention.qkv".
        targets: a text is a regular expression for the whole name; of several texts, one must be
            the name or its end after a dot.
    """
    if isinstance(targets, str):
        return re.fullmatch(targets, name) is not None
    return any(name == each or name.endswith(f".{each}") for each in targets)


def add_lora(
    model: Module,
    rank: int,
    alpha: float | None = None,
    targets: str | Sequence[str] = MAPS,
    seed: int = 0,
) -> Any:
    """Freeze a model and give its linear maps adapters, in place.

    Args:
        model: any; maps of fewer bits (`quantize_maps`) are adapted too.
        rank: r of all adapters.
        alpha: with r, their factor alpha / r; None: 2 r.
        targets: which maps, see `is_target`.
        seed: of the adapters' first weights.

    Returns:
        the model itself.

    Raises:
        InputError: no map has such a name, or one is adapted already; nothing is changed then.
    """
    named = [(n, m) for n, m in model.named_modules() if isinstance(m, Linear)]
    chosen = {name: m for name, m in named if is_target(name, targets)}
    if not chosen:
        names = ", ".join(dict.fromkeys(name.rpartition(".")[2] for name, _ in named))
        raise InputError(f"targets is {targets!r}; the model's linear maps are {names or 'none'}")
    for name, each in chosen.items():
        if isinstance(each, LoRALinear):
            raise InputError(f"targets names {name!r}, which has an adapter already")
    alpha = 2 * rank if alpha is None else alpha
    made: dict[int, LoRALinear] = {}  # by the map: one that is shared stays shared
    for name, each in chosen.items():
        if id(each) not in made:
            made[id(each)] = LoRALinear(each, rank, alpha, backend.rng(seed, "lora", name))
    model.requires_grad_(False)
    model.replace_modules({name: made[id(each)] for name, each in chosen.items()})
    for each in model.modules():  # what is there to train stays so: rows, earlier adapters
        if isinstance(each, LoRALinear | EmbeddingRows):
            each.thaw()
    return model


def train_rows(model: Any, ids: Sequence[int]) -> Any:
    """Train these rows of a language model's token embedding, the others are frozen; in place.

    Args:
        model: has `tokens`, an `Embedding`.
        ids: the rows, such as those of new special tokens.

    Returns:
        the model itself.

    Raises:
        InputError: as `EmbeddingRows`; rows are trained already.
    """
    if isinstance(model.tokens, EmbeddingRows):
        raise InputError("rows of the model's embedding are trained already; name all at once")
    model.tokens = EmbeddingRows(model.tokens, ids)
    return model


def adapters(model: Module) -> dict[str, LoRALinear]:
    """The adapted maps by their dotted names."""
    return {n: m for n, m in model.named_modules() if isinstance(m, LoRALinear)}


def merge_lora(model: Module) -> Any:
    """Merge every adapter of a model, see `LoRALinear.merge`; returns the model."""
    for each in adapters(model).values():
        each.merge()
    return model


def unmerge_lora(model: Module) -> Any:
    """Take every adapter apart again, see `LoRALinear.unmerge`; returns the model."""
    for each in adapters(model).values():
        each.unmerge()
    return model


def is_adapted(model: Module) -> bool:
    """Whether any part stores its weight in another way than a plain model does."""
    return any(map(_is_stored_apart, model.modules()))


def _is_stored_apart(part: Module) -> bool:
    return isinstance(part, EmbeddingRows) or (
        isinstance(part, Linear) and type(part) is not Linear
    )


def plain_state(model: Module) -> dict[str, Array]:
    """Weights by the names of a model without adapters: sums for parts, bits written out.

    A model of the same config, built plainly, loads them.
    """
    state, written = model.state_dict(), ()
    for name, each in model.named_modules():
        if not _is_stored_apart(each) or name.startswith(written):
            continue
        written += (f"{name}.",)  # what stands below is part of it, such as a base of 4 bits
        if isinstance(each, EmbeddingRows):
            new = {"weight": each.weight.data}
        else:
            new = dict(zip(("weight", "bias"), each.dense(), strict=True))
        state = {n: a for n, a in state.items() if not n.startswith(f"{name}.")}
        state |= {f"{name}.{part}": a for part, a in new.items() if a is not None}
    return state
