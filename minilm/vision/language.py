"""A language model that sees: an eye, a projector, and tokens of pictures among those of text.

A sequence is made of parts. Ids are text; pictures become tokens of their own, between two learned
marks for their begin and end. What is frozen and what learns decides who pays:

    "projector"   LLaVA's first stage: eye and language model stay as they are
    "expert"      CogVLM: also the copies that serve picture tokens; text is not touched
    "all"         LLaVA's second stage: the language model too, at the expense of what it knew
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minilm import functional as F
from minilm.backend import IGNORE, to_numpy
from minilm.errors import InputError
from minilm.inference.following import make_cache
from minilm.models.embed import embed
from minilm.models.sight import self_sight
from minilm.models.transformer import Transformer
from minilm.nn import Module, Parameter
from minilm.nn.module import draw
from minilm.tensor import Tensor, no_grad
from minilm.vision.expert import block_with_expert, experts_of, runs_of

TRAINED = ("projector", "expert", "all")


class VisionLanguage(Module):
    """A decoder that reads texts and pictures in one sequence.

    Args:
        language: a decoder `Transformer`; it is not copied.
        eye: a module from pictures (N, colours, H, W) to tokens (N, S, I), such as a `ViT`.
        projector: a module from (N, S, I) to (N, S', C), C the language model's.
        expert: give it a visual expert, whose weights start as copies.

    A part of a sequence is one of

        ids        (B, t) ints
        pictures   (B, colours, H, W) floats
        seen       (B, S, I) floats, what the eye makes of pictures (`vit.seen`): with a frozen eye
                   it needs to be computed once only

    Parameters: `language`, `eye`, `projector`; `marks` (2, C); `gain` (1,), which multiplies what
    the projector gives and starts at the size of the language model's token vectors; `experts`.

    Raises:
        InputError: a language model of another kind than "decoder", or without a head.
    """

    def __init__(
        self, language: Transformer, eye: Module, projector: Module, expert: bool = False
    ) -> None:
        config = language.config
        if config.kind != "decoder" or config.head != "lm":
            raise InputError(
                f"language is of kind {config.kind!r} with head {config.head!r}; it must be a "
                "'decoder' with 'lm'"
            )
        self.language, self.eye, self.projector = language, eye, projector
        table = language.tokens.weight
        size = float(np.sqrt(np.mean(np.square(to_numpy(table.data), dtype=np.float64)))) or 1.0
        self.marks = Parameter(draw((2, config.channels), size, table.dtype))
        self.gain = Parameter(np.full(1, size, table.dtype))
        self.experts = experts_of(language) if expert else None

    @property
    def config(self) -> Any:
        """The language model's, for those who need a context or a vocabulary."""
        return self.language.config

    def learn(self, what: str, eye: bool = False) -> VisionLanguage:
        """Freeze everything, then thaw what shall learn; returns the model.

        Args:
            what: "projector", "expert" or "all"; marks and gain always learn, and experts that are
                there learn with "expert" and "all".
            eye: the eye learns too.

        Raises:
            InputError: another word; "expert" without experts.
        """
        if what not in TRAINED:
            raise InputError(f"what is {what!r}; it must be one of {', '.join(TRAINED)}")
        if what == "expert" and self.experts is None:
            raise InputError("what is 'expert'; this model was made without one")
        self.requires_grad_(False)
        self.projector.requires_grad_()
        self.marks.requires_grad = self.gain.requires_grad = True
        if what != "projector" and self.experts is not None:
            self.experts.requires_grad_()
        if what == "all":
            self.language.requires_grad_()
        if eye:
            self.eye.requires_grad_()
        return self

    # --- what is read -----------------------------------------------------------------------------

    def picture_tokens(self, part: Any) -> Tensor:
        """One picture each, or what the eye saw of it, as the language model reads it.

        Args:
            part: (B, colours, H, W) or (B, S, I).

        Returns:
            (B, 1 + S' + 1, C), between the marks of its begin and end.
        """
        seen = self.eye(part) if part.ndim == 4 else _tensor(part)  # (B, S, I)
        tokens = self.projector(seen) * self.gain  # (B, S', C)
        shape = (tokens.shape[0], 1, tokens.shape[2])
        begin, end = (F.broadcast_to(self.marks[i], shape) for i in (0, 1))  # (C,) -> (B, 1, C)
        return F.concatenate([begin, tokens, end], axis=1)

    def _read(self, parts: tuple) -> tuple[Tensor, np.ndarray]:
        """The embeddings (B, T, C) of a sequence, and which of its tokens are of a picture (T,)."""
        if not parts:
            raise InputError("parts is empty; a sequence needs at least one")
        tokens, of_picture = [], []
        for part in parts:
            kind = part.dtype.kind
            if kind in "iu" and part.ndim == 2:
                tokens.append(self.language.tokens(part))
            elif kind == "f" and part.ndim in (3, 4):
                tokens.append(self.picture_tokens(part))
            else:
                raise InputError(
                    f"a part is {part.dtype} of shape {tuple(part.shape)}; it must be ids (B, t), "
                    "pictures (B, colours, H, W) or what an eye saw, (B, S, I)"
                )
            of_picture.append(np.full(tokens[-1].shape[1], kind == "f"))
        rows = {x.shape[0] for x in tokens}
        if len(rows) > 1:
            raise InputError(f"the parts have {sorted(rows)} rows; all must have the same number")
        together = tokens[0] if len(tokens) == 1 else F.concatenate(tokens, axis=1)
        return together, np.concatenate(of_picture)

    def hidden(self, *parts: Any, cache: Any = None) -> Tensor:
        """The state (B, T, C) from which the head predicts; T counts the pictures' tokens too.

        Text alone is the language model's own business, bit for bit.

        Args:
            parts: of the sequence, in order.
            cache: keys and values of what was read before; it is advanced.

        Raises:
            InputError: parts that are none, or of different rows; a sequence beyond the context.
        """
        if len(parts) == 1 and parts[0].dtype.kind in "iu":
            return self.language.hidden(parts[0], cache=cache)
        x, of_picture = self._read(parts)
        if self.experts is None or not of_picture.any():
            return self.language.hidden(embeddings=x, cache=cache)
        return self._through(x, of_picture, cache)

    def _through(
        self, x: Tensor, of_picture: np.ndarray, cache: Any = None, watch: list | None = None
    ) -> Tensor:
        """`Transformer.hidden` with the picture's tokens on the experts' weights."""
        language, time = self.language, x.shape[1]
        start = 0 if cache is None else cache.length
        language._check_length("the sequence", start + time)
        x, (rope, _) = embed(language, x, start)
        queries = np.arange(start, start + time)
        keys = queries if cache is None else cache.key_positions(time)
        relative = getattr(language.stack, "relative", None)
        sight = self_sight(self.config, x, queries, keys, True, False, relative=relative, rope=rope)
        runs = runs_of(of_picture)
        for i, block in enumerate(language.blocks):
            expert = None if self.experts is None else self.experts[i]
            x = block_with_expert(block, expert, x, runs, sight, cache, i, watch)
        if cache is not None:
            cache.advance(time)
        return language.stack.finish(x)

    def text_places(self, *parts: Any) -> np.ndarray:
        """Which tokens of a sequence are text: (T,) bool."""
        with no_grad():
            return ~self._read(tuple(part[:1] for part in parts))[1]

    # --- what comes out ---------------------------------------------------------------------------

    def forward(self, *parts: Any, cache: Any = None) -> Tensor:
        """Logits (B, T, V) at every place, pictures' included; arguments as in `hidden`."""
        return self.language.logits(self.hidden(*parts, cache=cache))

    def loss(self, *batch: Any) -> Tensor:
        """Mean cross-entropy in nats per target; `train` calls it with the parts of its batches.

        Args:
            batch: the parts of the sequence, then the targets: (B, t) ints, one for each token of
                text in all parts together, what comes after it; -100 is not scored. Pictures'
                tokens have no targets.

        Raises:
            InputError: as `hidden`; targets of another shape.
        """
        *parts, targets = batch
        x, of_picture = self._read(tuple(parts))
        if self.experts is None or not of_picture.any():
            state = self.language.hidden(embeddings=x)
        else:
            state = self._through(x, of_picture)
        if of_picture.any():
            targets = spread(np.asarray(targets), of_picture)
        return self.language.score(state, targets)

    def next_logits(self, *parts: Any) -> np.ndarray:
        """Logits of what comes after the sequence, without gradients: (B, V)."""
        with no_grad():
            state = self.hidden(*parts)
            return self.language.logits(state[:, -1:]).numpy()[:, 0]

    def looks(self, *parts: Any) -> tuple[np.ndarray, np.ndarray]:
        """Where the last token looks in every layer and head.

        Returns:
            (L, B, H, T) shares that sum to 1 over T; and which of the T tokens are of a picture.
        """
        watch: list[np.ndarray] = []
        with no_grad():
            x, of_picture = self._read(parts)
            self._through(x, of_picture, watch=watch)
        return np.stack(watch), of_picture

    def write(self, *parts: Any, most: int, stop: int | None = None) -> np.ndarray:
        """Go on with the likeliest tokens: int64 (B, most).

        Args:
            parts: what is read first.
            most: how many tokens to write.
            stop: after this id a row is filled with it.

        Raises:
            InputError: `most` below 1; as `hidden`.
        """
        if most < 1:
            raise InputError(f"most is {most}; it must be 1 or more")
        rows = len(parts[0])
        written, ended = np.zeros((rows, most), np.int64), np.zeros(rows, bool)
        with no_grad():
            length = len(self.text_places(*parts)) + most
            cache, given = make_cache(self.language, rows, length), parts
            for i in range(most):
                state = self.hidden(*given, cache=cache)
                ids = self.language.logits(state[:, -1:]).numpy()[:, 0].argmax(-1)  # (B,)
                written[:, i] = ids if stop is None else np.where(ended, stop, ids)
                ended |= written[:, i] == (-1 if stop is None else stop)
                if ended.all():
                    written[:, i:] = stop
                    break
                given = (written[:, i : i + 1],)
        return written


def spread(targets: np.ndarray, of_picture: np.ndarray) -> np.ndarray:
    """Targets of the text's tokens at their places in a sequence: (B, t) -> (B, T).

    Raises:
        InputError: another number of targets than of tokens of text.
    """
    text = int((~of_picture).sum())
    if targets.ndim != 2 or targets.shape[1] != text:
        raise InputError(
            f"targets are {targets.shape}; they must be (B, {text}), one for each token of text"
        )
    placed = np.full((len(targets), len(of_picture)), IGNORE, np.int64)
    placed[:, ~of_picture] = targets
    return placed


def _tensor(part: Any) -> Tensor:
    return part if isinstance(part, Tensor) else Tensor(part)
