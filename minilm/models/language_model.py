"""What every language model has at its two ends: embeddings where ids enter, a head to leave by.

What lies between, one stack or two, is in `transformer` and `encoder_decoder`.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from minilm import functional as F
from minilm.errors import InputError
from minilm.models.block import make_norm
from minilm.models.config import Config
from minilm.models.embed import check_targets
from minilm.models.heads import MaskedHead, Pooler
from minilm.models.initialise import initialise
from minilm.nn import Embedding, Linear, Module, shapes_only
from minilm.nn.dropout import Dropout
from minilm.tensor import Tensor


class LanguageModel(Module):
    """The ends of a model; a subclass gives `_make_stacks` and `hidden`.

    Args:
        config: what to build.
        seed: of the first weights (`minilm.models.initialise`).
        dtype: of the parameters, float32 or float64.
        allocate: False builds the shapes only, at any size; count them, or load weights.

    Raises:
        InputError: another dtype, or a config of another class.
    """

    config_class: ClassVar[type[Config]] = Config

    def __init__(
        self, config: Config, seed: int = 0, dtype: Any = np.float32, allocate: bool = True
    ) -> None:
        if np.dtype(dtype) not in (np.dtype(np.float32), np.dtype(np.float64)):
            raise InputError(f"dtype is {np.dtype(dtype)}; it must be float32 or float64")
        if type(config) is not self.config_class:
            raise InputError(
                f"config is of class {type(config).__name__}; {type(self).__name__} takes "
                f"{self.config_class.__name__}, and model_of(config) makes a model of either"
            )
        self.config = config
        with shapes_only():
            self._make_embeddings(config, dtype)
            self._make_stacks(config, dtype)
            self._make_head(config, dtype)
        if allocate:
            initialise(self, config, seed)

    def _make_embeddings(self, config: Config, dtype: Any) -> None:
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

    def _make_stacks(self, config: Any, dtype: Any) -> None:
        raise NotImplementedError

    def _make_head(self, config: Config, dtype: Any) -> None:
        if config.head == "mlm":
            self.head: Module = MaskedHead(config, dtype)
        elif config.head == "lm" and not config.tie:
            self.head = Linear(config.channels, config.vocab_size, bias=False, dtype=dtype)
        if config.pooler:
            self.pooler = Pooler(config.channels, dtype)

    @property
    def head_weight(self) -> Tensor:
        """The (V, C) map from hidden state to logits: the token embedding where tied."""
        return self.tokens.weight if self.config.tie else self.head.weight

    def logits(self, hidden: Tensor) -> Tensor:
        """(B, T, C) -> (B, T, V), or the hidden states where config.head is "none"."""
        if self.config.head == "none":
            return hidden
        if self.config.head == "mlm":
            return self.head(hidden, self.tokens)
        return self._capped(F.linear(self._scaled(hidden), self.head_weight))

    def score(self, hidden: Tensor, targets: Any, **how: Any) -> Tensor:
        """Mean cross-entropy in nats per target token, without holding all logits unless capped.

        Args:
            hidden: (B, T, C).
            targets: (B, T) ints; `minilm.backend.IGNORE` (-100) is not scored.
            how: ignore_index, label_smoothing, z_loss, weights (B, T) and reduction, as in
                `functional.cross_entropy`: with "none" the losses (B, T).

        Raises:
            InputError: a model without a head, or targets of another shape.
        """
        if self.config.head == "none":
            raise InputError("config.head is 'none'; a loss needs the head 'lm' or 'mlm'")
        targets = check_targets(self, targets, hidden.shape[:-1])
        if self.config.head == "mlm":
            return F.cross_entropy(self.head(hidden, self.tokens), targets, **how)
        if self.config.logit_cap is not None:  # the fused loss never holds logits that it could cap
            return F.cross_entropy(self.logits(hidden), targets, **how)
        return F.linear_cross_entropy(self._scaled(hidden), self.head_weight, targets, **how)

    def _scaled(self, hidden: Tensor) -> Tensor:
        scale = self.config.logit_scale
        return hidden if scale == 1.0 else F.mul(hidden, hidden.dtype.type(scale))

    def _capped(self, logits: Tensor) -> Tensor:
        cap = self.config.logit_cap
        return logits if cap is None else F.soft_cap(logits, cap)

    def _check_length(self, name: str, length: int) -> None:
        """Refuse a sequence that ends beyond the context."""
        if length > self.config.context:
            raise InputError(
                f"{name} reaches {length} tokens; the model's context is {self.config.context}"
            )
