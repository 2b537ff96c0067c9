"""Caches give the logits of full recomputation, however the text is cut into chunks."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minilm import InputError, models
from minilm.analysis import accounting
from minilm.inference import ContiguousCache, RollingCache
from minilm.models import Config, EncoderDecoderConfig, Rope, model_of
from minilm.models.walk import walk_step
from minilm.tensor import no_grad

TIME = 14
TINY = dict(vocab_size=11, context=24, layers=2, heads=4, channels=16)
DECODERS = {
    "multi-head": models.gpt2(**TINY),
    "grouped-query": models.llama(**TINY, kv_heads=2, ff=16),
    "multi-query": models.llama(**TINY, kv_heads=1, ff=16, rope=Rope(layout="interleaved")),
    "window": models.mistral(**TINY, kv_heads=2, ff=16, window=4),
    "window of one": models.mistral(**TINY, kv_heads=2, ff=16, window=1),
    "alibi": Config(**TINY, positions="alibi"),
    "alibi window": Config(**TINY, positions="alibi", window=5),
    "relative": Config(**TINY, positions="relative", norm="rms"),
    "relative window": Config(**TINY, positions="relative", window=5),
    "sinusoidal": Config(**TINY, positions="sinusoidal", norm_position="post"),
    "none": Config(**TINY, positions="none"),
}
BASE = EncoderDecoderConfig(**TINY)
WRITERS = {
    "vaswani": models.vaswani(**TINY, ff=16),
    "t5": models.t5(**TINY, ff=16, decoder_layers=3, kv_heads=2),
    "rope": BASE.replace(positions="rope"),
    "walk 1": walk_step(BASE, 1),
    "walk 2 merged": walk_step(BASE.replace(positions="relative"), 2, merged=True),
    "walk 3": walk_step(BASE.replace(positions="rope"), 3),
    "walk 3 merged": walk_step(BASE.replace(positions="alibi"), 3, merged=True),
    "walk 4 merged": walk_step(BASE.replace(positions="rope"), 4, merged=True),
}


def _model(config, dtype=np.float32):
    model = model_of(config, dtype=dtype)
    rng = np.random.default_rng(3)
    for parameter in model.parameters():
        parameter.data += rng.normal(0, 0.2, parameter.shape).astype(dtype)
    return model.eval()


MODELS = {name: _model(config) for name, config in {**DECODERS, **WRITERS}.items()}


def _ids(shape, seed=0):
    return np.random.default_rng(seed).integers(0, 11, shape)


def _chunks(total, sizes):
    """Cut 0..total at the running sums of sizes, cycling."""
    start, i = 0, 0
    while start < total:
        stop = min(start + sizes[i % len(sizes)], total)
        yield slice(start, stop)
        start, i = stop, i + 1


def _close(got, expected):
    assert got.dtype == expected.dtype
    assert np.abs(expected).max() > 0.3
    np.testing.assert_allclose(got, expected, atol=1e-5, rtol=0)


def _by_chunks(model, ids, cache, sizes, **options):
    with no_grad():
        return np.concatenate(
            [model(ids[:, cut], cache=cache, **options).data for cut in _chunks(TIME, sizes)], 1
        )


SIZES = st.lists(st.integers(1, TIME), min_size=1, max_size=5)


@pytest.mark.parametrize("name", DECODERS)
@settings(max_examples=12)
@given(sizes=SIZES, batch=st.integers(1, 3))
def test_decoder_in_any_chunks(name, sizes, batch):
    model, ids = MODELS[name], _ids((batch, TIME))
    cache = ContiguousCache(model.config, batch, TIME)
    _close(_by_chunks(model, ids, cache, sizes), model(ids).data)
    assert cache.length == TIME


@pytest.mark.parametrize("name", [n for n, c in DECODERS.items() if c.window])
@settings(max_examples=20)
@given(sizes=SIZES, more=st.integers(0, 3))
def test_rolling_cache_in_any_chunks(name, sizes, more):
    """Also with more slots than the window, which stay unseen."""
    model, ids = MODELS[name], _ids((2, TIME))
    cache = RollingCache(model.config, 2, window=model.config.window + more)
    _close(_by_chunks(model, ids, cache, sizes), model(ids).data)


@pytest.mark.parametrize("name", WRITERS)
@settings(max_examples=8)
@given(sizes=SIZES)
def test_encoder_decoder_in_any_chunks(name, sizes):
    """The source is encoded once; the cache keeps its keys and values, and its padding."""
    model, source, ids = MODELS[name], _ids((2, 9), seed=1), _ids((2, TIME))
    valid = np.arange(9) < np.array([[9], [6]])
    expected = model(source, ids, valid=valid).data
    cache = ContiguousCache(model.config, 2, TIME)
    parts = []
    with no_grad():
        for cut in _chunks(TIME, sizes):
            given_source = {"valid": valid} if cut.start == 0 else {}
            ids_in = source if cut.start == 0 else None
            parts.append(model(ids_in, ids[:, cut], cache=cache, **given_source).data)
    _close(np.concatenate(parts, 1), expected)
    assert len(cache.memory) == model.config.T_layers


@settings(max_examples=12)
@given(first=st.integers(6, TIME), sizes=SIZES)
def test_prefix_lm_in_chunks_after_the_prefix(first, sizes):
    model, ids = _model(models.prefix_lm(**TINY)), _ids((2, TIME))
    lengths = np.array([3, 6])
    expected = model(ids, prefix=lengths).data
    cache = ContiguousCache(model.config, 2, TIME)
    with no_grad():
        parts = [model(ids[:, :first], cache=cache, prefix=lengths).data]
        for cut in _chunks(TIME - first, sizes):
            parts.append(model(ids[:, first:][:, cut], cache=cache).data)
    _close(np.concatenate(parts, 1), expected)
    with pytest.raises(InputError, match="prefix"):
        model(ids[:, :1], cache=cache, prefix=1)


@settings(max_examples=8)
@given(sizes=SIZES)
def test_ragged_batch_padded_on_the_left(sizes):
    """Every row's logits are those of its text alone."""
    padding = np.array([0, 3, 7])
    places = np.maximum(np.arange(TIME) - padding[:, None], 0)
    valid = np.arange(TIME) >= padding[:, None]
    ids = _ids((3, TIME))
    for name in ("grouped-query", "multi-head", "alibi", "window"):
        model = MODELS[name]
        caches = [ContiguousCache(model.config, 3, TIME)]
        if model.config.window:
            caches.append(RollingCache(model.config, 3))
        for cache in caches:
            parts = []
            with no_grad():
                for cut in _chunks(TIME, sizes):
                    options = {"positions": places[:, cut], "valid": valid[:, : cut.stop]}
                    parts.append(model(ids[:, cut], cache=cache, **options).data)
            got = np.concatenate(parts, 1)
            for row, pad in enumerate(padding):
                alone = model(ids[row : row + 1, pad:]).data[0]
                np.testing.assert_allclose(got[row, pad:], alone, atol=1e-5, rtol=0)


