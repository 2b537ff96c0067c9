"""One Transformer for every config: decoder, encoder, encoder-decoder, prefix-LM and GLM."""

from __future__ import annotations

from typing import Any

import numpy as np

from minilm import functional as F
from minilm.backend import Array
from minilm.errors import InputError
from minilm.models.block import Stack, make_norm
from minilm.models.config import Config
from minilm.models.embed import check_ids, check_targets, embed
from minilm.models.heads import MaskedHead, Pooler
from minilm.models.initialise import initialise
from minilm.models.sight import (
    check_prefix,
    check_valid,
    cross_sight,
    self_sight,
)
from minilm.nn import Embedding, Linear, Module, shapes_only
from minilm.nn.dropout import Dropout
from minilm.tensor import Tensor


class Transformer(Module):
    """A transformer language model.

    Args:
        config: what to build.
        seed: of the first weights (`minilm.models.initialise`).
        dtype: of the parameters, float32 or float64.
        allocate: False builds the shapes only, at any size; count them, or load weights.

    Parameters by name: `tokens`, `positions` (and `blocks2d` for GLM), `segments`,
    `embedding_norm`; `stack.blocks.N...` and `stack.norm` (`encoder...` and `decoder...` for an
    encoder-decoder); `head`, `pooler`.
    """

    def __init__(
        self, config: Config, seed: int = 0, dtype: Any = np.float32, allocate: bool = True
    ) -> None:
        if np.dtype(dtype) not in (np.dtype(np.float32), np.dtype(np.float64)):
            raise InputError(f"dtype must be float32 or float64, not {np.dtype(dtype)}.")
        self.config = config
        with shapes_only():
            self._build(config, dtype)
        if allocate:
            initialise(self, config, seed)

    def _build(self, config: Config, dtype: Any) -> None:
        width = config.channels
        self.tokens = Embedding(config.vocab_size, width, dtype=dtype)
        if config.positions == "learned":
            self.positions = Embedding(config.context, width, dtype=dtype)
        elif config.positions == "2d":  # both count from 1 in GLM; 0 is the text's place in a span
            self.positions = Embedding(config.context + 1, width, dtype=dtype)
            self.blocks2d = Embedding(config.context + 1, width, dtype=dtype)
        if config.token_types:
            self.segments = Embedding(config.token_types, width, dtype=dtype)
        if config.embedding_norm:
            self.embedding_norm = make_norm(config, dtype)
        self.drop = Dropout(config.dropout, "embedding")
        if config.kind == "encoder-decoder":
            final = not config.same_layer  # otherwise nobody reads the encoder's last output
            self.encoder = Stack(config, final_norm=final, name="encoder", dtype=dtype)
            like = self.encoder if config.share_stacks else None
            self.decoder = Stack(config, cross=True, like=like, name="decoder", dtype=dtype)
        else:
            self.stack = Stack(config, dtype=dtype)
        if config.head == "mlm":
            self.head: Module = MaskedHead(config, dtype)
        elif config.head == "lm" and not config.tie:
            self.head = Linear(width, config.vocab_size, bias=False, dtype=dtype)
        if config.pooler:
            self.pooler = Pooler(width, dtype)

    @property
    def blocks(self) -> Any:
        """The blocks of the stack that predicts (the decoder's, in an encoder-decoder)."""
        return (self.decoder if self.config.kind == "encoder-decoder" else self.stack).blocks

    @property
    def head_weight(self) -> Tensor:
        """The (V, C) map from hidden state to logits: the token embedding where tied."""
        return self.tokens.weight if self.config.tie else self.head.weight

    def forward(
        self,
        ids: Any,
        target_ids: Any = None,
        positions: Any = None,
        cache: Any = None,
        valid: Any = None,
        prefix: Any = None,
        token_types: Any = None,
    ) -> Tensor:
        """Logits for every position.

        Args:
            ids: (B, T) ints; for an encoder-decoder the source, or None when `cache` holds it.
            target_ids: (B, T) ints, the decoder's input; encoder-decoder only.
            positions: (T,) or (B, T) ints in place of 0, 1, ... (after the cache); GLM's pair
                (2, T) or (2, B, T). For tables and RoPE; distances go by place in the sequence,
                so pad a ragged batch on the left.
            cache: keys and values of the positions before; it is advanced.
            valid: bool, False for padding: (B, cache.length + T); for an encoder-decoder
                (B, M) over the source.
            prefix: length of the part that everyone sees, an int or (B,); "prefix-lm" and "glm".
            token_types: (B, T) segment ids.

        Returns: (B, T, V); hidden states (B, T, C) when config.head is "none".
        """
        hidden = self.hidden(ids, target_ids, positions, cache, valid, prefix, token_types)
        return self.logits(hidden)

    def logits(self, hidden: Tensor) -> Tensor:
        """(B, T, C) -> (B, T, V)."""
        if self.config.head == "none":
            return hidden
        if self.config.head == "mlm":
            return self.head(hidden, self.tokens)
        return F.linear(self._scaled(hidden), self.head_weight)

    def pooled(self, hidden: Tensor) -> Tensor:
        """(B, T, C) -> (B, C): the pooler over the first token."""
        if not self.config.pooler:
            raise InputError("pooled needs a model whose config has pooler=True.")
        return self.pooler(hidden)

    def loss(self, ids: Any, *rest: Any, **options: Any) -> Tensor:
        """Mean cross-entropy in nats per target token, without holding all logits.

        `loss(ids, targets)`, or `loss(source_ids, target_ids, targets)` for an encoder-decoder.

        Args:
            targets: (B, T) ints, as long as what the model predicts; -100 is not scored.
            options: positions, valid, prefix, token_types as in `forward`; ignore_index,
                label_smoothing and z_loss as in `functional.cross_entropy`.
        """
        expected = 2 if self.config.kind == "encoder-decoder" else 1
        if len(rest) != expected:
            wanted = "source_ids, target_ids, targets" if expected == 2 else "ids, targets"
            raise InputError(f"loss of kind {self.config.kind!r} takes {wanted}.")
        if self.config.head == "none":
            raise InputError("loss needs a head: config.head is 'none'.")
        names = ("ignore_index", "label_smoothing", "z_loss")
        how = {name: options.pop(name) for name in names if name in options}
        hidden = self.hidden(ids, *rest[:-1], **options)
        targets = check_targets(self, rest[-1], hidden.shape[:-1])
        if self.config.head == "mlm":
            return F.cross_entropy(self.head(hidden, self.tokens), targets, **how)
        return F.linear_cross_entropy(self._scaled(hidden), self.head_weight, targets, **how)

    def hidden(
        self,
        ids: Any,
        target_ids: Any = None,
        positions: Any = None,
        cache: Any = None,
        valid: Any = None,
        prefix: Any = None,
        token_types: Any = None,
    ) -> Tensor:
        """The state (B, T, C) from which the head predicts; arguments as in `forward`."""
        config = self.config
        if config.kind == "encoder-decoder":
            _refuse(config, positions=positions, prefix=prefix, token_types=token_types)
            return self._read_and_write(ids, target_ids, cache, valid)
        if target_ids is not None:
            raise InputError(f"target_ids is for kind 'encoder-decoder', not {config.kind!r}.")
        if config.kind == "encoder":
            _refuse(config, cache=cache)
        if config.kind not in ("prefix-lm", "glm"):
            _refuse(config, prefix=prefix)
        ids = check_ids(self, ids, "ids")
        batch, time = ids.shape
        start = 0 if cache is None else cache.length
        self._fits("ids", start, time)
        if prefix is not None:
            prefix = check_prefix(prefix, batch, time, start)
        valid = check_valid(valid, batch, start + time)
        x, rope = embed(self, ids, start, positions, token_types)
        queries = np.arange(start, start + time)
        keys = queries if cache is None else cache.key_positions(time)
        sight = self_sight(
            config,
            x,
            queries,
            keys,
            causal=config.kind != "encoder",
            two_way=config.kind != "decoder",
            prefix=prefix,
            valid=None if valid is None else valid[:, keys],
            relative=getattr(self.stack, "relative", None),
            rope=rope,
        )
        x = self.stack(x, sight, cache)
        if cache is not None:
            cache.advance(time)
        return x

    def _read_and_write(self, ids: Any, target_ids: Any, cache: Any, valid: Any) -> Tensor:
        """Encode the source (once, where a cache keeps it) and decode the target."""
        config = self.config
        if target_ids is None:
            raise InputError("target_ids is missing: an encoder-decoder takes source and target.")
        if ids is None:
            if cache is None or cache.memory is None:
                raise InputError("ids is None, but no cache holds the encoded source.")
            if valid is not None:
                raise InputError("valid must be given with the source ids; the cache keeps it.")
            memory, valid = cache.memory, cache.memory_valid
        else:
            memory, valid = self._read(ids, valid)
            if cache is not None:
                kept = [(_array(k), _array(v)) for k, v in memory]
                cache.remember(kept, valid)
        ids = check_ids(self, target_ids, "target_ids")
        batch, time = ids.shape
        length = memory[0][0].shape[2]
        if memory[0][0].shape[0] != batch:
            raise InputError(
                f"target_ids has {batch} sequences, the source {memory[0][0].shape[0]}."
            )
        start = 0 if cache is None else cache.length
        first = length if config.joint_positions else 0
        self._fits("target_ids", first + start, time)
        x, rope = embed(self, ids, first + start)
        queries = first + np.arange(start, start + time)
        keys = queries if cache is None else first + cache.key_positions(time)
        seen, prefix = None, None
        if config.merged_softmax:
            keys, prefix = np.concatenate([np.arange(length), keys]), length
            if valid is not None:
                seen = np.concatenate([valid, np.ones((batch, len(keys) - length), bool)], 1)
        sight = self_sight(
            config,
            x,
            queries,
            keys,
            causal=True,
            two_way=config.share_stacks and not config.causal_input,
            prefix=prefix,
            valid=seen,
            relative=getattr(self.decoder, "relative", None),
            rope=rope,
        )
        source = None if config.merged_softmax else cross_sight(x, valid)
        x = self.decoder(x, sight, cache, memory, source)
        if cache is not None:
            cache.advance(time)
        return x

    def _read(self, ids: Any, valid: Any) -> tuple[list[tuple[Tensor, Tensor]], Any]:
        """Encode the source into one (k, v) per layer of the decoder."""
        config = self.config
        ids = check_ids(self, ids, "ids")
        batch, time = ids.shape
        self._fits("ids", 0, time)
        valid = check_valid(valid, batch, time)
        x, rope = embed(self, ids, 0)
        here = np.arange(time)
        sight = self_sight(
            config,
            x,
            here,
            here,
            causal=config.causal_input,
            two_way=not config.causal_input,
            valid=valid,
            relative=getattr(self.encoder, "relative", None),
            rope=rope,
        )
        record: list | None = [] if config.same_layer else None
        x = self.encoder(x, sight, record=record)
        turn = rope if config.merged_softmax else None
        same = config.same_layer and config.share_cross and config.share_stacks
        memory = []
        for i, block in enumerate(self.decoder.blocks):
            if same and turn is rope:  # the very keys and values that the source layer made
                memory.append(record[i][1])
            else:
                read = record[i][0] if config.same_layer else x
                memory.append(block.reader.keys_values(read, turn))
        return memory, valid

    def _scaled(self, hidden: Tensor) -> Tensor:
        scale = self.config.logit_scale
        return hidden if scale == 1.0 else F.mul(hidden, hidden.dtype.type(scale))

    def _fits(self, name: str, start: int, time: int) -> None:
        if start + time > self.config.context:
            raise InputError(
                f"{name} reaches {start + time} tokens; the model's context is "
                f"{self.config.context}."
            )


def count_parameters(config: Config) -> int:
    """How many parameters a model of this config has; nothing is allocated."""
    return Transformer(config, allocate=False).num_parameters()


def _array(x: Any) -> Array:
    return x.data if isinstance(x, Tensor) else x


def _refuse(config: Config, **given: Any) -> None:
    for name, value in given.items():
        if value is not None:
            raise InputError(f"{name} is not for kind {config.kind!r}.")
