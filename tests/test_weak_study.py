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


def test_it_records_teachers_and_students(tmp_path, monkeypatch):
    monkeypatch.setattr(weak, "READ", (0, 2))
    out, heads = tmp_path / "weak.json", ("last", "fit")
    data = weak.study(str(out), models=heads, amounts=(0,), seeds=(0,), steps=2, say=quiet)
    assert record.load(out) == data and len(data["runs"]) == 2
    assert set(data["tuning"]) == {"last", "fit"}
    for run in data["runs"]:
        point = run["points"][0]
        assert 0.3 < point["weak"] < 1 and 0.5 < point["teacher"] < 1
        gap = point["true"] - point["teacher"]
        wanted = (point["weak"] - point["teacher"]) / gap if gap > 0 else None
        assert point["pgr"] == (None if wanted is None else pytest.approx(wanted, rel=1e-4))
    with pytest.raises(InputError, match="models names 'best'"):
        weak.study(str(out), models=("best",))


def runs(**points):
    """`fit_500=[(pgr, true), ...]` for each seed."""
    return {
        "runs": [
            {"model": name.split("_")[0], "amount": int(name.split("_")[1]), "seed": seed,
             "points": [{"pgr": pgr, "true": true}]}
            for name, seeds in points.items()
            for seed, (pgr, true) in enumerate(seeds)
        ]
    }  # fmt: skip


def test_every_seed_must_keep_a_rule():
    last = {"last_500": [(None, 0.6), (None, 0.6)]}
    good = runs(fit_500=[(0.5, 0.9), (0.3, 0.9)], fit_60=[(None, 0.7), (0.1, 0.8)], **last)
    assert set(weak.verdicts(good).values()) == {True}
    bad = runs(fit_500=[(0.5, 0.9), (None, 0.6)], fit_60=[(0.6, 0.7), (0.1, 0.8)], **last)
    assert set(weak.verdicts(bad).values()) == {False}
