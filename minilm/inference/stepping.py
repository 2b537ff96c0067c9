"""Feeding tokens of many texts at once, each at its own place, over pages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from minilm import backend, kernels
from minilm.errors import InputError
from minilm.inference.paged_cache import PagedCache
from minilm.inference.pages import Pages, PageTable
from minilm.inference.supported import check_weights, is_overridden, read
from minilm.tensor import no_grad


@dataclass(frozen=True)
class Share:
    """What one text contributes to a step.

    Attributes:
        table: its pages, with `len(ids)` places reserved.
        ids: its next tokens, at least one.
        wanted: after how many of the last of them logits are wanted.
    """

    table: PageTable
    ids: Sequence[int]
    wanted: int = 1


class Stepper:
    """Runs steps: one compiled call for all texts, or the model itself, text by text.

    The compiled call takes the models that `minilm.inference.Decoder` takes, in float32 on the CPU.

    Args:
        model: a decoder on the CPU.
        pages: made for the model.
        weights: "float32" or "int8", as for `Decoder`.

    Attributes:
        compiled: whether steps are compiled calls.

    Raises:
        InputError: a model that is no decoder, that is on a GPU, or that int8 weights do not suit;
            pages of other sizes.
    """

    def __init__(self, model: Any, pages: Pages, weights: str = "float32") -> None:
        config = model.config
        if config.kind != "decoder":
            raise InputError(f"model is a {config.kind}; pages are read by decoders")
        table = model.tokens.weight.data
        if not isinstance(table, np.ndarray):
            raise InputError("model is on a GPU; pages are in main memory, so it must be there too")
        layers, _, groups, _, size = pages.keys.shape
        if (layers, groups, size) != (config.layers, config.G, config.D):
            raise InputError(
                f"pages were made for layers, kv_heads, head_size {(layers, groups, size)}; "
                f"the model has {(config.layers, config.G, config.D)}"
            )
        if pages.keys.dtype != table.dtype:
            raise InputError(f"pages hold {pages.keys.dtype}; the model is {table.dtype}")
        self.model, self.pages, self._weights = model, pages, weights
        self.compiled = check_weights(model, weights) is None
        self._read = read(model, config.context, weights) if self.compiled else None

    def __call__(self, shares: Sequence[Share]) -> np.ndarray:
        """Feed tokens, and count them as stored.

        Args:
            shares: of different texts, one each.

        Returns:
            (M, V) logits after the wanted tokens, in order.

        Raises:
            InputError: an id that the model does not know, or a text longer than its context.
            OutOfPages: too few pages; nothing was fed.
        """
        self._check_shares(shares)
        for share in shares:
            share.table.reserve(len(share.ids))
        if not self.compiled or is_overridden():
            if self._weights != "float32":
                raise InputError(
                    f"weights is {self._weights!r}; inside minilm.use it must be 'float32'"
                )
            return self._by_model(shares)
        logits = self._by_kernel(shares)
        for share in shares:
            share.table.advance(len(share.ids))
        return logits

    def _by_kernel(self, shares: Sequence[Share]) -> np.ndarray:
        counts = [len(share.ids) for share in shares]
        tables = np.zeros((len(shares), max(len(s.table.numbers) for s in shares)), np.int64)
        places, wanted, end = [], [], 0
        for line, share in zip(tables, shares):
            line[: len(share.table.numbers)] = share.table.numbers
            begin, end = end, end + len(share.ids)
            places.append(np.arange(share.table.length, share.table.length + end - begin))
            wanted.append(np.arange(end - share.wanted, end))
        asked = np.concatenate(wanted)
        logits = np.empty((len(asked), self.model.config.vocab_size), np.float32)
        kernels.paged_step(
            logits,
            self._read,
            self.pages.keys,
            self.pages.values,
            np.concatenate([np.asarray(share.ids, np.int64) for share in shares]),
            np.concatenate(places),
            np.repeat(np.arange(len(shares)), counts),
            tables,
            asked,
            backend.threads(),
        )
        return logits

    def _by_model(self, shares: Sequence[Share]) -> np.ndarray:
        rows = []
        with no_grad():
            for share in shares:
                cache = PagedCache(self.pages, [share.table])
                hidden = self.model.hidden(np.asarray(share.ids)[None], cache=cache)
                if share.wanted:
                    rows.append(self.model.logits(hidden[:, -share.wanted :]).data[0])  # (M, V)
        if not rows:
            return np.empty((0, self.model.config.vocab_size), np.float32)
        return np.concatenate(rows)

    def _check_shares(self, shares: Sequence[Share]) -> None:
        config = self.model.config
        for share in shares:
            count = len(share.ids)
            if not 0 <= share.wanted <= count or not count:
                raise InputError(
                    f"wanted is {share.wanted} of {count} ids; there must be ids, and at most as "
                    "many wanted"
                )
            if share.table.pages is not self.pages:
                raise InputError("table is of other pages; it must be of the stepper's")
            low, high = min(share.ids), max(share.ids)
            if low < 0 or high >= config.vocab_size:
                raise InputError(
                    f"ids holds {low if low < 0 else high}; the model knows 0 to "
                    f"{config.vocab_size - 1}"
                )
            if share.table.length + count > config.context:
                raise InputError(
                    f"the text would have {share.table.length + count} tokens; the model's context "
                    f"is {config.context}"
                )
