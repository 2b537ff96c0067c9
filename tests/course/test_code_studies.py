"""What the study of lesson 09 and its exams rest on: half a corpus is copies, exams are apart."""

from pathlib import Path

import numpy as np
import pytest

from minilm.course.places import lesson_folder
from minilm.data.clean.near_duplicates import dedup

HERE = lesson_folder("09", Path(__file__))
E = HERE.module("experiments")
library = HERE.study("library")


def test_pieces_of_a_file_are_the_file() -> None:
    text = "".join(f"line {i}\n" * (i % 7 + 1) for i in range(200)) + "no end"
    parts = E.pieces(text, 300)
    assert "".join(parts) == text and len(parts) > 5
    assert all(part.endswith("\n") for part in parts[:-1]) and max(map(len, parts)) <= 300
    assert E.pieces("x" * 50, 10) == ["x" * 50]  # a line is never cut


def test_a_copy_differs_in_about_as_many_lines_as_asked() -> None:
    text = "".join(f"a{i} b{i} c{i}\n" for i in range(4000))
    rng = np.random.default_rng(0)
    assert library.edited(text, 0.0, rng) == text
    same = set(text.splitlines()) & set(library.edited(text, 0.3, rng).splitlines())
    assert 0.7 < len(same) / 4000 < 0.83  # a doubled line is still there


def test_half_of_the_corpus_is_copies_and_deduplication_finds_most(monkeypatch) -> None:
    monkeypatch.setattr(library, "UNIQUE", 12_000)
    raw, popular = library.with_copies(3)
    unique = E.pool(3, 12_000, library.SHORT)
    share = sum(map(len, raw[len(unique) :])) / sum(map(len, raw))
    assert 0.48 < share < 0.56 and popular == unique[: len(popular)]
    left = dedup(raw)
    assert len(unique) * 0.9 <= len(left) < len(raw) * 0.85


def test_no_problem_is_in_two_exams() -> None:
    found = E.exam(1)
    keys = [{one.key for one in group} for group in found]
    assert not keys[0] & keys[1] and not keys[0] & keys[2] and not keys[1] & keys[2]
    assert [len(group) for group in keys] == [E.KATAS, E.PROBLEMS, E.PROBLEMS]
    read = E.with_a_leak(1)
    assert all(read.count(one.text) == E.LEAK for one in found.published)
    assert not {one.text for one in found.later} & set(read)


@pytest.mark.parametrize("name", ["library", "infill"])
def test_records_are_whole_and_say_how_they_were_made(name: str) -> None:
    record, models = HERE.recorded(name, whole=True), HERE.study(name).MODELS
    assert record.data["missing"] == [] and set(record.cases) == set(models)
    assert all(record.seeds_of(case) == [0, 1, 2] for case in models)
    assert all(len(run["commit"]) == 40 for run in record.data["runs"])
    assert not any(found["at_edge"] for found in record.data["tuning"].values())


def test_the_exams_have_been_sat_by_every_seed() -> None:
    record, exams = HERE.recorded("exams", whole=True), HERE.study("exams")
    assert record.data["missing"] == [] and set(record.cases) == set(exams.TASKS)
    assert all(record.seeds_of(task) == list(exams.TASKS[task]) for task in record.cases)
    assert all(len(run["commit"]) == 40 for run in record.data["runs"])


def test_a_small_exam_counts_what_passes(tmp_path, monkeypatch) -> None:
    exams = HERE.study("exams")
    monkeypatch.setattr(exams, "TEMPERATURES", (0.5,))
    monkeypatch.setattr(E, "PROBLEMS", 2)
    monkeypatch.setattr(E, "SAMPLES", 2)
    E.exam.cache_clear()
    out = str(tmp_path / "exams.json")
    data = exams.study(out, ("tries", "leak 0"), (0,), steps=2, tries=3, say=lambda line: None)
    E.exam.cache_clear()
    by_name = {run["task"]: run["points"] for run in data["runs"]}
    assert [len(by_name["tries"][0]["right"]), len(by_name["leak 0"][0]["later"])] == [2, 2]
    assert (
        exams.study(out, ("tries",), (0,), 2, 3, say=print) == data
    )  # it goes on: nothing is left
