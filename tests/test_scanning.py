"""Selective scan, short convolution and linear attention against their definitions."""

import numpy as np
import pytest
from checks import check_op, numbers
from hypothesis import given, settings
from hypothesis import strategies as st

from minilm import InputError, Tensor, backend, kernels
from minilm import functional as F
from minilm.kernels.linear_attention.reference import CHUNK
from minilm.kernels.scan.reference import SPAN


def _scan(x, delta, a, b, c, h):
    """Number by number, as the paper has it."""
    y = np.zeros_like(x)
    for row in range(x.shape[0]):
        for e in range(x.shape[2]):
            state = h[row, :, e].copy()
            for t in range(x.shape[1]):
                state = np.exp(delta[row, t, e] * a[e]) * state
                state = state + delta[row, t, e] * b[row, t] * x[row, t, e]
                y[row, t, e] = c[row, t] @ state
    return y


def _conv(x, w, b, before):
    whole, window = np.concatenate([before, x], 1), w.shape[1]
    y = np.zeros_like(x)
    for t in range(x.shape[1]):
        y[:, t] = b + (w.T * whole[:, t : t + window]).sum(1)
    return y


def _attention(q, k, v, state):
    """All pairs at once, masked; a state adds what it holds."""
    weights = np.tril(q @ k.swapaxes(-1, -2))
    return weights @ v + q @ state


@pytest.mark.parametrize("time", [1, 5, SPAN + 3])
def test_the_scan_is_its_definition(time):
    shapes = [(2, time, 3), (2, time, 3), (3, 2), (2, time, 2), (2, time, 2), (2, 2, 3)]
    check_op(shapes, F.selective_scan, _scan, low=-0.8, high=0.8)


@pytest.mark.parametrize("channels", [1, 32, 37])
def test_channels_that_do_not_fill_a_group(channels):
    shapes = [(1, 4, channels), (1, 4, channels), (channels, 3), (1, 4, 3), (1, 4, 3)]
    nothing = np.zeros((1, 3, channels))
    check_op(shapes, F.selective_scan, lambda *given: _scan(*given, nothing), low=-0.8, high=0.8)


@pytest.mark.parametrize("time", [1, 2, 6])
def test_the_convolution_is_its_definition(time):
    check_op([(2, time, 3), (3, 4), (3,), (2, 3, 3)], F.causal_conv, _conv)
    check_op([(2, time, 3), (3, 1), (3,)], F.causal_conv, lambda x, w, b: x * w[:, 0] + b)


@pytest.mark.parametrize("time", [1, 5, CHUNK + 3])
def test_linear_attention_is_masked_attention_without_a_softmax(time):
    shapes = [(1, 2, time, 3), (1, 2, time, 3), (1, 2, time, 2), (1, 2, 3, 2)]
    check_op(shapes, F.linear_attention, _attention, low=-1, high=1)


def test_elu_plus_one():
    check_op([(3, 7)], F.elu_plus_one, lambda x: np.where(x > 0, x + 1, np.exp(x)))
    y = F.elu_plus_one(Tensor(np.array([-200.0, 0.0, 3.0], np.float32))).data
    assert y.tolist() == [0.0, 1.0, 4.0]


