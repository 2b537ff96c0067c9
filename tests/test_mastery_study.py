"""The studies of mastery and of places on a very small scale, and their yardsticks by hand."""

from pathlib import Path

import numpy as np
import pytest

from minilm.course.places import lesson_folder
from minilm.data.worlds.world import TaskWorld
from minilm.errors import InputError
from minilm.studies import record

HERE = Path(__file__).parent
mastery = lesson_folder("03", HERE).study("mastery")
places = lesson_folder("02", HERE).study("places")


def quiet(line: str) -> None:
    """Say nothing."""


def test_a_longer_run_takes_the_rates_of_another_record(tmp_path: Path) -> None:
    first = record.Record(str(tmp_path / "first.json"), "mastery", {}, "")
    first.tuned("facts S2 L7", {"lr": 0.005})
    out = str(tmp_path / "longer.json")
    asked = dict(tasks=["facts"], seeds=[0], scale=0.004, batch=4, rates=str(first.path), say=quiet)
    data = mastery.study(out, models=["S2 L7"], **asked)
    (run,) = data["runs"]
    assert (run["lr"], run["steps"]) == (0.005, 2) and run["learnt"] is None
    assert data == record.load(out)
    with pytest.raises(InputError, match="'facts S3 L7'; allowed are facts S2 L7"):
        mastery.study(str(tmp_path / "other.json"), models=["S3 L7"], **asked)


def test_a_longer_run_is_tested_as_often(monkeypatch: pytest.MonkeyPatch) -> None:
    short = mastery.TASKS["30:2"]._replace(steps=20, every=10)
    monkeypatch.setitem(mastery.TASKS, "30:2", short)
    for scale, at in ((1, [10, 20]), (2, [20, 40])):
        run = mastery.run_one("30:2", "S0 L3", 0, 1e-3, scale, batch=2)
        assert [point["step"] for point in run["points"]] == at


def test_shortcuts_by_hand() -> None:
    rooms = np.array([[1, 2, 3, 4], [1, 2, 3, 4], [1, 2, 3, 4], [5, 6, 3, 8]])
    assert places.shortcuts(rooms, np.array([4, 3, 1, 3])) == {
        "all": 25.0,  # only the first story ends in its answer
        "where it fails": pytest.approx(200 / 3),  # the third room, in two of the other three
    }


def test_a_story_of_places_names_its_answer() -> None:
    probe, rooms, answers = places.asked(TaskWorld(), 40)
    assert rooms.shape == (40, 4) and (rooms == answers[:, None]).any(axis=1).all()
    assert np.isin(rooms, TaskWorld().rooms).all() and len(probe.tokens) == 40


def test_the_study_of_places_tells_both_kinds_of_question_apart(tmp_path: Path) -> None:
    out = str(tmp_path / "places.json")
    tiny = dict(sizes=["1x16"], seeds=[0], steps=12, tune_steps=10, batch=4, prompts=60)
    data = places.study(out, **tiny, say=quiet)
    right = data["runs"][0]["points"][-1]["right"]
    assert set(right) == {"all", "fails", "works"}
    works = data["settings"]["shortcuts"]["all"] / 100
    mixed = works * right["works"] + (1 - works) * right["fails"]
    assert right["all"] == pytest.approx(mixed, abs=1e-4)
    assert data == record.load(out)
    with pytest.raises(InputError, match="steps is 9"):
        places.study(out, steps=9)
