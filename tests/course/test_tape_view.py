"""The tape as a picture: what it says at each step, and what a tape costs."""

import math

import numpy as np
import pytest

import minilm
from minilm import functional as F
from minilm.course import TapeView, tape_bytes, tape_steps
from minilm.errors import InputError


def neuron() -> TapeView:
    w, b = (minilm.tensor(v, requires_grad=True) for v in (0.5, -0.4))
    x, y = minilm.tensor(2.0), minilm.tensor(1.0)
    error = F.tanh(w * x + b) - y
    return TapeView(error * error, w=w, x=x, b=b, y=y)


def test_values_come_first_and_gradients_after() -> None:
    view = neuron()
    assert view.steps == 5 + 7
    assert view.words(0).startswith("The inputs.")
    assert view.words(1) == "Forward: mul(0.5, 2) = 1, and its pullback is kept."
    error = math.tanh(0.6) - 1
    assert view.words(5) == (
        f"Forward: mul({error:.3g}, {error:.3g}) = {error**2:.3g}, and its pullback is kept."
    )
    assert view.words(6) == "Backward starts with d(loss)/d(loss) = 1."
    slope = 2 * error * (1 - math.tanh(0.6) ** 2)
    ends = {view.words(step) for step in (11, 12)}
    assert ends == {
        f"A leaf: w.grad = {2 * slope:.3g} stays there.",
        f"A leaf: b.grad = {slope:.3g} stays there.",
    }


def test_a_gradient_that_comes_twice_is_summed_before_it_is_shown() -> None:
    x = minilm.tensor(3.0, requires_grad=True)
    view = TapeView(x * x + x, x=x)
    assert view.words(view.steps) == "A leaf: x.grad = 7 stays there."


@pytest.mark.parametrize("step", [0, 3, 12])
def test_every_step_is_a_picture_with_words(step: int) -> None:
    picture = neuron().draw(step)
    assert picture.png.startswith(b"\x89PNG")
    assert f"step {step} of 12" in picture.alt


def test_what_cannot_be_shown_is_refused() -> None:
    x = minilm.tensor([1.0, 2.0], requires_grad=True)
    with pytest.raises(InputError, match="scalar"):
        TapeView(x * x)
    with pytest.raises(InputError, match="scalar"):
        TapeView(minilm.tensor(1.0, requires_grad=True))
    one = long = minilm.tensor(1.0, requires_grad=True)
    for _ in range(20):
        long = long + one
    with pytest.raises(InputError, match="21 nodes; a picture holds at most 16"):
        TapeView(long)


def test_the_cost_of_a_tape() -> None:
    a = minilm.tensor(np.ones((4, 8), np.float32), requires_grad=True)
    b = minilm.tensor(np.ones((4, 8), np.float32), requires_grad=True)
    result = F.exp(a * b)  # the product keeps both, exp its value
    assert tape_steps(result) == 2
    assert tape_bytes(result) == 3 * 4 * 8 * 4
    assert tape_bytes(a * a) == 4 * 8 * 4  # one array, counted once