def _parts(time, rows=2, channels=19, states=5, seed=0):
    rng = np.random.default_rng(seed)
    draw = lambda *shape: rng.standard_normal(shape).astype(np.float32)  # noqa: E731
    delta = np.log1p(np.exp(draw(rows, time, channels)))
    a = -np.exp(draw(channels, states))
    return draw(rows, time, channels), delta, a, draw(rows, time, states), draw(rows, time, states)


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 60), st.data())
def test_a_scan_may_be_cut_anywhere(time, data):
    """The recurrent form is the parallel one: the state goes on where the text was cut."""
    cut = data.draw(st.integers(1, time - 1))
    x, delta, a, b, c = _parts(time, seed=time)
    nothing = np.zeros((2, 5, 19), np.float32)
    whole, end, _ = kernels.scan(x, delta, a, b, c, nothing)
    first, state, _ = kernels.scan(x[:, :cut], delta[:, :cut], a, b[:, :cut], c[:, :cut], nothing)
    second, last, _ = kernels.scan(x[:, cut:], delta[:, cut:], a, b[:, cut:], c[:, cut:], state)
    np.testing.assert_allclose(np.concatenate([first, second], 1), whole, rtol=0, atol=1e-6)
    np.testing.assert_allclose(last, end, rtol=0, atol=1e-6)


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 80), st.data())
def test_linear_attention_may_be_cut_anywhere(time, data):
    cut = data.draw(st.integers(1, time - 1))
    q, k, v = (numbers((1, 2, time, 4), seed, 0, 0.5).astype(np.float32) for seed in range(3))
    nothing = np.zeros((1, 2, 4, 4), np.float32)
    whole, end = kernels.linear_attention(q, k, v, nothing)
    first, state = kernels.linear_attention(*(part[:, :, :cut] for part in (q, k, v)), nothing)
    second, last = kernels.linear_attention(*(part[:, :, cut:] for part in (q, k, v)), state)
    np.testing.assert_allclose(np.concatenate([first, second], 2), whole, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(last, end, rtol=1e-5, atol=1e-6)


def test_a_time_of_zero_passes_a_token_over():
    """With delta 0 the state stays as it is, whatever the token: what makes the scan selective."""
    x, delta, a, b, c = _parts(6)
    delta[:, 3:] = 0
    start = np.zeros((2, 5, 19), np.float32)
    _, three, _ = kernels.scan(*(p[:, :3] for p in (x, delta)), a, b[:, :3], c[:, :3], start)
    _, six, _ = kernels.scan(x, delta, a, b, c, start)
    np.testing.assert_array_equal(three, six)


def test_threads_share_channels_and_agree():
    x, delta, a, b, c = _parts(300, rows=3, channels=40, states=16)
    start, g = np.zeros((3, 16, 40), np.float32), np.ones_like(x)
    found, before = [], backend.threads()
    try:
        for count in (1, 3):
            backend.set_threads(count)
            y, last, marks = kernels.scan(x, delta, a, b, c, start)
            found.append([y, last, *kernels.scan_backward(g, x, delta, a, b, c, marks)])
    finally:
        backend.set_threads(before)
    for one, three in zip(*found, strict=True):
        np.testing.assert_allclose(one, three, rtol=1e-4, atol=1e-3)


def test_strided_inputs_are_read_where_they_lie():
    x, delta, a, b, c = _parts(9)
    both = np.concatenate([b, c], axis=2)
    start = np.zeros((2, 5, 19), np.float32)
    whole = kernels.scan(x, delta, a, b, c, start)[0]
    np.testing.assert_array_equal(
        kernels.scan(x, delta, a, both[..., :5], both[..., 5:], start)[0], whole
    )


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda o: F.selective_scan(o(2, 3), o(2, 3), o(3, 2), o(2, 2), o(2, 2)), "x is (2, 3)"),
        (
            lambda o: F.selective_scan(o(1, 2, 3), o(1, 2, 3), o(3, 4), o(1, 2, 5), o(1, 2, 4)),
            "b is (1, 2, 5); with x (1, 2, 3) and a (3, 4) it must be (1, 2, 4)",
        ),
        (lambda o: F.causal_conv(o(1, 2, 3), o(3, 0), o(3)), "w (3, 0)"),
        (lambda o: F.causal_conv(o(1, 2, 3), o(3, 4), o(3), o(1, 2, 3)), "must be (1, 3, 3)"),
        (
            lambda o: F.linear_attention(o(1, 2, 3, 4), o(1, 2, 3, 5), o(1, 2, 3, 4)),
            "q and k alike",
        ),
        (
            lambda o: F.linear_attention(*[o(1, 2, 3, 4)] * 3, o(1, 2, 4, 3)),
            "state is (1, 2, 4, 3)",
        ),
    ],
)
def test_wrong_shapes_are_refused(call, words):
    with pytest.raises(InputError) as refusal:
        call(lambda *shape: Tensor(np.ones(shape, np.float32)))
    assert words in str(refusal.value) and "\n" not in str(refusal.value)
