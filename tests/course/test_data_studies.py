"""What the studies of lesson 07d rest on: fair tests, noise that is noise, rules that judge."""

from pathlib import Path

import numpy as np
import pytest

from minilm.backend import IGNORE
from minilm.course.places import lesson_folder
from minilm.data.clean.classifier import auc
from minilm.data.worlds.relations import WORDINGS
from minilm.errors import InputError
from minilm.studies import record

HERE = lesson_folder("07d", Path(__file__))
E = HERE.module("experiments")
RECORDS = ("levels", "teachers", "filters")


def quiet(line):
    """Say nothing."""


# ------------------------------------------------------------------- one question, three levels


def test_votes_find_what_words_mean_and_search_the_rest() -> None:
    for seed in range(3):
        learn, test = E.asked(seed)
        likely = E.meanings(E.WORLD.graph(), learn[:60], E.WORLD.answers(learn[:60]))
        np.testing.assert_allclose(likely.sum(1), 1)
        np.testing.assert_array_equal(likely.argmax(1), np.arange(8) // WORDINGS)
        assert (E.searched(likely, test) == E.WORLD.answers(test)).mean() > 0.95


def test_a_batch_has_facts_other_text_and_questions() -> None:
    corpus = E.Corpus("chains", 5, 0)
    ids, targets = corpus(3)
    total = E.FACT_ROWS + E.TEXT_ROWS + E.ASKED_ROWS
    assert ids.shape == targets.shape == (total, E.ROW - 1)
    whole = np.concatenate([ids, targets[:, -1:]], axis=1)
    np.testing.assert_array_equal(whole[:, 1:], targets)  # nothing is left out of a chain
    facts = {tuple(row) for row in E.WORLD.facts()}
    told = whole[: E.FACT_ROWS].reshape(-1, 4)
    assert {tuple(row) for row in told} <= facts
    assert (whole[E.FACT_ROWS : E.FACT_ROWS + E.TEXT_ROWS] >= E.WORLD.vocab_size).all()
    chains = {tuple(row) for row in E.WORLD.chains(E.asked(0).learn[:5])}
    assert {tuple(row) for row in whole[-E.ASKED_ROWS :]} <= chains
    again = E.Corpus("chains", 5, 0)(3)
    np.testing.assert_array_equal(again[0], ids)
    assert (corpus(4)[0] != ids).any()


def test_answers_alone_come_two_to_a_row_and_nothing_is_nothing() -> None:
    ids, targets = E.Corpus("answers", 5, 0)(0)
    direct = {tuple(row) for row in E.WORLD.direct(E.asked(0).learn[:5])}
    rows = np.concatenate([ids, targets[:, -1:]], axis=1)[-E.ASKED_ROWS :, :14]
    assert {tuple(half) for row in rows for half in (row[:7], row[7:])} <= direct
    assert (targets[-E.ASKED_ROWS :, 13:] == IGNORE).all()
    assert len(E.Corpus("nothing", 0, 0)(0)[0]) == E.FACT_ROWS + E.TEXT_ROWS


def test_the_shortcut_is_what_guessing_among_ways_gives() -> None:
    test = E.asked(1).test[:40]
    r, edges, wins = np.random.default_rng(0), E.WORLD.graph(), 0
    for question in np.repeat(test, 100, 0):
        person = int(question[0])
        for _ in range(2):
            person = edges[person][r.integers(4)][1]
        wins += person == E.WORLD.answers(question[None])[0]
    assert wins / 4000 == pytest.approx(E.shortcut(test), abs=0.02)


# ------------------------------------------------------------------------------ data and noise


def test_no_document_is_in_two_parts() -> None:
    parts = E.library(0)
    assert len(parts.trusted) >= E.TRUSTED and len(parts.unseen) >= E.UNSEEN
    assert len(parts.rest) > 900
    everything = [text for part in parts for text in part]
    assert len(set(everything)) == len(everything)


@pytest.mark.parametrize("noise", E.NOISES)
def test_noise_is_as_long_and_has_the_same_words(noise: str) -> None:
    text, r = E.library(0).rest[3], np.random.default_rng(0)
    spoilt = E.spoilt(text, noise, r)
    assert abs(len(spoilt) - len(text)) < 120 and spoilt != text
    if noise == "shuffled":
        assert sorted(spoilt.split()) == sorted(text.split())
        assert [len(line.split()) for line in spoilt.splitlines()] == [
            len(line.split()) for line in text.splitlines()
        ]
    else:
        assert len(set(spoilt.splitlines())) == 1 and spoilt.splitlines()[0] in text


def test_a_pool_has_its_share_of_noise_and_filters_find_most() -> None:
    pool = E.crawl(0, "shuffled", 0.5, 120)
    assert pool.good.sum() == 120 and len(pool.texts) == 240
    rest = set(E.library(0).rest[:120])
    assert all((text in rest) == good for text, good in zip(pool.texts, pool.good))
    assert len(E.crawl(0, "shuffled", 0.8, 60).texts) == 300
    for way, least in (("perplexity", 0.72), ("classifier", 0.9)):
        assert auc(E.scores(way, 0, pool), pool.good) > least
        kept = E.chosen(way, 0, pool)
        assert len(kept) == 120 and sum(text in rest for text in kept) > 75  # by a coin 60
    assert set(E.chosen("oracle", 0, pool)) <= rest and E.chosen("none", 0, pool) == pool.texts


def test_bits_are_those_of_each_document() -> None:
    texts = E.library(0).unseen[:3]
    found = E.surprise(0, texts)
    whole = E.judge_of_bytes(0).bits(np.frombuffer("".join(texts).encode(), np.uint8))
    sizes = [len(text.encode()) for text in texts]
    assert (found * sizes).sum() == pytest.approx(whole.sum(), rel=1e-9)


# -------------------------------------------------------------------------------- the studies


def test_small_studies_run_and_go_on(tmp_path, monkeypatch) -> None:
    levels = HERE.study("levels")
    few = {"search": (10,), "reader": (10,), "chains": (10,), "answers, 6x": (5,), "nothing": (0,)}
    monkeypatch.setattr(levels, "AMOUNTS", few)
    monkeypatch.setattr(levels, "tune", lambda start, loss, **how: {"lr": start})
    out = str(tmp_path / "levels.json")
    data = levels.study(out, models=tuple(few), seeds=(0,), steps=8, say=quiet)
    assert record.load(out) == data and data["missing"] == [] and len(data["runs"]) == 5
    by_name = {run["model"]: run for run in data["runs"]}
    assert len(by_name["chains"]["points"]) == 2 and by_name["search"]["points"][0]["right"] > 0.1
    assert [point["step"] for point in by_name["answers, 6x"]["points"]] == [24, 48]
    with pytest.raises(InputError, match="models names 'best'"):
        levels.study(out, models=("best",))


def test_a_filter_s_run_says_what_it_kept(monkeypatch) -> None:
    filters = HERE.study("filters")
    monkeypatch.setattr(filters, "GOOD", 60)
    made = filters.train_one("shuffled 50", "perplexity", 0, 1e-2, 3, [3])
    assert made["documents"] == 60 and 0.6 < made["good"] <= 1 and made["auc"] > 0.7
    assert filters.train_one("shuffled 50", "more", 0, 1e-2, 2, [2])["documents"] == 120


def students(teacher_loss, losses, whole, number, pgrs, teacher=0.85):
    """Runs of one seed: the loss of each student, and how often it is right by both ways."""
    made = []
    for amount, (loss, a, b, pgr) in enumerate(zip(losses, whole, number, pgrs)):
        for way, weak in (("whole", a), ("number", b)):
            point = {"loss": loss, "weak": weak, "true": 1.0, "pgr": pgr}
            made.append({"model": way, "amount": amount, "teacher": teacher,
                         "teacher_loss": teacher_loss, "points": [point]})  # fmt: skip
    return made


def test_the_rules_of_weak_to_strong_judge_every_seed() -> None:
    study = HERE.study("teachers")
    good = students(1.5, [2.0, 1.4, 1.2], [0.7] * 3, [0.6, 0.9, 0.95], [None, 0.3, 0.6])
    bad = students(1.5, [2.0, 1.4, 1.2], [0.7] * 3, [0.9, 0.8, 0.84], [None, 0.3, 0.6])
    runs = [{**run, "seed": s} for s, rows in enumerate((good, bad)) for run in rows]
    assert study.verdicts({"runs": runs}) == {
        "surpasses": [True, False], "decides": [True, False], "rises": [True, False],
    }  # fmt: skip


def test_a_student_without_a_gap_has_no_pgr(monkeypatch) -> None:
    study = HERE.study("teachers")
    school = {"teacher": 0.8, "labels": 0.8, "weak": "weak", "true": "true", "test": "",
              "teacher loss": 1.5}  # fmt: skip
    right = {"weak": 0.85, "true": 0.9}
    monkeypatch.setattr(study, "school", lambda seed: school)
    monkeypatch.setattr(study, "reader", lambda seed, read: None)
    monkeypatch.setattr(study, "reading_loss", lambda lm, seed: 1.1)
    monkeypatch.setattr(study, "right", lambda way, lm, shown, test, lr, seed: right[shown])
    assert study.run_one("number", 60, 0, 1e-3)["points"][-1]["pgr"] == pytest.approx(0.5)
    right["true"] = 0.815
    assert study.run_one("number", 60, 0, 1e-3)["points"][-1]["pgr"] is None


@pytest.mark.parametrize("name", RECORDS)
def test_records_are_whole_and_say_how_they_were_made(name: str) -> None:
    found = HERE.recorded(name, whole=True)
    assert found.data["missing"] == [] and len(found.seeds_of(*found.cases)) >= 3
    assert found.data["command"].startswith(f"minilm study run 07d/{name}")
    for run in found.data["runs"]:
        assert run["commit"] and run["cpu_seconds"] > 0
    assert all({"lr", "losses", "at_edge"} <= set(one) for one in found.data["tuning"].values())
