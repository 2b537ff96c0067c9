"""The studies of lesson 04 measure what they say, at a size that takes seconds."""

from pathlib import Path

import numpy as np
import pytest

from minilm import align
from minilm.course.places import Course

LESSON = next(one for one in Course.here(Path(__file__)).lessons if one.number == "04")
listed, animals = LESSON.study("listed"), LESSON.study("animals")


@pytest.fixture(scope="module")
def world():
    return listed.setting(5)


def test_the_reference_is_a_distribution_and_the_optimum_is_at_no_distance(world):
    assert abs(np.exp(world.log_ref).sum() - 1) < 1e-4  # none of its probability is elsewhere
    at_best = world.measure(world.best)
    assert at_best["tv"] == 0 and abs(at_best["short"]) < 1e-9
    start = world.measure(world.ref)
    assert abs(start["kl"]) < 1e-9 and abs(start["gold"]) < 1e-9
    assert start["short"] == pytest.approx(world.value)
    assert world.after(world.model)["tv"] == pytest.approx(start["tv"], abs=1e-5)


def test_pairs_of_the_population_carry_the_true_doubt(world):
    batch = listed.population(world, 0, np.full(1296, 1 / 1296))
    better, worse = (
        listed.WORLD.place(side.ids[:, 1:]) for side in (batch.pairs.better, batch.pairs.worse)
    )
    assert (better != worse).all()
    np.testing.assert_allclose(
        batch.pairs.doubt, 1 / (1 + np.exp(world.gold[better] - world.gold[worse])), rtol=1e-5
    )
    np.testing.assert_allclose(batch.better, world.log_ref[better], atol=1e-4)


def test_the_best_of_n_is_never_above_the_optimum(world):
    for point in listed.best_of_n(world):
        assert 0 <= point["optimum"] - point["gold"] < 0.2
        assert point["kl"] <= align.best_of_n_kl(point["n"]) + 1e-9


def test_a_few_steps_go_the_right_way(world):
    start = world.measure(world.ref)["short"]
    assert world.after(listed.by_dpo(world, 60, 0.01))["short"] < 0.5 * start
    assert world.after(listed.by_ppo(world, 12, 0.01, batch=64))["short"] < 0.7 * start


def test_what_animals_say_is_measured(monkeypatch):
    small = animals.pretrained(3, steps=2)
    monkeypatch.setattr(animals, "assistants", lambda seed: (small, small))
    monkeypatch.setattr(animals, "EXAM", 32)
    made = animals.measure(small, 3, proxy=False)
    assert made["kl"] == pytest.approx(0, abs=1e-4) and len(made["said"]) == 3
    assert made["broken"] > 2 and made["gold"] < -1  # it has not learnt to speak
    assert made["gold"] == pytest.approx(
        made["true"] - made["false"] - made["broken"] - (1 - made["ended"])
        - 0.5 * made["repeats"] - 0.25 * made["fillers"], abs=1e-6,
    )  # fmt: skip