def test_one_token_at_a_time_in_float64():
    """TALKS 3.4: a step with the cache equals full recomputation to 1e-10."""
    model, ids = _model(DECODERS["grouped-query"], np.float64), _ids((2, TIME))
    cache = ContiguousCache(model.config, 2, TIME, dtype=np.float64)
    got = _by_chunks(model, ids, cache, [1])
    np.testing.assert_allclose(got, model(ids).data, atol=1e-10, rtol=0)


def test_slot_is_position_modulo_window():
    cache = RollingCache((1, 1, 2), 1, window=4)
    for start, time in ((0, 3), (3, 1), (4, 6), (10, 1), (11, 1)):
        k = np.arange(start, start + time, dtype=np.float32)[None, None, :, None]
        k = np.repeat(k, 2, axis=3)
        places = cache.key_positions(time)
        keys, values = cache.append(0, k, -k)
        assert keys[0, 0, :, 0].tolist() == places.tolist()
        assert values[0, 0, :, 1].tolist() == (-places).tolist()
        needed = range(max(0, start - 3), start + time)
        assert set(needed) <= set(places.tolist())
        cache.advance(time)
        for i in range(max(0, cache.length - 4), cache.length):
            assert cache._keys[0, 0, 0, i % 4, 0] == i


def test_bytes():
    """2 * layers * kv_heads * head_size * 4 bytes a token in float32 (TALKS 5.3 has fp16)."""
    assert ContiguousCache((12, 12, 64), 1, 1).nbytes == 2 * 36_864
    assert ContiguousCache((2, 3, 4), 5, 7, np.float64).nbytes == 2 * 2 * 3 * 4 * 5 * 7 * 8
    rolling = RollingCache(models.mistral(layers=1, window=16), 1)
    assert rolling.nbytes == 16 * 2 * 8 * 128 * 4


