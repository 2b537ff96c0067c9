"""Recurrent layers: against the definition step by step, finite differences, and bad input."""

import numpy as np
import pytest
from checks import check_op

from minilm import InputError, Tensor, nn
from minilm.functional.recurrent import lstm, rnn


def _sigmoid(z):
    return 1 / (1 + np.exp(-z))


def _rnn_by_hand(x, w, u, b, h):
    out = []
    for t in range(x.shape[1]):
        h = np.tanh(x[:, t] @ w.T + h @ u.T + b)
        out.append(h)
    return np.stack(out, 1)


def _lstm_by_hand(x, w, u, b, h, c):
    out = []
    for t in range(x.shape[1]):
        i, f, g, o = np.split(x[:, t] @ w.T + h @ u.T + b, 4, axis=1)
        c = _sigmoid(f) * c + _sigmoid(i) * np.tanh(g)
        h = _sigmoid(o) * np.tanh(c)
        out.append(np.concatenate([h, c], 1))
    return np.stack(out, 1)


@pytest.mark.parametrize("time", [1, 5])
def test_rnn_is_its_definition(time):
    check_op([(2, time, 3), (4, 3), (4, 4), (4,), (2, 4)], rnn, _rnn_by_hand, low=-1, high=1)


@pytest.mark.parametrize("time", [1, 5])
def test_lstm_is_its_definition(time):
    shapes = [(2, time, 3), (16, 3), (16, 4), (16,), (2, 4), (2, 4)]
    check_op(shapes, lstm, _lstm_by_hand, low=-1, high=1)


def test_lstm_starts_with_an_open_forget_gate():
    layer = nn.LSTM(3, 5)
    assert (layer.b.data[5:10] == 1).all() and layer.b.data.sum() == 5


@pytest.mark.parametrize("layer", [nn.RNN(3, 4), nn.LSTM(3, 4)])
def test_a_sequence_may_be_read_in_two_parts(layer):
    x = np.random.default_rng(0).standard_normal((2, 7, 3)).astype(np.float32)
    whole, end = layer(Tensor(x))
    first, state = layer(Tensor(x[:, :3]))
    second, after = layer(Tensor(x[:, 3:]), state)
    np.testing.assert_allclose(whole.data, np.concatenate([first.data, second.data], 1), atol=1e-6)
    np.testing.assert_allclose(np.asarray(_last(end)), np.asarray(_last(after)), atol=1e-6)


def _last(state):
    return [part.data for part in state] if isinstance(state, tuple) else state.data


def test_wrong_shapes_are_refused():
    layer = nn.LSTM(3, 4)
    with pytest.raises(InputError, match="w, u, b and h0 have the shapes"):
        layer(Tensor(np.zeros((2, 5, 4), np.float32)))
    with pytest.raises(InputError, match="batch, time, features"):
        nn.RNN(3, 4)(Tensor(np.zeros((2, 3), np.float32)))
    with pytest.raises(InputError, match="units is 0; it must be at least 1"):
        nn.RNN(3, 0)
