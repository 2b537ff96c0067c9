"""Two stacks: one reads a source, the other writes a target and looks at what was read.

Rung 3 of this folder's ladder: gpt -> transformer -> encoder_decoder -> presets. To a
`Transformer` it adds cross-attention, and the walk that takes the two stacks back to one (Chung,
CS25 V4, 54:36-56:57): four differences and two finer ones, each a switch of its config. It does
not take several sources, or a target that is not causal. M is the source's length, T the target's.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from minilm.backend import Array
from minilm.errors import InputError
from minilm.models.block import Stack
from minilm.models.config import Config, EncoderDecoderConfig
from minilm.models.cross import Memory, SourceStack, TargetStack
from minilm.models.embed import check_ids, embed
from minilm.models.language_model import LanguageModel
from minilm.models.sight import check_valid, cross_sight, self_sight
from minilm.nn import ModuleList
from minilm.tensor import Tensor


class EncoderDecoder(LanguageModel):
    """A transformer of two stacks, as in 2017 (arXiv 1706.03762) and in T5 (arXiv 1910.10683).

    Args:
        config: what to build.
        seed: of the first weights (`minilm.models.initialise`).
        dtype: of the parameters, float32 or float64.
        allocate: False builds the shapes only, at any size; count them, or load weights.

    Parameters by name: those of a `Transformer`, with `encoder...` and `decoder...` in place of
    `stack...`. What both stacks use is listed once, under `encoder`.
    """

    config_class: ClassVar[type[Config]] = EncoderDecoderConfig

    def _make_stacks(self, config: EncoderDecoderConfig, dtype: Any) -> None:
        if config.same_layer:
            self.encoder: Stack = SourceStack(config, dtype)
        else:
            self.encoder = Stack(config, name="encoder", dtype=dtype)
        self.decoder = TargetStack(config, self.encoder, dtype)

    @property
    def blocks(self) -> ModuleList:
        """The blocks of the stack that predicts."""
        return self.decoder.blocks

    def forward(
        self, ids: Any, target_ids: Any = None, *, cache: Any = None, valid: Any = None
    ) -> Tensor:
        """Logits for every position of the target.

        Args:
            ids: (B, M) ints, the source; None when `cache` holds what was read of it.
            target_ids: (B, T) ints, what the decoder has of the target (after the cache).
            cache: keys and values of the source and of the target before; it is advanced.
            valid: (B, M) bool, False for padding of the source.

        Returns:
            (B, T, V); hidden states (B, T, C) when config.head is "none".

        Raises:
            InputError: an argument that is missing, or of another shape or range.
        """
        return self.logits(self.hidden(ids, target_ids, cache=cache, valid=valid))

    def loss(self, ids: Any, target_ids: Any, targets: Any, **options: Any) -> Tensor:
        """Mean cross-entropy in nats per target token, without holding all logits.

        Args:
            ids: (B, M) ints, the source.
            target_ids: (B, T) ints, what the decoder reads of the target.
            targets: (B, T) ints, what follows; `minilm.backend.IGNORE` (-100) is not scored.
            options: cache and valid as in `forward`; ignore_index, label_smoothing, z_loss,
                weights (B, T) and reduction as in `functional.cross_entropy`.

        Raises:
            InputError: as `forward`; also targets of another shape than target_ids.
        """
        given = {name: options.pop(name) for name in ("cache", "valid") if name in options}
        return self.score(self.hidden(ids, target_ids, **given), targets, **options)

    def hidden(
        self, ids: Any, target_ids: Any = None, *, cache: Any = None, valid: Any = None
    ) -> Tensor:
        """The target's state (B, T, C) from which the head predicts; arguments as in `forward`."""
        if target_ids is None:
            raise InputError("target_ids is missing; an encoder-decoder takes source and target")
        if ids is not None:
            memory, valid = self._read(ids, valid)
            if cache is not None:
                cache.remember([(_array(k), _array(v)) for k, v in memory], valid)
        elif cache is None or cache.memory is None:
            raise InputError("ids is None; without them a cache must hold the source")
        elif valid is not None:
            raise InputError("valid is given and ids is None; the cache keeps the source's own")
        else:
            memory, valid = cache.memory, cache.memory_valid
        return self._write(target_ids, memory, cache, valid)

    def _read(self, ids: Any, valid: Any) -> tuple[list[Memory], np.ndarray | None]:
        """Encode the source (B, M) into keys and values (B, G, M, D) for each decoder layer."""
        config = self.config
        ids = check_ids(self, ids, "ids")
        batch, time = ids.shape
        self._check_length("ids", time)
        valid = check_valid(valid, batch, time)
        x, rope, _ = embed(self, ids, 0)  # (B, M) -> (B, M, C)
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
        turn = rope if config.merged_softmax else None  # cross-attention has no positions
        blocks = self.decoder.blocks
        if not config.same_layer:
            x = self.encoder(x, sight)  # (B, M, C)
            return [block.reader.keys_values(x, turn) for block in blocks], valid
        read = self.encoder(x, sight)
        if config.share_cross and config.share_stacks and turn is rope:
            return [pair for _, pair in read], valid  # the ones that the source's layers made
        layers = zip(blocks, read, strict=True)
        return [block.reader.keys_values(x, turn) for block, (x, _) in layers], valid

    def _write(self, target_ids: Any, memory: list[Memory], cache: Any, valid: Any) -> Tensor:
        """Decode the target (B, T) -> (B, T, C), looking at the source's keys and values."""
        config = self.config
        ids = check_ids(self, target_ids, "target_ids")
        batch, time = ids.shape
        sources, _, length, _ = memory[0][0].shape
        if sources != batch:
            raise InputError(f"target_ids has {batch} sequences; the source has {sources}")
        first = length if config.joint_positions else 0
        start = 0 if cache is None else cache.length
        self._check_length("target_ids", first + start + time)
        x, rope, _ = embed(self, ids, first + start)  # (B, T) -> (B, T, C)
        queries = first + np.arange(start, start + time)
        keys = queries if cache is None else first + cache.key_positions(time)
        seen = prefix = None
        if config.merged_softmax:
            keys, prefix = np.concatenate([np.arange(length), keys]), length  # (M + S,)
            if valid is not None:
                own = np.ones((batch, len(keys) - length), bool)
                seen = np.concatenate([valid, own], axis=1)  # (B, M), (B, S) -> (B, M + S)
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
        x = self.decoder(x, sight, memory, source, cache)  # (B, T, C)
        if cache is not None:
            cache.advance(time)
        return x


def _array(x: Any) -> Array:
    return x.data if isinstance(x, Tensor) else x
