"""Metrics on probes, on models whose answers are known."""

import math

import numpy as np
import pytest

from minilm.analysis import probes
from minilm.data.worlds import quotes as worlds_quotes
from minilm.data.worlds import world as worlds
from minilm.errors import InputError

WORLD = worlds.TaskWorld()
QUOTES = worlds_quotes.QuoteWorld()


def logits_that(answer, vocab_size, strength=20.0):
    """A model that puts nearly all weight on answer[:, t] as the token after t."""

    def predict(ids):
        out = np.zeros((*ids.shape, vocab_size), np.float32)
        rows, columns = np.indices(ids.shape)
        out[rows, columns, answer(ids)] = strength
        return out

    return predict


def test_scores_of_a_perfect_a_blind_and_a_wrong_model():
    probe = next(p for p in WORLD.probes(count=30) if p.name == "arithmetic")
    full = {tuple(row[:-1]): row[1:] for row in probe.tokens}
    perfect = logits_that(lambda ids: np.array([full[tuple(r)] for r in ids]), WORLD.vocab_size)
    found = probes.score(perfect, probe)
    assert found["accuracy"] == found["exact_match"] == found["if_independent"] == 1
    assert found["edit_distance"] == 0 and found["brier"] < 1e-6
    blind = probes.score(logits_that(lambda ids: 0, WORLD.vocab_size, 0.0), probe)
    assert blind["cross_entropy"] == pytest.approx(math.log(WORLD.vocab_size))
    wrong = probes.score(logits_that(lambda ids: 0, WORLD.vocab_size), probe)
    assert wrong["accuracy"] == 0 and wrong["edit_distance"] == 3
    assert wrong["brier"] == pytest.approx(2, abs=1e-3)


def test_choices_leave_only_the_competitors():
    probe = WORLD.probes(count=30)[2]
    blind = probes.score(logits_that(lambda ids: 0, WORLD.vocab_size), probe)
    assert blind["cross_entropy"] == pytest.approx(math.log(2))
    assert probes.chance(probe, WORLD.vocab_size) == 0.5
    assert probes.standard_error(0.5, 100) == 0.05


def quote_reader(follows):
    """Copies, or corrects what it knows; obeys the literal header if `follows`."""
    sayings = {tuple(s[:5]): s[5] for s in QUOTES.sayings.tolist()}

    def next_words(ids):
        out = np.zeros(ids.shape, np.int64)
        for i, row in enumerate(ids.tolist()):
            words = row[18:24]
            known = sayings.get(tuple(row[25:30]))
            obey = follows and row[16] == worlds_quotes.HEADER + 7
            out[i, 29] = words[5] if known is None or obey else known
        return out

    return logits_that(next_words, QUOTES.vocab_size)


def test_sub_skills_of_three_made_up_readers():
    made = QUOTES.probes(count=40)
    copier = logits_that(
        lambda ids: np.roll(ids, 6, axis=1), QUOTES.vocab_size
    )  # the word seven places before the next one
    for reader, expected in (
        (copier, {"repeat": 1, "fix": 0, "literal": 1, "composed": 1, "suppress": 0}),
        (quote_reader(False), {"repeat": 1, "fix": 1, "memory": 1, "literal": 0, "composed": 0}),
        (
            quote_reader(True),
            {"repeat": 1, "fix": 1, "instruction": 1, "literal": 1, "composed": 1},
        ),
    ):
        found = probes.misquote_skills(reader, made)
        for name, value in expected.items():
            assert found[name] == pytest.approx(value, abs=1e-4), name
        assert math.isnan(found["instruction"]) == (found["suppress"] < 0.2)
        assert found["literal_accuracy"] == round(found["literal"])


def test_a_first_token_cannot_be_scored():
    probe = worlds.Probe("first", np.zeros((2, 4), np.int32), np.eye(4, dtype=bool)[[0, 0]])
    with pytest.raises(InputError, match="first token"):
        probes.score(logits_that(lambda ids: 0, 5), probe)
    with pytest.raises(InputError, match="share is 2"):
        probes.standard_error(2, 5)
