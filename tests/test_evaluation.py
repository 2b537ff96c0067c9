"""Bits per byte: every token scored once, and the number the definition gives."""

import numpy as np
import pytest

from minilm import InputError, Tensor, backend
from minilm.models import Config, Transformer
from minilm.train import bits_per_byte

TOKENS = np.frombuffer(b"to be or not to be, that is the question; " * 40, np.uint8)


def model():
    return Transformer(Config(vocab_size=256, context=16, layers=1, heads=2, channels=16))


class Constant:
    """Predicts every token with the same probabilities, and notes which windows it saw."""

    def __init__(self, p, context):
        self.logits = np.log(np.asarray(p, np.float64))
        self.config = type("C", (), {"context": context})
        self.tokens = type("T", (), {"weight": Tensor(np.zeros(1, np.float32))})
        self.training, self.scored = False, 0

    def eval(self):
        return self

    def train(self, mode=True):
        return self

    def loss(self, ids, targets):
        kept = targets[targets != -100]
        self.scored += kept.size
        return Tensor(-self.logits[kept].mean())


@pytest.mark.parametrize("overlap", [0, 0.3, 0.5, 0.9])
@pytest.mark.parametrize("length", [2, 5, 8, 9, 57])
def test_bits_per_byte_scores_every_token_but_the_first_once(length, overlap):
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.ones(6))
    ids = rng.integers(0, 6, length)
    sizes = np.array([1, 2, 3, 4, 5, 0])  # the last one is a special token
    m = Constant(p, context=8)
    before = backend.threads()
    backend.set_threads(1)
    found = bits_per_byte(m, ids, sizes, overlap=overlap, batch=3)
    backend.set_threads(before)
    assert m.scored == length - 1
    assert found == pytest.approx(-np.log2(p[ids[1:]]).sum() / sizes[ids[1:]].sum(), rel=1e-6)


def test_bits_per_byte_of_a_model_that_knows_nothing_is_eight():
    assert bits_per_byte(
        Constant(np.full(256, 1 / 256), 16), TOKENS, np.ones(256)
    ) == pytest.approx(8, rel=1e-6)


def test_a_real_models_bits_are_those_of_its_logits():
    m = model()
    ids = TOKENS[:17].astype(np.int64)
    logits = m(ids[None, :-1]).data[0].astype(np.float64)
    shares = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    wanted = -np.log2(shares[np.arange(16), ids[1:]]).mean()
    assert bits_per_byte(m, ids, np.ones(256)) == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize(
    "options, words",
    [
        ({"context": 17}, "context is 17"),
        ({"overlap": 1.0}, "overlap is 1.0; it must be at least 0 and below 1"),
        ({"ids": [1]}, "ids hold 1 tokens"),
    ],
)
def test_bits_per_byte_mistakes(options, words):
    with pytest.raises(InputError, match=words):
        bits_per_byte(model(), **{"ids": TOKENS, "byte_lengths": np.ones(256), **options})
