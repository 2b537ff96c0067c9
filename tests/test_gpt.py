"""The transformer on one screen is the transformer of the package."""

import numpy as np
import pytest
from model_kinds import spread

from minilm.inference import generate as write
from minilm.models import Transformer, gpt, gpt2

SIZES = [
    dict(vocab_size=5, context=4, layers=1, heads=1, channels=3),
    dict(vocab_size=11, context=12, layers=2, heads=2, channels=8),
    dict(vocab_size=97, context=33, layers=3, heads=7, channels=35),
    dict(vocab_size=50, context=70, layers=5, heads=3, channels=48),
]


@pytest.mark.parametrize("sizes", SIZES, ids=lambda sizes: f"{sizes['channels']} channels")
def test_one_screen_is_the_model(sizes):
    model = spread(Transformer(gpt2(**sizes), dtype=np.float64))
    ids = np.random.default_rng(0).integers(0, sizes["vocab_size"], sizes["context"])
    for length in {1, 2, sizes["context"] // 2, sizes["context"]}:
        wanted = model(ids[None, :length]).data[0]
        logits = gpt.gpt(ids[:length].tolist(), model.state_dict(), sizes["heads"])
        assert logits.shape == wanted.shape and np.abs(wanted).max() > 0.5
        np.testing.assert_allclose(logits, wanted, atol=1e-12, rtol=0)


def test_float32_weights_give_float32_logits():
    model = spread(Transformer(gpt2(**SIZES[1])))
    logits = gpt.gpt([1, 2, 3], model.state_dict(), heads=2)
    assert logits.dtype == np.float32
    np.testing.assert_allclose(logits, model([[1, 2, 3]]).data[0], atol=1e-5)


def test_it_writes_what_the_package_writes():
    model = spread(Transformer(gpt2(**SIZES[2]))).eval()
    text = gpt.generate([1, 2, 3], model.state_dict(), heads=7, tokens=20)
    assert text[:3] == [1, 2, 3]
    assert text[3:] == write(model, [1, 2, 3], 20, temperature=0.0)


def test_no_token_sees_the_future():
    w = spread(Transformer(gpt2(**SIZES[1]), dtype=np.float64)).state_dict()
    short, long = gpt.gpt([1, 2, 3], w, 2), gpt.gpt([1, 2, 3, 4, 5], w, 2)
    np.testing.assert_allclose(long[:3], short, atol=1e-13)
