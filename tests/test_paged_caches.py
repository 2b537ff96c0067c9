"""Paged and 8-bit caches beside full recomputation, and their bytes beside the formulas."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_cache import DECODERS, MODELS, SIZES, TIME, TINY, _by_chunks, _close, _ids

from minilm import InputError, models
from minilm.inference import generate
from minilm.inference.paged_cache import PagedCache
from minilm.inference.pages import OutOfPages, Pages, PageTable
from minilm.inference.quantized_cache import (
    QuantizedCache,
    dequantize,
    quantize,
    quantized_bytes,
)
from minilm.models import Config, Transformer
from minilm.tensor import no_grad


@pytest.mark.parametrize("name", DECODERS)
@settings(max_examples=12)
@given(sizes=SIZES, batch=st.integers(1, 3), page=st.integers(1, 15))
def test_paged_in_any_chunks(name, sizes, batch, page):
    model, ids = MODELS[name], _ids((batch, TIME))
    cache = PagedCache.of(model.config, batch, TIME, page)
    _close(_by_chunks(model, ids, cache, sizes), model(ids).data)
    assert cache.length == TIME
    config = model.config
    places = batch * -(-TIME // page) * page
    assert (
        cache.nbytes == cache.pages.nbytes == 2 * config.layers * config.G * config.D * 4 * places
    )
    cache.reset()
    assert (cache.length, cache.nbytes) == (0, 0)


def test_paged_texts_share_until_they_differ():
    model, ids = MODELS["grouped-query"], _ids((1, TIME))
    cache = PagedCache.of(model.config, 4, TIME, 4)
    cache.tables = cache.tables[:1]
    with no_grad():
        model(ids[:, :6], cache=cache)
        cache.reorder([0, 0, 0])
        assert (cache.batch, cache.pages.pool.used) == (3, 2)
        more = _ids((3, 5), seed=4)
        got = model(more, cache=cache).data
        assert cache.pages.pool.used == 1 + 3 * 2  # the full page is shared still
        right = model(np.concatenate([np.repeat(ids[:, :6], 3, 0), more], 1)).data[:, 6:]
        np.testing.assert_allclose(got, right, atol=1e-5, rtol=0)
        cache.truncate(3)
        assert cache.pages.pool.used == 1
        again = model(ids[[0, 0, 0], 3:9], cache=cache).data
    np.testing.assert_allclose(again, model(ids[[0, 0, 0]]).data[:, 3:9], atol=1e-5, rtol=0)


def sharp_model():
    """A model whose next tokens are clear enough that perplexity says something."""
    made = Transformer(
        Config(
            vocab_size=41, context=260, layers=3, heads=4, kv_heads=2, channels=48,
            positions="rope", norm="rms", activation="swiglu",
        ),
        0,
    ).eval()  # fmt: skip
    rng = np.random.default_rng(0)
    for parameter in made.parameters():
        parameter.data += rng.normal(0, 0.2, parameter.shape).astype(np.float32)
    return made


def perplexity(logits, ids):
    """Of each token but the first, from the logits before it, in float64."""
    logits = logits[:, :-1].astype(np.float64)
    logits -= logits.max(-1, keepdims=True)
    logs = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    return float(np.exp(-np.take_along_axis(logs, ids[:, 1:, None], -1).mean()))


@pytest.mark.parametrize("sizes", [[1], [40, 1, 1, 7], [250]])
def test_8_bits_keep_perplexity(sizes):
    model = sharp_model()
    ids = np.array(generate(model, [[1], [2], [3]], 250, seed=5))
    with no_grad():
        full = model(ids).data
        cache = QuantizedCache(model.config, 3, 250)
        parts, start, turn = [], 0, 0
        while start < 250:
            stop = min(250, start + sizes[turn % len(sizes)])
            parts.append(model(ids[:, start:stop], cache=cache).data)
            start, turn = stop, turn + 1
    exact, rounded = perplexity(full, ids), perplexity(np.concatenate(parts, 1), ids)
    assert exact < 30  # of 41
    assert abs(rounded / exact - 1) < 0.01
    assert np.abs(np.concatenate(parts, 1) - full).max() > 1e-4  # it does round


def test_8_bit_bytes():
    """TALKS' formula for keys and values, a quarter of it, and what the scales cost."""
    for dims, batch, length, group in (((2, 3, 8), 5, 64, 32), ((1, 1, 4), 1, 7, 3)):
        cache = QuantizedCache(dims, batch, length, group)
        assert cache.nbytes == quantized_bytes(dims, batch, length, group)
        arrays = [a for a in vars(cache).values() if isinstance(a, np.ndarray)]
        assert cache.nbytes == sum(a.nbytes for a in arrays)
    dims, length = (32, 8, 128), 8192  # Mistral 7B
    exact = 2 * 32 * 8 * 128 * 4 * length
    rounded = quantized_bytes(dims, 1, length, 128)
    assert rounded == 32 * 8 * (length * 128 * 2 + 8 * length + 8 * 64 * 128 + 4 * 128 * 128)
    assert 3.6 < exact / rounded < 4


