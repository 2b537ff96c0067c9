"""Lesson 10: a model compared with itself, and the copies that the rubric must mark down."""

from pathlib import Path

import numpy as np
import pytest

from minilm.course.places import Course
from minilm.studies import rubric

LESSON = next(one for one in Course.here(Path(__file__)).lessons if one.number == "10")
experiments, verdicts = LESSON.module("experiments"), LESSON.module("verdicts")


@pytest.fixture(scope="module")
def wins() -> dict[str, float]:
    """How often each way wins where losses are drawn from one bell curve."""
    rng = np.random.default_rng(0)
    losses = {name: rng.normal(3 + k, 0.1, 12) for k, name in enumerate(experiments.RATES)}
    found = experiments.wins(losses, 0)
    return {name.replace("\n", " "): share for name, share in found.items()}


def test_chance_wins_as_often_as_it_must(wins) -> None:
    assert wins["one seed"] == pytest.approx(1 / 2, abs=0.03)
    assert wins["best of three against one"] == pytest.approx(3 / 4, abs=0.03)  # least of four
    assert wins["tuned against untuned"] == 1.0
    assert wins["three seeds, both tuned"] == pytest.approx(0.025, abs=0.02)


def test_asking_often_wins_more_often(wins) -> None:
    once = wins["three seeds, both tuned"]
    assert wins["eight ideas, best shown"] > 3 * once
    assert wins["more seeds until it wins"] > 1.5 * once


def test_each_copy_has_its_fault_and_the_study_has_none() -> None:
    good = LESSON.recorded("gate", whole=True).data
    before = str(good)
    studies = experiments.planted(good)
    assert str(good) == before  # copies are spoiled, not the record
    for name, data in studies.items():
        lost = {mark.part for mark in rubric.grade(data) if mark.points < mark.most}
        assert lost == verdicts.MUST_LOSE[name]


def test_the_hidden_size_is_forecast_without_its_own_runs(monkeypatch) -> None:
    record = Course.here(Path(__file__)).named(["02"])[0].recorded("scaling", whole=True)
    seen = []

    def forecast(weights, losses, at, level, constant):
        seen.append((len(set(weights)), at in weights))
        return 1.0, 2.0, 3.0

    monkeypatch.setattr(experiments, "forecast", forecast)
    rows, came = experiments.hidden_size(record)
    assert seen == [(7, False), (3, False), (7, False)]
    assert [row[1:] for row in rows] == [(1.0, 2.0, 3.0)] * 3
    assert len(came) == 3 and max(came) < 1.75
