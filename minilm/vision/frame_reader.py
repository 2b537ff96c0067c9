"""A transformer that reads a video frame by frame: it foretells the next one, and answers.

Each frame is one token. A mask keeps it from looking ahead, so that every frame but the last is an
exercise: say the one that follows. No caption is needed for that. The last token has seen the whole
video, and a linear map of it answers a question.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np

from minilm import functional as F
from minilm import nn
from minilm.backend import to_numpy
from minilm.errors import InputError
from minilm.tensor import Tensor, no_grad

ROWS = 512  # videos that pass through at once


@dataclass(frozen=True)
class FrameReaderConfig:
    """The shape of a reader.

    Attributes:
        frames: the longest video.
        numbers: of a frame, C H W.
        width, layers, heads: as in a transformer.
        answers: for each question, how many answers it has.

    Raises:
        InputError: a size below 1, or no question.
    """

    frames: int = 8
    numbers: int = 432
    width: int = 64
    layers: int = 2
    heads: int = 4
    answers: tuple[int, ...] = (7,)

    def __post_init__(self) -> None:
        for name in ("frames", "numbers", "width", "layers", "heads"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}; it must be 1 or more")
        if not self.answers or min(self.answers) < 1:
            raise InputError(f"answers are {self.answers}; each question must have at least one")

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return dataclasses.asdict(self)


class _Block(nn.Module):
    """Look back, then think; each adds to what is there."""

    def __init__(self, width: int, heads: int, dtype: Any) -> None:
        self.norm1 = nn.LayerNorm(width, dtype=dtype)
        self.attention = nn.Attention(width, heads, dtype=dtype)
        self.norm2 = nn.LayerNorm(width, dtype=dtype)
        self.feed_forward = nn.MLP(width, dtype=dtype)

    def forward(self, x: Tensor) -> Tensor:  # (B, T, C) -> (B, T, C)
        x = x + self.attention(self.norm1(x), nn.Sight(causal=True))
        return x + self.feed_forward(self.norm2(x))


class FrameReader(nn.Module):
    """Videos (B, C, T, H, W) -> the next frames, and answers.

    Args:
        config: the shape.
        seed: of the first weights.
    """

    def __init__(self, config: FrameReaderConfig, seed: int = 0, dtype: Any = np.float32) -> None:
        nn.manual_seed(seed)
        self.config, c = config, config.width
        self.see = nn.Linear(config.numbers, c, dtype=dtype)
        self.place = nn.Embedding(config.frames, c, dtype=dtype)
        self.blocks = nn.ModuleList([_Block(c, config.heads, dtype) for _ in range(config.layers)])
        self.norm = nn.LayerNorm(c, dtype=dtype)
        self.next = nn.Linear(c, config.numbers, dtype=dtype)
        self.answer = nn.Linear(c, sum(config.answers), dtype=dtype)

    def hidden(self, videos: np.ndarray) -> Tensor:
        """What is known after each frame: (B, C, T, H, W) -> (B, T, width).

        Raises:
            InputError: another number of axes, frames that are larger than the reader's, or more.
        """
        config = self.config
        if videos.ndim != 5 or np.prod([videos.shape[i] for i in (1, 3, 4)]) != config.numbers:
            raise InputError(
                f"videos are {videos.shape}; they must be (B, C, T, H, W) with frames of "
                f"{config.numbers} numbers"
            )
        b, _, t, _, _ = videos.shape
        if not 1 <= t <= config.frames:
            raise InputError(f"videos have {t} frames; the reader takes 1 to {config.frames}")
        rows = np.ascontiguousarray(np.moveaxis(videos, 2, 1)).reshape(b, t, -1)  # (B, T, C H W)
        x = self.see(Tensor(rows)) + self.place.weight[:t]
        for block in self.blocks:
            x = block(x)
        return self.norm(x)

    def next_loss(self, videos: np.ndarray) -> Tensor:
        """Mean squared error of every frame but the first, each told from those before it."""
        b, _, t, _, _ = videos.shape
        told = self.next(self.hidden(videos[:, :, :-1]))  # (B, T - 1, C H W)
        wanted = np.moveaxis(videos[:, :, 1:], 2, 1).reshape(b, t - 1, -1)
        return F.mse(told, np.ascontiguousarray(wanted))

    def logits(self, videos: np.ndarray) -> list[Tensor]:
        """For each question, (B, answers), from what is known after the last frame."""
        every = self.answer(self.hidden(videos)[:, -1])
        return F.split(every, list(self.config.answers))

    def answer_loss(self, videos: np.ndarray, answers: np.ndarray) -> Tensor:
        """Mean cross-entropy over the questions; answers (B, questions), integers."""
        losses = [
            F.cross_entropy(scores, np.ascontiguousarray(column))
            for scores, column in zip(self.logits(videos), answers.T, strict=True)
        ]
        total = losses[0]
        for loss in losses[1:]:
            total = total + loss
        return total * (1 / len(losses))

    def answers(self, videos: np.ndarray) -> np.ndarray:
        """The likeliest answer to each question, without a tape: int64 (N, questions)."""
        found = []
        with no_grad():
            for i in range(0, len(videos), ROWS):
                scores = self.logits(videos[i : i + ROWS])
                found.append(np.stack([to_numpy(s.data).argmax(-1) for s in scores], axis=-1))
        return np.concatenate(found)

    def foretold(self, videos: np.ndarray) -> np.ndarray:
        """The frame expected after each: (N, C, T, H, W) -> the same shape, one frame later."""
        n, c, t, h, w = videos.shape
        with no_grad():
            told = to_numpy(self.next(self.hidden(videos)).data)  # (N, T, C H W)
        return np.moveaxis(told.reshape(n, t, c, h, w), 1, 2)
