"""The Q-Former: a few learned queries that look at a picture and bring back as many tokens.

BLIP-2 (Li et al. 2023, arXiv 2301.12597). Queries and a text pass through one self-attention, whose
mask says who sees whom; only the queries look at the picture, in every second block. Three losses
teach them, each with a mask of its own:

    contrast   ITC: queries and text do not see each other; the query nearest to the text counts
    match      ITM: all see all; do picture and text belong together?
    tell       ITG: the text sees the queries and its own past, and predicts its next word
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from minilm import functional as F
from minilm.backend import to_numpy
from minilm.errors import InputError
from minilm.nn import (
    MLP,
    Attention,
    CrossAttention,
    Embedding,
    LayerNorm,
    Linear,
    Module,
    ModuleList,
    Parameter,
    Sight,
)
from minilm.nn.module import constant, draw
from minilm.tensor import Tensor
from minilm.vision.clip import normalised

SMOOTHING = 0.1  # of ITC's targets
KINDS = ("contrast", "match", "tell")


class Losses(NamedTuple):
    """The three losses of a batch, in nats."""

    contrast: Tensor
    match: Tensor
    tell: Tensor


def sees(kind: str, queries: int, real: np.ndarray) -> np.ndarray:
    """Who may look at whom: bool (B, N + T, N + T), queries first, rows look at columns.

    Args:
        kind: one of `KINDS`.
        queries: N.
        real: (B, T) bool, False for padding; T may be 0.

    Raises:
        InputError: another kind.
    """
    if kind not in KINDS:
        raise InputError(f"kind is {kind!r}; it must be one of {', '.join(KINDS)}")
    batch, time = real.shape
    mask = np.zeros((batch, queries + time, queries + time), bool)
    mask[:, :queries, :queries] = True
    mask[:, queries:, queries:] = real[:, None, :]
    if kind == "match":
        mask[:, :queries, queries:] = real[:, None, :]
        mask[:, queries:, :queries] = True
    if kind == "tell":
        mask[:, queries:, :queries] = True
        mask[:, queries:, queries:] &= np.tri(time, dtype=bool)
    places = np.arange(queries + time)
    mask[:, places, places] = True  # padding sees itself: a row must not be empty
    return mask


class QBlock(Module):
    """Self-attention of queries and text, the queries' look at the picture, two feed-forwards.

    Args:
        channels, heads: C and H.
        in_channels: of the picture's tokens; None: this block does not look.
        dtype: of the parameters.
    """

    def __init__(
        self, channels: int, heads: int, in_channels: int | None, dtype: Any = np.float32
    ) -> None:
        self.norm1, self.norm2 = LayerNorm(channels, dtype=dtype), LayerNorm(channels, dtype=dtype)
        self.attention = Attention(channels, heads, dtype=dtype)
        if in_channels is not None:
            self.norm_look = LayerNorm(channels, dtype=dtype)
            self.look = CrossAttention(channels, heads, dtype=dtype)
            self.enter = Linear(in_channels, channels, dtype=dtype)
        self.of_queries = MLP(channels, activation="gelu_tanh", dtype=dtype)
        self.of_text = MLP(channels, activation="gelu_tanh", dtype=dtype)

    def forward(self, x: Tensor, queries: int, sight: Sight, seen: Tensor) -> Tensor:
        """(B, N + T, C) -> (B, N + T, C); seen (B, S, I) is the picture."""
        x = x + self.attention(self.norm1(x), sight)
        asking, text = x[:, :queries], x[:, queries:]  # (B, N, C), (B, T, C)
        if hasattr(self, "look"):
            asking = asking + self.look(self.norm_look(asking), self.enter(seen))
        asking = asking + self.of_queries(self.norm2(asking))
        if not text.shape[1]:
            return asking
        return F.concatenate([asking, text + self.of_text(self.norm2(text))], axis=1)


class QFormer(Module):
    """Any number of picture tokens to a fixed number, whatever their order.

    Args:
        in_channels: I, of the eye.
        queries: N (BLIP-2: 32).
        channels: C, inside and out (BLIP-2: 768).
        layers, heads: of its blocks; the first, third, ... look at the picture.
        words: ids of the texts that train it, 0 is padding; 0: no text.
        longest: tokens of a text.
        dtype: of the parameters.

    First weights come from the stream of `nn.manual_seed`.
    """

    def __init__(
        self,
        in_channels: int,
        queries: int = 4,
        channels: int = 64,
        layers: int = 2,
        heads: int = 4,
        words: int = 0,
        longest: int = 32,
        dtype: Any = np.float32,
    ) -> None:
        for name, value in (("queries", queries), ("layers", layers), ("longest", longest)):
            if value < 1:
                raise InputError(f"{name} is {value}; it must be 1 or more")
        self.count, self.words = queries, words
        self.queries = Parameter(draw((queries, channels), 0.5, dtype))
        self.blocks = ModuleList(
            QBlock(channels, heads, in_channels if i % 2 == 0 else None, dtype)
            for i in range(layers)
        )
        self.norm = LayerNorm(channels, dtype=dtype)
        if words:
            self.tokens = Embedding(words, channels, dtype=dtype)
            self.places = Embedding(longest, channels, dtype=dtype)
            self.to_space, self.text_to_space = (
                Linear(channels, channels, bias=False, dtype=dtype) for _ in range(2)
            )
            self.log_scale = Parameter(constant((1,), -np.log(0.07), dtype))
            self.matches = Linear(channels, 2, dtype=dtype)
            self.tell = Linear(channels, words, dtype=dtype)

    def forward(self, seen: Tensor) -> Tensor:
        """The queries' tokens: (B, S, I) -> (B, N, C)."""
        return self._run(seen, None, "contrast")[0]

    def _run(self, seen: Tensor, ids: np.ndarray | None, kind: str) -> tuple[Tensor, Tensor | None]:
        """Queries (B, N, C) and text (B, T, C), or None, at the end of the blocks."""
        batch, count = seen.shape[0], self.count
        x = F.broadcast_to(self.queries, (batch, *self.queries.shape))  # (N, C) -> (B, N, C)
        sight = Sight()
        if ids is not None:
            text = self.tokens(ids) + self.places(np.arange(ids.shape[1]))  # (B, T, C)
            x = F.concatenate([x, text], axis=1)
            sight = Sight(mask=sees(kind, count, ids != 0)[:, None])  # (B, 1, N + T, N + T)
        for block in self.blocks:
            x = block(x, count, sight, seen)
        x = self.norm(x)
        return x[:, :count], None if ids is None else x[:, count:]

    def losses(self, seen: Tensor, ids: np.ndarray, random: np.random.Generator) -> Losses:
        """The three losses of B pairs.

        Args:
            seen: (B, S, I), what the eye saw.
            ids: (B, T) int64, each beginning with a start token (whose place sums up the text in
                ITC) and padded with 0.
            random: chooses the hard negatives of ITM by how similar they are.

        Raises:
            InputError: fewer than two pairs; a Q-Former without words; ids of another shape.
        """
        ids = np.asarray(ids)
        if not self.words:
            raise InputError("words is 0 in this Q-Former; its losses need texts")
        if ids.ndim != 2 or len(ids) != seen.shape[0] or len(ids) < 2:
            raise InputError(
                f"seen is {tuple(seen.shape)} and ids {ids.shape}; both must hold the same number "
                "of pairs, at least 2"
            )
        asking, text = self._run(seen, ids, "contrast")
        logits = self._similar(asking, text)  # (B, B)
        right = np.arange(len(ids))
        contrast = 0.5 * (
            F.cross_entropy(logits, right, label_smoothing=SMOOTHING)
            + F.cross_entropy(logits.transpose(0, 1), right, label_smoothing=SMOOTHING)
        )
        return Losses(contrast, self._match(seen, ids, logits, random), self._tell(seen, ids))

    def _similar(self, asking: Tensor, text: Tensor) -> Tensor:
        """Of each picture and text, the best query's cosine over the temperature: (B, B)."""
        one = normalised(self.to_space(asking))  # (B, N, C)
        other = normalised(self.text_to_space(text[:, 0]))  # (B, C)
        cosines = F.einsum("bnc,tc->bnt", one, other)
        return F.max(cosines, axis=1) * F.exp(self.log_scale)

    def _match(
        self, seen: Tensor, ids: np.ndarray, logits: Tensor, random: np.random.Generator
    ) -> Tensor:
        """Cross-entropy over true pairs, and for each picture and text a likely false partner."""
        batch, scores = len(ids), to_numpy(logits.data).astype(np.float64)
        same = (ids[:, None] == ids[None]).all(-1)  # equal texts are no negatives
        if same.all():
            return F.sum(logits * 0)
        noisy = np.where(same, -np.inf, scores + random.gumbel(size=scores.shape))
        other_text = noisy.argmax(1)
        other_picture = np.where(same, -np.inf, scores + random.gumbel(size=scores.shape)).argmax(0)
        every = np.arange(batch)
        pictures = np.concatenate([every, every, other_picture])
        texts = np.concatenate([every, other_text, every])
        asking, _ = self._run(seen[pictures], ids[texts], "match")
        target = np.repeat([1, 0, 0], batch)
        return F.cross_entropy(F.mean(self.matches(asking), axis=1), target)

    def _tell(self, seen: Tensor, ids: np.ndarray) -> Tensor:
        """Cross-entropy of each next word."""
        _, text = self._run(seen, ids[:, :-1], "tell")
        targets = np.where(ids[:, 1:] == 0, -100, ids[:, 1:])
        return F.cross_entropy(self.tell(text), targets)
