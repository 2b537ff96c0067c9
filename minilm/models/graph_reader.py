"""A model with the graph built in: a pointer that moves along edges, once for each hop.

It holds a distribution over people, at first all on the person asked for. A hop reads the
question, decides how much of each relation it means, and moves the pointer along those edges, as a
graph network passes messages. This is the architecture's way to a question of two hops: CogQA
(Ding et al. 2019, arXiv 1905.05460) reads with BERT and reasons with such a network; moving a
distribution along weighted edges is due to Cohen et al. 2020 (arXiv 2002.06115).
"""

from typing import Any

import numpy as np

from minilm import functional as F
from minilm.backend import rng
from minilm.errors import InputError
from minilm.nn import Embedding, Linear, Module, Parameter
from minilm.tensor import Tensor, no_grad

TINY = 1e-6  # kept away from log 0


class GraphReader(Module):
    """Answers questions about a graph that it is given; what it learns is what words mean.

    Args:
        table: (R, N) ints, whom each relation leads to from each node.
        words: W, ids that questions are written in.
        hops: how often the pointer moves, and how many words a question has.
        channels: width of a word's vector.
        seed: of the first weights.

    Raises:
        InputError: a table that is no table of nodes, or a number below 1.
    """

    def __init__(
        self, table: Any, words: int, hops: int = 2, channels: int = 16, seed: int = 0
    ) -> None:
        super().__init__()
        table = np.asarray(table)
        if table.ndim != 2 or not table.size or not 0 <= table.min() <= table.max() < len(table.T):
            raise InputError(
                f"table has shape {table.shape}; it must be (R, N) with numbers from 0 to N - 1"
            )
        for name, value in (("words", words), ("hops", hops), ("channels", channels)):
            if value < 1:
                raise InputError(f"{name} is {value}; it must be 1 or more")
        relations, nodes = table.shape
        self.hops, self.words = hops, words
        edges = np.zeros((nodes, relations, nodes), np.float32)
        edges[np.arange(nodes), np.arange(relations)[:, None], table] = 1.0
        # row n says where each relation leads: (N, R, N) -> (N, R N)
        self.edges = edges.reshape(nodes, relations * nodes)
        self.vectors = Embedding(words, channels)
        self.meaning = Linear(channels, relations)
        self.turn = Parameter(np.zeros((hops, hops), np.float32))  # which word a hop reads
        draw = rng(seed, "graph reader")
        self.vectors.weight.data[...] = draw.normal(0, 1, self.vectors.weight.shape)
        self.meaning.weight.data[...] = draw.normal(0, channels**-0.5, self.meaning.weight.shape)
        self.meaning.bias.data[...] = 0.0
        self.turn.data[...] = draw.normal(0, 0.5, self.turn.shape)

    def forward(self, questions: Any) -> Tensor:
        """Where the pointer stands in the end.

        Args:
            questions: (B, 1 + hops) ints, a node and a word for each hop.

        Returns:
            (B, N) probabilities.

        Raises:
            InputError: questions of another length.
        """
        questions = np.asarray(questions)
        if questions.ndim != 2 or questions.shape[1] != 1 + self.hops:
            raise InputError(
                f"questions has shape {questions.shape}; it must be (B, {1 + self.hops}), a node "
                f"and {self.hops} words"
            )
        nodes = len(self.edges)
        pointer: Any = np.eye(nodes, dtype=np.float32)[questions[:, 0]]  # (B, N)
        vectors = self.vectors(questions[:, 1:])  # (B, hops, C)
        turns = F.softmax(self.turn)  # (hops, hops)
        for hop in range(self.hops):
            word = (vectors * turns[hop].reshape(1, self.hops, 1)).sum(axis=1)  # (B, C)
            gate = F.softmax(self.meaning(word))  # (B, R)
            moved = F.matmul(pointer, self.edges).reshape(len(questions), -1, nodes)  # (B, R, N)
            pointer = (moved * gate.reshape(len(questions), -1, 1)).sum(axis=1)  # (B, N)
        return pointer

    def loss(self, questions: Any, answers: Any) -> Tensor:
        """Mean of -log p of the answers (B,), in nats."""
        found = self(questions)[np.arange(len(answers)), np.asarray(answers)]
        return -F.log(found + TINY).mean()

    def answer(self, questions: Any) -> np.ndarray:
        """The likeliest nodes, (B,)."""
        with no_grad():
            return self(questions).data.argmax(-1)