def test_truncate_reset_and_reorder():
    model, ids = MODELS["grouped-query"], _ids((2, TIME))
    cache = ContiguousCache(model.config, 2, TIME)
    with no_grad():
        model(ids[:, :9], cache=cache)
        cache.truncate(4)
        got = model(ids[:, 4:], cache=cache).data
        _close(got, model(ids).data[:, 4:])
        cache.truncate(6)
        cache.reorder([1, 1])
        swapped = np.concatenate([np.repeat(ids[1:, :6], 2, 0), ids[:, 6:]], 1)
        _close(model(ids[:, 6:], cache=cache).data, model(swapped).data[:, 6:])
        cache.reset()
        _close(model(ids, cache=cache).data, model(ids).data)


@pytest.mark.parametrize("rows", [[0, 0, 1, 1, 1], [1]])
def test_reorder_may_grow_and_shrink_the_batch(rows):
    """Texts that go on from a prompt which was read once."""
    model, ids = MODELS["grouped-query"], _ids((2, TIME))
    cache = ContiguousCache(model.config, 2, TIME)
    more = _ids((len(rows), TIME - 6), seed=5)
    with no_grad():
        model(ids[:, :6], cache=cache)
        cache.reorder(rows)
        assert cache.batch == len(rows)
        whole = np.concatenate([ids[rows, :6], more], 1)
        _close(model(more, cache=cache).data, model(whole).data[:, 6:])


def _refusals():
    gpt = MODELS["multi-head"]
    small = ContiguousCache(gpt.config, 1, 4)
    full = ContiguousCache(gpt.config, 1, 30)
    full.advance(23)
    gone = RollingCache((1, 1, 2), 1, window=2)
    gone.advance(5)
    written = ContiguousCache(MODELS["t5"].config, 1, 9)
    return [
        (lambda: gpt(_ids((1, 5)), cache=small), "has room for 4"),
        (lambda: gpt(_ids((2, 2)), cache=small), "batch"),
        (lambda: gpt(_ids((1, 2)), cache=full), "context is 24"),
        (lambda: _model(gpt.config, np.float64)(_ids((1, 2)), cache=small), "float32"),
        (lambda: MODELS["grouped-query"](_ids((1, 2)), cache=small), "kv_heads"),
        (lambda: small.truncate(1), "length"),
        (lambda: small.reorder([0, 1]), "from 0 to 0"),
        (lambda: small.reorder([]), "rows is"),
        (lambda: small.reorder([0.0]), "rows"),
        (lambda: gone.truncate(4), "has overwritten earlier positions"),
        (lambda: ContiguousCache(gpt.config, 0, 4), "batch"),
        (lambda: ContiguousCache((1, 2), 1, 4), "dims"),
        (lambda: RollingCache(gpt.config, 1), "window"),
        (lambda: RollingCache(gpt.config, 1, window=4), "window"),
        (lambda: RollingCache(DECODERS["window"], 1, window=3), "at least the model's, 4"),
        (lambda: MODELS["t5"](None, _ids((1, 2)), cache=written), "a cache must hold the source"),
    ]


@pytest.mark.parametrize("case", range(16))
def test_refusals_are_one_sentence(case):
    call, word = _refusals()[case]
    with pytest.raises(InputError, match=word) as error:
        call()
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_caches_take_the_bytes_that_are_counted(name, dtype):
    config, source = MODELS[name].config, 5 if name in WRITERS else 0
    kind = ContiguousCache if config.window is None else RollingCache
    cache, taken = kind(config, 3, length=TIME, dtype=dtype), 0
    if source:
        model = model_of(config, dtype=dtype)
        with no_grad():
            model(_ids((3, source)), _ids((3, 2)), cache=cache)
        taken = sum(k.nbytes + v.nbytes for k, v in cache.memory)
    counted = accounting.kv_cache_bytes(config, TIME, 3, np.dtype(dtype).itemsize, source)
    assert cache.nbytes + taken == counted


def test_a_second_source_needs_a_reset():
    model, source = MODELS["t5"], _ids((1, 5))
    cache = ContiguousCache(model.config, 1, 9)
    with no_grad():
        model(source, _ids((1, 2)), cache=cache)
        with pytest.raises(InputError, match="reset"):
            model(source, _ids((1, 2)), cache=cache)
        with pytest.raises(InputError, match="valid"):
            model(None, _ids((1, 2)), cache=cache, valid=np.ones((1, 5), bool))
        cache.reset()
        other = _ids((1, 7), seed=4)
        got = model(other, _ids((1, 2)), cache=cache).data
        _close(got, model(other, _ids((1, 2))).data)
