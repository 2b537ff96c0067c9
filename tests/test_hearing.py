"""Letters as sound and a recogniser of them: against spectra, and against what it must learn."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minilm.lamp import hearing, speech


def test_no_two_letters_sound_alike() -> None:
    assert len({speech.resonances(letter) for letter in speech.LETTERS}) == 27


@pytest.mark.parametrize("letter", ["a", "s", "z"])
def test_a_letter_is_loudest_near_its_resonances(letter: str) -> None:
    sound = np.concatenate(
        [speech.speak(5 * letter, np.random.default_rng(seed), 0.0) for seed in range(8)]
    )
    power = np.abs(np.fft.rfft(sound)) ** 2
    hertz = np.fft.rfftfreq(len(sound), 1 / speech.RATE)
    near = np.zeros(len(hertz), bool)
    for f in speech.resonances(letter):
        near |= np.abs(hertz - f) < 250
    assert power[near].sum() > 0.6 * power.sum()
    assert near.mean() < 0.3


def test_bands_of_a_tone() -> None:
    tone = np.sin(2 * np.pi * 1000 * np.arange(1600) / speech.RATE)
    loud = speech.bands(tone)
    assert loud.shape == (10, speech.BANDS)
    edges = np.linspace(1, 81, speech.BANDS + 1).astype(int)  # of 81 frequencies, 50 Hz apart
    assert (loud.argmax(axis=1) == np.searchsorted(edges, 20, side="right") - 1).all()
    assert speech.bands(np.zeros(5)).shape == (1, speech.BANDS)


def test_the_same_words_never_sound_the_same_twice() -> None:
    rng = np.random.default_rng(0)
    one, two = speech.speak("on", rng), speech.speak("on", rng)
    assert one.shape != two.shape or not np.allclose(one, two)
    np.testing.assert_array_equal(
        speech.speak("on", np.random.default_rng(3)), speech.speak("on", np.random.default_rng(3))
    )


def slow_edits(a: str, b: str) -> int:
    if not a or not b:
        return len(a) + len(b)
    return min(
        slow_edits(a[1:], b) + 1,
        slow_edits(a, b[1:]) + 1,
        slow_edits(a[1:], b[1:]) + (a[0] != b[0]),
    )


@given(st.text("ab", max_size=5), st.text("ab", max_size=5))
def test_edits_by_trying_all(a: str, b: str) -> None:
    assert hearing.edits(a, b) == slow_edits(a, b)


def test_errors_per_letter() -> None:
    assert hearing.letter_errors(["lamp on", "off"], ["lamb on", "of"]) == 2 / 10


def test_a_recogniser_learns_words_that_it_hears() -> None:
    """Five words, in voices that it never heard."""
    words = ["on", "off", "lamp", "cat", "dark"]
    model, rng = hearing.Recogniser(0), np.random.default_rng(9)
    losses = list(hearing.train(model, words, 120, seed=0, lr=0.02))
    assert np.mean(losses[-10:]) < 0.3 * np.mean(losses[:10])
    asked = words * 4
    heard = [model.hear(speech.speak(word, rng)) for word in asked]
    assert hearing.letter_errors(asked, heard) < 0.2