def test_channels_of_keys_need_their_own_levels():
    """A channel that is large in all tokens spoils rounding by token, not by channel (KIVI)."""
    rng = np.random.default_rng(0)
    keys = rng.normal(size=(1, 32, 16)).astype(np.float32)
    keys[..., 3] += 50
    errors = []
    for axis in (-2, -1):
        codes, step, low = quantize(keys, axis)
        assert codes.dtype == np.uint8 and step.dtype == np.float32
        away = np.abs(dequantize(codes, step, low) - keys)
        assert (away <= step / 2 * 1.001 + 1e-6).all()
        errors.append(np.delete(away, 3, axis=-1).mean())
    assert errors[1] > 5 * errors[0]
    same = np.full((2, 3), 7.0, np.float32)
    codes, step, low = quantize(same, -1)
    assert (codes == 0).all() and (dequantize(codes, step, low) == 7).all()


@given(first=st.integers(1, 13), kept=st.integers(0, 13), group=st.integers(1, 6))
@settings(max_examples=30)
def test_8_bits_after_truncation(first, kept, group):
    """What is appended after a cut lies where a cache that never had more would put it."""
    kept = min(kept, first)
    rng = np.random.default_rng(0)
    k, more = (rng.normal(size=(1, 2, n, 4)).astype(np.float32) for n in (first, 5))
    cache = QuantizedCache((1, 2, 4), 1, 20, group)
    cache.append(0, k, k)
    cache.advance(first)
    cache.truncate(kept)
    keys, values = cache.append(0, more, more)
    whole = np.concatenate([k[:, :, :kept], more], 2)
    assert keys.shape == values.shape == whole.shape
    assert np.abs(values - whole).max() < 0.02
    assert np.abs(keys - whole).max() < 0.04  # a key cut from its group is rounded twice


def test_refusals():
    cache = QuantizedCache((1, 2, 4), 1, 3)
    k = np.zeros((1, 2, 4, 4), np.float32)
    with pytest.raises(InputError, match="k ends at position 4; the cache has room for 3"):
        cache.append(0, k, k)
    with pytest.raises(InputError, match="layer is 1; it must be from 0 to 0"):
        cache.append(1, k, k)
    with pytest.raises(InputError, match="k is float64; the cache holds float32"):
        cache.append(0, k[:, :, :1].astype(float), k)
    with pytest.raises(InputError, match="length is 1; it must be from 0 to 0"):
        cache.truncate(1)
    with pytest.raises(InputError, match="group is 0"):
        QuantizedCache((1, 2, 4), 1, 3, 0)
    source = models.t5(**TINY, ff=16)
    for make in (QuantizedCache, PagedCache.of):
        with pytest.raises(InputError, match="encoder-decoder"):
            make(source, 1, 3)
    paged = PagedCache.of((1, 2, 4), 1, 3, 2)
    for call, wrong in ((paged.append, (2, k, k)), (paged.append, (0, k[:, :1], k))):
        with pytest.raises(InputError):
            call(*wrong)
    with pytest.raises(InputError, match="k is float64"):
        paged.append(0, k.astype(float), k)
    with pytest.raises(OutOfPages):
        paged.append(0, np.zeros((1, 2, 5, 4), np.float32), k)
    with pytest.raises(InputError, match="rows is"):
        paged.reorder([1])
    pages = Pages((1, 2, 4), 3, 2)
    table = PageTable(pages)
    table.reserve(1)
    table.advance(1)
    with pytest.raises(InputError, match="lengths"):
        PagedCache(pages, [table, PageTable(pages)])
    with pytest.raises(InputError, match="tables is empty"):
        PagedCache(pages, [])
    with pytest.raises(InputError, match="batch is 0"):
        PagedCache.of((1, 2, 4), 0, 3)
