"""Models that read short sentences: each enters as one vector, and all attend to all.

A sentence of W words becomes one row of C numbers, a linear map of its words' rows side by side, as
a patch of a picture does in ViT; memory networks (Sukhbaatar et al. 2015, arXiv 1503.08895, section
4.1) sum their words' rows with a weight for each place, which is a special case. There are no
positions: the order of sentences carries nothing.

`SentenceReader` answers a question from all sentences that it is given. `SentenceJudge` says which
of them are worth keeping, given those that are kept already (CogLTX, Ding et al. 2020).
"""

from typing import Any

import numpy as np

from minilm import functional as F
from minilm.backend import rng
from minilm.errors import InputError
from minilm.models.config import Config
from minilm.models.transformer import Transformer
from minilm.nn import Embedding, Linear, Module, Parameter
from minilm.tensor import Tensor, no_grad

MOST = 1024  # sentences in one reading


class _Sentences(Module):
    """What both share: a table of words, a map that joins a sentence's words, and a stack.

    Args:
        vocab_size: V.
        words: W, of a sentence.
        layers, channels, heads: of the stack.
        head: of the stack, "lm" or "none".
        marks: kinds of sentences that are told apart.
        seed: of the first weights.
    """

    def __init__(
        self,
        vocab_size: int,
        words: int,
        layers: int,
        channels: int,
        heads: int,
        head: str,
        marks: int,
        seed: int,
    ) -> None:
        super().__init__()
        if words < 1:
            raise InputError(f"words is {words}; a sentence needs at least 1")
        width = 0.5 / channels**0.5
        self.stack = Transformer(
            Config(
                vocab_size=vocab_size, context=MOST, layers=layers, heads=heads, channels=channels,
                kind="encoder", head=head, positions="none", activation="gelu_tanh", tie=False,
                init_std=width,
            ),
            seed=seed,
        )  # fmt: skip
        self.marks = Embedding(marks, channels)
        self.join = Linear(words * channels, channels)
        draw = rng(seed, "sentences")
        for part, std in ((self.stack.tokens, 1.0), (self.marks, 1.0), (self.join, width)):
            part.weight.data[...] = draw.normal(0, std, part.weight.shape)  # wide: names differ

    def _rows(self, sentences: Any, marks: Any) -> Tensor:
        """(B, N, W) ids and (N,) or (B, N) marks -> (B, N, C)."""
        batch, count, words = sentences.shape
        words = self.stack.tokens(sentences)  # (B, N, W, C)
        joined = self.join(words.reshape(batch, count, -1))  # (B, N, C)
        return joined + self.marks(np.broadcast_to(marks, (batch, count)))


class SentenceReader(_Sentences):
    """Answers a question from sentences, with one word.

    The question is one more sentence; the answer is read off at its place.

    Args:
        vocab_size: V.
        words: W, of a sentence.
        layers, channels, heads: of the stack.
        seed: of the first weights.
    """

    def __init__(
        self,
        vocab_size: int,
        words: int = 3,
        layers: int = 3,
        channels: int = 64,
        heads: int = 2,
        seed: int = 0,
    ) -> None:
        super().__init__(vocab_size, words, layers, channels, heads, "lm", 2, seed)

    def forward(self, documents: Any, questions: Any) -> Tensor:
        """Logits of each question's answer.

        Args:
            documents: (B, N, W) ids; N may be 0.
            questions: (B, Q, W) ids; a question sees the documents and itself, no other question.

        Returns:
            (B, Q, V).
        """
        n, q = documents.shape[1], questions.shape[1]
        sentences = np.concatenate([documents, questions], axis=1)
        asks = np.arange(n + q) >= n
        sight = ~asks[None, :] | np.eye(n + q, dtype=bool)  # all see documents, and themselves
        rows = self._rows(sentences, asks.astype(np.int32))
        return self.stack(embeddings=rows, mask=sight)[:, n:]

    def loss(self, documents: Any, questions: Any, answers: Any) -> Tensor:
        """Mean cross-entropy, in nats, of answers (B, Q)."""
        return F.cross_entropy(self(documents, questions), answers)

    def answer(self, documents: Any, question: Any) -> np.ndarray:
        """The likeliest answers (B,) to one question each (B, W)."""
        with no_grad():
            return self(documents, question[:, None]).data[:, 0].argmax(-1)


class SentenceJudge(_Sentences):
    """Says of each candidate how likely it is to be needed, given what is kept already.

    Args:
        vocab_size: V.
        words: W, of a sentence.
        layers, channels, heads: of the stack.
        seed: of the first weights.
    """

    def __init__(
        self,
        vocab_size: int,
        words: int = 3,
        layers: int = 2,
        channels: int = 64,
        heads: int = 2,
        seed: int = 0,
    ) -> None:
        super().__init__(vocab_size, words, layers, channels, heads, "none", 3, seed)
        self.wants, self.offers = Linear(channels, channels), Linear(channels, channels)
        self.usual = Parameter(np.full(1, -2.0, np.float32))  # most candidates are not needed
        draw = rng(seed, "judge")
        for part in (self.wants, self.offers):
            part.weight.data[...] = draw.normal(0, 0.5 / channels**0.5, part.weight.shape)

    def forward(self, question: Any, kept: Any, candidates: Any) -> Tensor:
        """Logits that each candidate is needed.

        Args:
            question: (B, W) ids.
            kept: (B, M, W) ids; M may be 0.
            candidates: (B, N, W) ids.

        Returns:
            (B, N).
        """
        m, n = kept.shape[1], candidates.shape[1]
        sentences = np.concatenate([question[:, None], kept, candidates], axis=1)
        marks = np.repeat(np.arange(3, dtype=np.int32), [1, m, n])
        hidden = self.stack(embeddings=self._rows(sentences, marks))  # (B, 1 + M + N, C)
        wants = self.wants(hidden[:, :1])  # (B, 1, C), what the question still looks for
        offers = self.offers(hidden[:, 1 + m :])  # (B, N, C)
        return (wants * offers).sum(axis=-1) + self.usual

    def loss(self, question: Any, kept: Any, candidates: Any, needed: Any) -> Tensor:
        """Mean binary cross-entropy, in nats, against needed (B, N) bool."""
        return F.bce(self(question, kept, candidates), np.asarray(needed, np.float32))

    def judge(self, question: Any, kept: Any, candidates: Any) -> np.ndarray:
        """Probabilities (B, N) that candidates are needed."""
        with no_grad():
            return F.sigmoid(self(question, kept, candidates)).data
