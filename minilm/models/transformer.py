"""One stack of blocks that learns: decoder, encoder, prefix-LM and GLM, whatever their parts.

Rung 2 of this folder's ladder: gpt -> transformer -> encoder_decoder -> presets. To what `gpt`
computes it adds gradients, batches, padding, a KV cache, dropout, and every choice of a `Config`:
other positions, norms, feed-forwards and heads. It does not read a second sequence;
`encoder_decoder` does.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minilm.errors import InputError
from minilm.models.block import Stack
from minilm.models.config import Config
from minilm.models.embed import embed, read_input
from minilm.models.language_model import LanguageModel
from minilm.models.sight import (
    check_documents,
    check_mask,
    check_prefix,
    check_valid,
    self_sight,
)
from minilm.nn import ModuleList
from minilm.tensor import Tensor


class Transformer(LanguageModel):
    """A transformer language model of one stack.

    Args:
        config: what to build.
        seed: of the first weights (`minilm.models.initialise`).
        dtype: of the parameters, float32 or float64.
        allocate: False builds the shapes only, at any size; count them, or load weights.

    Parameters by name: `tokens`, `positions` (and `blocks2d` for GLM), `segments`,
    `embedding_norm`; `stack.blocks.N...` and `stack.norm`; `head`, `pooler`.
    """

    def _make_stacks(self, config: Config, dtype: Any) -> None:
        self.stack = Stack(config, dtype=dtype)

    @property
    def blocks(self) -> ModuleList:
        """The blocks of the stack."""
        return self.stack.blocks

    def forward(
        self,
        ids: Any = None,
        *,
        embeddings: Any = None,
        positions: Any = None,
        cache: Any = None,
        valid: Any = None,
        prefix: Any = None,
        mask: Any = None,
        token_types: Any = None,
        documents: Any = None,
    ) -> Tensor:
        """Logits for every position.

        Args:
            ids: (B, T) ints; None where embeddings are given.
            embeddings: (B, T, C) in place of `tokens(ids)`, for what is no text: patches, moments,
                or text and pictures in one sequence. All that follows is as for ids. They should be
                about as large as the token table's rows, whose deviation is `config.init_std`:
                beside much larger ones, learned positions are not heard.
            positions: (T,) or (B, T) ints in place of 0, 1, ... (after the cache); GLM's pair
                (2, T) or (2, B, T). For tables and RoPE; distances go by place in the sequence,
                so pad a ragged batch on the left.
            cache: keys and values of the positions before; it is advanced.
            valid: (B, cache.length + T) bool, False for padding.
            prefix: length of the part that everyone sees, an int or (B,); "prefix-lm" and "glm".
            mask: (T, T) or (B, T, T) bool, True where a query (row) may look at a key, in place of
                what the kind says: for orders of writing that have no name. Without a cache.
            token_types: (B, T) segment ids.
            documents: (B, T) ints, for several texts in one row: tokens see those of their own
                number only. For learned or sinusoidal positions give `positions` too.

        Returns:
            (B, T, V); hidden states (B, T, C) when config.head is "none".

        Raises:
            InputError: an argument of another shape or range, or one that the kind does not have.
        """
        return self.logits(
            self.hidden(
                ids,
                embeddings=embeddings,
                positions=positions,
                cache=cache,
                valid=valid,
                prefix=prefix,
                mask=mask,
                token_types=token_types,
                documents=documents,
            )
        )

    def loss(self, ids: Any, targets: Any, **options: Any) -> Tensor:
        """Mean cross-entropy in nats per target token, without holding all logits.

        Args:
            ids: (B, T) ints; None where embeddings are given.
            targets: (B, T) ints; `minilm.backend.IGNORE` (-100) is not scored.
            options: embeddings, positions, cache, valid, prefix, mask, token_types and documents as
                in `forward`; ignore_index, label_smoothing, z_loss, weights (B, T) and reduction as
                in `functional.cross_entropy`: with "none" the losses (B, T).

        Raises:
            InputError: as `forward`; also targets of another shape than ids.
        """
        names = ("ignore_index", "label_smoothing", "z_loss", "weights", "reduction")
        how = {name: options.pop(name) for name in names if name in options}
        return self.score(self.hidden(ids, **options), targets, **how)

    def hidden(
        self,
        ids: Any = None,
        *,
        embeddings: Any = None,
        positions: Any = None,
        cache: Any = None,
        valid: Any = None,
        prefix: Any = None,
        mask: Any = None,
        token_types: Any = None,
        documents: Any = None,
    ) -> Tensor:
        """The state (B, T, C) from which the head predicts; arguments as in `forward`."""
        self._refuse_foreign(cache, prefix, mask)
        given = read_input(self, ids, embeddings)  # (B, T) ids or (B, T, C)
        batch, time = given.shape[:2]
        start = 0 if cache is None else cache.length
        self._check_length("ids" if embeddings is None else "embeddings", start + time)
        if prefix is not None:
            prefix = check_prefix(prefix, batch, time, start)
        valid = check_valid(valid, batch, start + time)
        documents = check_documents(documents, batch, time, start)
        x, rope, near = embed(self, given, start, positions, token_types)  # -> (B, T, C)
        queries = np.arange(start, start + time)
        keys = queries if cache is None else cache.key_positions(time)
        if self.config.global_every is not None and len(keys) < start + time:
            raise InputError(
                f"cache keeps {len(keys)} of {start + time} positions; some layers of this model, "
                f"whose global_every is {self.config.global_every}, see all"
            )
        sight = self_sight(
            self.config,
            x,
            queries,
            keys,
            causal=self.config.kind != "encoder",
            two_way=self.config.kind != "decoder",
            prefix=prefix,
            mask=None if mask is None else check_mask(mask, batch, time),
            valid=None if valid is None else valid[:, keys],
            documents=documents,
            relative=getattr(self.stack, "relative", None),
            rope=rope,
            near=near,
        )
        x = self.stack(x, sight, cache)  # (B, T, C)
        if cache is not None:
            cache.advance(time)
        return x

    def pooled(self, hidden: Tensor) -> Tensor:
        """(B, T, C) -> (B, C): the pooler over the first token.

        Raises:
            InputError: a model without a pooler.
        """
        if not self.config.pooler:
            raise InputError("config.pooler is false; pooled needs a model that has one")
        return self.pooler(hidden)

    def _refuse_foreign(self, cache: Any, prefix: Any, mask: Any) -> None:
        kind = self.config.kind
        if mask is not None and (cache is not None or prefix is not None):
            other = "prefix" if cache is None else "cache"
            raise InputError(f"mask and {other} are given; a mask says all, and must be alone")
        if cache is not None and kind == "encoder":
            raise InputError(f"cache is given; kind {kind!r} reads its whole text at once")
        if prefix is not None and kind not in ("prefix-lm", "glm"):
            raise InputError(f"prefix is given; kind {kind!r} has none")
