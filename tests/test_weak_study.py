"""The study 04/weak on a very small scale, and the rules by which it is judged."""

from pathlib import Path

import numpy as np
import pytest

from minilm.backend import rng
from minilm.course.places import LessonFolder
from minilm.errors import InputError
from minilm.studies import record

weak = LessonFolder(Path(__file__).parents[1], "04_aligning_open_models").study("weak")


def quiet(line):
    """Say nothing."""


def test_claims_are_sentences_half_of_them_true():
    found = weak.claims(400, rng(0))
    words = {weak.WORLD.text(ids) for ids in found.ids}
    assert all(text.split()[0] == "the" and text.endswith(" .") for text in words)
    assert 0.4 < found.true.mean() < 0.6
    animal = found.ids[:, 1] - weak.ID[weak.ANIMALS[0]]
    known = (weak.WORLD.truth[animal] == found.ids[:, 3:4]).any(1)
    np.testing.assert_array_equal(known, found.true)


def test_a_head_reads_the_words_that_it_should():
    ids = weak.claims(3, rng(0)).ids
    assert weak.seen_by("last", ids).said.tolist() == [[False] * 4 + [True]] * 3
    assert weak.seen_by("fit", ids).said.tolist() == [[False] + [True] * 4] * 3


def test_claims_are_learnt_from_labels():
    shown = weak.claims(64, rng(0))
    model = weak.taught(weak.Transformer(weak.TEACHER, seed=0), "sum", shown, 150, 1e-2, 0)
    assert (weak.says(model, "sum", shown.ids) == shown.true).mean() > 0.9


def test_a_probe_learns_from_frozen_states():
    lm, shown = weak.reader(0, 0), weak.claims(60, rng(0))
    before = [p.data.copy() for p in lm.parameters()]
    tells = weak.probe(lm, shown, weak.summed)
    assert (tells(shown.ids) == shown.true).mean() > 0.8
    for p, old in zip(lm.parameters(), before, strict=True):
        np.testing.assert_array_equal(p.data, old)
    found = weak.expected(lm, shown.ids)[0, 0]
    ids = shown.ids[:1]
    assert found == pytest.approx(-4 * lm.loss(ids[:, :-1], ids[:, 1:]).item(), rel=1e-5)


def test_it_records_teachers_and_students(tmp_path, monkeypatch):
    monkeypatch.setattr(weak, "READ", (0, 2))
    monkeypatch.setattr(weak, "EXAMS", (1, 2))
    out, heads = tmp_path / "weak.json", ("all, last", "probe")
    data = weak.study(str(out), models=heads, amounts=(0,), seeds=(0,), steps=2, say=quiet)
    assert record.load(out) == data and len(data["runs"]) == 2
    assert set(data["tuning"]) == set(heads)
    for run in data["runs"]:
        assert 0.5 < run["teacher"] < 1
        for point in run["points"]:
            gap = point["true"] - run["teacher"]
            wanted = (point["weak"] - run["teacher"]) / gap if gap > 0 else None
            assert point["pgr"] == (None if wanted is None else pytest.approx(wanted, rel=1e-4))
    assert [len(run["points"]) for run in data["runs"]] == [2, 1]
    with pytest.raises(InputError, match="models names 'best'"):
        weak.study(str(out), models=("best",))


def runs(pgr, few, weak_right, last):
    """One seed: PGR of one number after 500 and 60 steps; what else differs after 500."""
    made = {
        ("one number", 500): {"pgr": pgr, "weak": 0.9, "same": 0.8, "true": 0.95},
        ("one number", 60): {"pgr": few, "weak": 0.5, "same": 0.5, "true": 0.5},
        ("all, fit", 500): {"pgr": 0.0, "weak": weak_right, "same": 0.95, "true": 0.95},
        ("all, last", 500): {"pgr": 0.0, "weak": 0.7, "same": 0.95, "true": last},
    }
    return [
        {"model": name, "amount": read, "points": [point]} for (name, read), point in made.items()
    ]


def test_every_seed_must_keep_a_rule():
    good = [{**run, "seed": s} for s in (0, 1) for run in runs(0.6, None, 0.8, 0.9)]
    assert set(weak.verdicts({"runs": good}).values()) == {True}
    bad = [{**run, "seed": 2} for run in runs(0.5, 0.6, 0.92, 0.97)]
    assert set(weak.verdicts({"runs": good + bad}).values()) == {False}
