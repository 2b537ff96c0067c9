"""CTC against every path there is."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from minilm import InputError, Tensor, explicit
from minilm.explicit.ctc import ctc_occupancy


def brute_force(logp: np.ndarray, blank: int = 0) -> dict[tuple[int, ...], float]:
    """The probability of each text, as the sum over all its paths."""
    texts: dict[tuple[int, ...], float] = {}
    for path in itertools.product(range(logp.shape[1]), repeat=len(logp)):
        runs = [symbol for symbol, _ in itertools.groupby(path)]
        text = tuple(symbol for symbol in runs if symbol != blank)
        p = float(np.exp(sum(logp[t, symbol] for t, symbol in enumerate(path))))
        texts[text] = texts.get(text, 0.0) + p
    return texts


def log_probabilities(*shape: int, seed: int = 0) -> np.ndarray:
    x = np.random.default_rng(seed).normal(size=shape) * 2
    return x - np.log(np.exp(x).sum(axis=-1, keepdims=True))


@pytest.mark.parametrize("blank", [0, 1, 2])
@pytest.mark.parametrize("frames", [1, 2, 5, 6])
def test_every_text_has_the_probability_of_its_paths(frames: int, blank: int) -> None:
    logp = log_probabilities(frames, 3, seed=frames)
    texts = brute_force(logp, blank)
    assert sum(texts.values()) == pytest.approx(1, abs=1e-12)
    for text, p in texts.items():
        total = np.logaddexp.reduce(explicit.ctc_forward(logp, text, blank)[-1, -2:])
        assert np.exp(total) == pytest.approx(p, rel=1e-12)


@given(
    logits=hnp.arrays(np.float64, (5, 3), elements=st.floats(-30, 30)),
    text=st.lists(st.integers(1, 2), max_size=3),
)
def test_forward_and_backward_meet_at_every_frame(logits: np.ndarray, text: list[int]) -> None:
    logp = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
    alpha, beta = explicit.ctc_forward(logp, text), explicit.ctc_backward(logp, text)
    met = np.logaddexp.reduce(alpha + beta, axis=1)
    np.testing.assert_allclose(met, np.log(brute_force(logp)[tuple(text)]), rtol=1e-10, atol=1e-12)


def test_occupancy_is_the_share_of_paths() -> None:
    logp, text = log_probabilities(5, 3), (1, 1)
    share, total = np.zeros((5, 3)), 0.0
    for path in itertools.product(range(3), repeat=5):
        if explicit.collapse(path) == list(text):
            p = np.exp(sum(logp[t, s] for t, s in enumerate(path)))
            share[np.arange(5), path] += p
            total += p
    found, occupancy = ctc_occupancy(logp, text)
    assert np.exp(found) == pytest.approx(total, rel=1e-12)
    np.testing.assert_allclose(occupancy, share / total, atol=1e-12)
    np.testing.assert_allclose(occupancy.sum(axis=1), 1, atol=1e-12)


def test_gradient_of_free_log_probabilities() -> None:
    logp, text = log_probabilities(1, 6, 4), [[2, 2, 3]]
    x = Tensor(logp.copy(), requires_grad=True)
    explicit.ctc_loss(x, text).sum().backward()
    for t, symbol in [(0, 2), (2, 0), (5, 3), (3, 1)]:
        step = np.zeros_like(logp)
        step[0, t, symbol] = 1e-5
        up, down = (explicit.ctc_loss(Tensor(logp + s), text).data[0] for s in (step, -step))
        assert x.grad[0, t, symbol] == pytest.approx((up - down) / 2e-5, abs=1e-8)


def test_hundreds_of_frames_keep_their_logarithm() -> None:
    """One symbol in all frames of a fair coin: 2^-T for each of the T (T + 1) / 2 paths."""
    frames = 2000
    logp = np.full((frames, 2), np.log(0.5))
    total = np.logaddexp.reduce(explicit.ctc_forward(logp, [1])[-1, -2:])
    assert total == pytest.approx(np.log(frames * (frames + 1) / 2) - frames * np.log(2), rel=1e-12)


def test_a_text_that_the_frames_rule_out() -> None:
    logp = np.array([[0.0, -np.inf], [np.log(0.5), np.log(0.5)]])
    x = Tensor(np.stack([logp, logp]), requires_grad=True)
    losses = explicit.ctc_loss(x, [[1], []])
    np.testing.assert_allclose(losses.data, np.log(2))  # blank, then either
    never = Tensor(np.array([[[0.0, -np.inf]]]), requires_grad=True)
    loss = explicit.ctc_loss(never, [[1]])
    assert loss.data[0] == np.inf
    loss.sum().backward()
    np.testing.assert_array_equal(never.grad, 0)


def test_a_frame_that_rules_out_a_state_leaves_what_follows_it() -> None:
    logp = np.array([[0.0, -np.inf], [np.log(0.5), np.log(0.5)]])
    beta = explicit.ctc_backward(logp, [1])
    np.testing.assert_allclose(np.exp(beta), [[0.5, 1, 0.5], [0, 1, 1]])


@given(st.lists(st.integers(1, 3), max_size=8), st.data())
def test_stretching_a_text_and_collapsing_it_comes_back(text: list[int], data) -> None:
    path: list[int] = [0] * data.draw(st.integers(0, 2))
    for i, symbol in enumerate(text):
        equal = i > 0 and text[i - 1] == symbol
        path += [0] * data.draw(st.integers(int(equal), 2))
        path += [symbol] * data.draw(st.integers(1, 3))
    assert explicit.collapse(path) == text
    hot = np.where(np.arange(4) == np.array(path, int).reshape(-1, 1), 0.0, -5.0)
    assert explicit.greedy_text(hot) == text


def test_keeps_the_dtype() -> None:
    x = Tensor(log_probabilities(1, 4, 3).astype(np.float32), requires_grad=True)
    loss = explicit.ctc_loss(x, [[1]])
    loss.sum().backward()
    assert loss.dtype == x.grad.dtype == np.float32


@pytest.mark.parametrize(
    ("target", "sentence"),
    [
        ([1, 1], "needs 3 frames"),
        ([1, 2, 1], "needs 3 frames"),
        ([0], "holds 0, the blank"),
        ([3], "symbols are from 0 to 2"),
        ([-1], "symbols are from 0 to 2"),
        ([0.5], "must be .L,. integers"),
    ],
)
def test_targets_that_do_not_fit(target: list, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        explicit.ctc_forward(log_probabilities(2, 3), target)


def test_what_the_loss_refuses() -> None:
    logp = log_probabilities(2, 4, 3)
    for sentence, call in {
        "B rows": lambda: explicit.ctc_loss(logp, [[1]]),
        "from 1 to 4 frames": lambda: explicit.ctc_loss(logp, [[1], [1]], np.array([4, 5])),
        "must be .B,. integers": lambda: explicit.ctc_loss(logp, [[1], [1]], np.array([4])),
        "blank is 3": lambda: explicit.ctc_loss(logp, [[1], [1]], None, 3),
        "T at least 1": lambda: explicit.ctc_forward(np.zeros((0, 3)), []),
    }.items():
        with pytest.raises(InputError, match=sentence):
            call()
