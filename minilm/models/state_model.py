"""Language models whose memory of a text has one size: what `mamba` and `linear_transformer` share.

A decoder in everything that its users see: ids in, logits out, `loss`, and a cache for writing. But
the cache is `nn.States`, some arrays per layer that do not grow, and there is no mask: what comes
later is not yet in the state.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from minilm.backend import xp_of
from minilm.errors import InputError
from minilm.models.block import make_norm
from minilm.models.embed import embed, read_input
from minilm.models.language_model import LanguageModel
from minilm.models.sight import check_valid
from minilm.nn import ModuleList, States
from minilm.tensor import Tensor, is_grad_enabled


class StateConfig:
    """What all configs of such models have in common, and `LanguageModel` asks for."""

    head: ClassVar[str] = "lm"
    pooler: ClassVar[bool] = False
    token_types: ClassVar[int] = 0
    embedding_norm: ClassVar[bool] = False
    embedding_scale: ClassVar[float] = 1.0
    logit_scale: ClassVar[float] = 1.0
    dropout: ClassVar[float] = 0.0
    norm: ClassVar[str] = "rms"
    norm_affine: ClassVar[bool] = True
    bias: ClassVar[bool] = False
    window: ClassVar[None] = None
    global_every: ClassVar[None] = None
    logit_cap: ClassVar[None] = None

    def check_counts(self, *names: str) -> None:
        """Refuse fields that are not whole numbers of 1 or more.

        Raises:
            InputError: it names the field.
        """
        for name in names:
            value = getattr(self, name)
            if not isinstance(value, (int, np.integer)) or value < 1:
                raise InputError(f"{name} is {value!r}; it must be a whole number of 1 or more")


class StateModel(LanguageModel):
    """A stack of blocks that carry a state; a subclass gives `make_block`.

    Parameters by name: `tokens` (and `positions` where they are learned), `blocks.N...`, `norm`,
    and `head` where it is not tied.
    """

    def make_block(self, config: Any, dtype: Any) -> Any:
        """A block: called with (x, keep, states, layer); `empty` gives its first state."""
        raise NotImplementedError

    def _make_stacks(self, config: Any, dtype: Any) -> None:
        self.blocks = ModuleList(self.make_block(config, dtype) for _ in range(config.layers))
        self.norm = make_norm(config, dtype)

    def new_states(self, batch: int) -> States:
        """The cache of `batch` texts of which nothing has been read.

        Raises:
            InputError: fewer than one text.
        """
        if batch < 1:
            raise InputError(f"batch is {batch}; it must be 1 or more")
        like = self.tokens.weight.data
        return States([block.empty(like, batch) for block in self.blocks])

    def forward(self, ids: Any = None, **options: Any) -> Tensor:
        """Logits (B, T, V) for every position; the arguments are those of `hidden`."""
        return self.logits(self.hidden(ids, **options))

    def loss(self, ids: Any, targets: Any, **options: Any) -> Tensor:
        """Mean cross-entropy in nats per target token, without holding all logits.

        Args:
            ids: (B, T) ints; None where embeddings are given.
            targets: (B, T) ints; `minilm.backend.IGNORE` (-100) is not scored.
            options: embeddings, positions, cache and valid as in `hidden`; the others as in
                `LanguageModel.score`.

        Raises:
            InputError: as `hidden`; also targets of another shape than ids.
        """
        names = ("embeddings", "positions", "cache", "valid")
        own = {name: options.pop(name) for name in names if name in options}
        return self.score(self.hidden(ids, **own), targets, **options)

    def hidden(
        self,
        ids: Any = None,
        *,
        embeddings: Any = None,
        positions: Any = None,
        cache: States | None = None,
        valid: Any = None,
    ) -> Tensor:
        """The state (B, T, C) from which the head predicts.

        Args:
            ids: (B, T) ints; None where embeddings are given.
            embeddings: (B, T, C) in place of `tokens(ids)`.
            positions: (T,) or (B, T) ints in place of 0, 1, ... (after the cache), for models that
                have positions.
            cache: what was read before, from `new_states`; it is advanced. Inside `no_grad` only.
            valid: (B, cache.length + T) bool, False for padding, which must stand on the left.

        Raises:
            InputError: an argument of another shape or range; a cache while gradients are recorded,
                of another model or batch; padding behind a token.
        """
        given = read_input(self, ids, embeddings)  # (B, T) ids or (B, T, C)
        batch, time = given.shape[:2]
        start = 0 if cache is None else cache.length
        self._check_length("ids" if embeddings is None else "embeddings", start + time)
        self._check_cache(cache, batch)
        keep = self._keep(check_valid(valid, batch, start + time), start)
        x, _ = embed(self, given, start, positions)  # (B, T, C)
        for layer, block in enumerate(self.blocks):
            x = block(x, keep, cache, layer)
        if cache is not None:
            cache.advance(time)
        return self.norm(x)

    def _check_cache(self, cache: States | None, batch: int) -> None:
        if cache is None:
            return
        if not isinstance(cache, States) or len(cache.layers) != len(self.blocks):
            raise InputError(
                f"cache is a {type(cache).__name__}; it must be what new_states of this model gave"
            )
        if cache.batch != batch:
            raise InputError(f"cache holds {cache.batch} texts; ids has {batch}")
        if is_grad_enabled():
            raise InputError("cache is given; a state is read inside no_grad(), without gradients")

    def _keep(self, valid: Any, start: int) -> Any:
        """(B, T, 1) numbers, 0 for padding; None where there is none."""
        if valid is None or bool(np.asarray(valid).all()):
            return None
        if (np.diff(np.asarray(valid).astype(np.int8), axis=1) < 0).any():
            raise InputError("valid has padding behind a token; pad a batch on the left")
        weight = self.tokens.weight.data
        return xp_of(weight).asarray(valid[:, start:, None], weight.dtype)
