"""A small recogniser of letters, trained with CTC: nobody says which frame holds which letter."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from minilm import backend
from minilm import functional as F
from minilm.explicit.ctc import ctc_loss, greedy_text
from minilm.lamp.listener import plain
from minilm.lamp.speech import BANDS, LETTERS, bands, speak
from minilm.nn import Linear, Module, manual_seed
from minilm.optim import Adam, clip_grad_norm
from minilm.tensor import Tensor, no_grad

WINDOW = 7  # frames seen at one time
HIDDEN = 64


class Recogniser(Module):
    """Frames to letters: each frame with its neighbours, through one hidden layer.

    Symbol 0 is the blank, symbol i letter i - 1 of `LETTERS`.

    Args:
        seed: of the weights.
    """

    def __init__(self, seed: int = 0) -> None:
        manual_seed(seed)
        self.up = Linear(WINDOW * BANDS, HIDDEN)
        self.down = Linear(HIDDEN, 1 + len(LETTERS))

    def forward(self, frames: np.ndarray) -> Tensor:
        """Log-probabilities of each frame: (B, T, BANDS) -> (B, T, 28)."""
        batch, length, _ = frames.shape
        side = WINDOW // 2
        wide = np.pad(frames, ((0, 0), (side, side), (0, 0)))
        seen = np.stack([wide[:, i : i + length] for i in range(WINDOW)], axis=2)
        seen = seen.reshape(batch, length, -1)  # (B, T, W, BANDS) -> (B, T, W BANDS)
        return F.log_softmax(self.down(F.tanh(self.up(seen.astype(np.float32)))))

    def hear(self, sound: np.ndarray) -> str:
        """The text of the likeliest path."""
        with no_grad():
            logp = self(bands(sound)[None]).data[0]
        return plain("".join(LETTERS[i - 1] for i in greedy_text(logp)))


def symbols(text: str) -> list[int]:
    """A text as targets of CTC."""
    return [1 + LETTERS.index(letter) for letter in plain(text)]


def train(
    model: Recogniser, sentences: Sequence[str], steps: int, seed: int, lr: float, batch: int = 8
) -> Iterator[float]:
    """Steps of Adam on sentences spoken anew each time; gives the loss of each, nats per letter.

    Args:
        model: learns.
        sentences: drawn from, at random.
        steps: how many.
        seed: of the draw and the voices.
        lr: learning rate.
        batch: sentences in a step.
    """
    optimizer, rng = Adam(model.parameters(), lr=lr), backend.rng(seed, "voices")
    for _ in range(steps):
        texts = [sentences[i] for i in rng.integers(len(sentences), size=batch)]
        heard = [bands(speak(text, rng)) for text in texts]
        lengths = np.array([len(frames) for frames in heard])
        padded = np.zeros((batch, lengths.max(), BANDS))
        for row, frames in zip(padded, heard, strict=True):
            row[: len(frames)] = frames
        targets = [symbols(text) for text in texts]
        loss = ctc_loss(model(padded), targets, lengths).sum() / sum(map(len, targets))
        loss.backward()
        clip_grad_norm(model.parameters(), 5.0)
        optimizer.step()
        optimizer.zero_grad()
        yield loss.item()


def edits(one: str, other: str) -> int:
    """Least number of letters to insert, delete or replace (Levenshtein)."""
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        before, row = row, [i]
        for j, b in enumerate(other, 1):
            row.append(min(before[j] + 1, row[-1] + 1, before[j - 1] + (a != b)))
    return row[-1]


def letter_errors(said: Iterable[str], heard: Iterable[str]) -> float:
    """Edits per letter said."""
    pairs = [(plain(a), plain(b)) for a, b in zip(said, heard, strict=True)]
    return sum(edits(a, b) for a, b in pairs) / max(1, sum(len(a) for a, _ in pairs))
