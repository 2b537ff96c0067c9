"""The rubric of a study: a good one gets 20 points, each planted fault loses what it should."""

import copy
import json

import numpy as np
import pytest
from own_studies import TINY, write
from scipy import stats

from minilm import backend, cli
from minilm.errors import InputError
from minilm.studies import forecast, pledge, record, rubric


@pytest.fixture(scope="module")
def good(tmp_path_factory) -> dict:
    """The record of a study that was done as it should be."""
    before = backend.threads()
    folder = tmp_path_factory.mktemp("rubric")
    path = write(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert cli.main(["study", "run", "tiny"]) == 0
    backend.set_threads(before)
    return record.load(path.with_suffix(".json"))


def points(data: dict) -> dict[str, int]:
    return {mark.part: mark.points for mark in rubric.grade(data)}


def why(data: dict, part: str) -> str:
    return next(mark.why for mark in rubric.grade(data) if mark.part == part)


FULL = {part: most for part, most, _ in rubric.PARTS}


def test_a_good_study_gets_every_point(good) -> None:
    assert points(good) == FULL and sum(FULL.values()) == 20


def test_not_reproduced_gets_every_point_too(good) -> None:
    data = copy.deepcopy(good)
    for run in data["runs"]:
        if run["model"] == "mine":
            run["points"][-1]["loss"] += 0.1
    data["verdict"] = forecast.judge(data)
    assert data["verdict"]["mine"]["verdict"] == forecast.FAILS
    assert points(data) == FULL


def peeking(data: dict) -> None:
    """The held-back size is run before it is forecast."""
    data["forecast"]["time"] = "2099-01-01T00:00:00.000+00:00"


def untuned_baseline(data: dict) -> None:
    """The baseline gets the rate of a paper, the idea a search."""
    for name, found in data["tuning"].items():
        if "plain" in name:
            found["losses"] = {"0.1": 3.0}


def one_seed(data: dict) -> None:
    """One run of each."""
    data["runs"] = [run for run in data["runs"] if run["seed"] == 0]
    data["verdict"]["mine"] = forecast.judge(data)["mine"] | {"verdict": forecast.WINS}


def moved_goalposts(data: dict) -> None:
    """The gain that counts is lowered after the runs."""
    change = {"fields": ["gain"], "runs": 18, "time": "2026-01-01T00:00:00.000+00:00"}
    data["changes"] = [{**change, "hash": "x"}]


def late_promise(data: dict) -> None:
    """The promise is written when all is known."""
    told = data["pledge"]
    told["time"] = "2099-01-01T00:00:00.000+00:00"
    told["seal"] = pledge.seal(told["hash"], told["time"], told["commit"])
    for run in data["runs"]:
        run["pledge"] = told["seal"]


def edited_promise(data: dict) -> None:
    """The falsifier in the record is written anew, its hash is not."""
    data["pledge"]["fields"]["falsifier"] = "anything else"


def more_compute(data: dict) -> None:
    """The idea trains half as long again."""
    for run in data["runs"]:
        run["flops"] *= 1.5 if run["model"] == "mine" else 1.0


def boast(data: dict) -> None:
    """A gain that is not there is called a win."""
    for run in data["runs"]:
        if run["model"] == "mine":
            run["points"][-1]["loss"] += 0.1
    data["verdict"]["mine"] = forecast.judge(data)["mine"] | {"verdict": forecast.WINS}


def at_the_edge(data: dict) -> None:
    """The baseline's best rate is the largest that was tried."""
    data["tuning"]["1 plain"]["at_edge"] = True


def no_forecast(data: dict) -> None:
    """Nothing was held back."""
    del data["forecast"]


FAULTS = {
    peeking: ({"held-back size"}, "peeking"),
    untuned_baseline: ({"tuned baseline"}, "tried 1 rate;"),
    one_seed: ({"three seeds", "honest verdict"}, "has 1 seed;"),
    moved_goalposts: ({"falsifier before the run"}, "the goalposts moved: gain"),
    late_promise: ({"falsifier before the run"}, "the first run began at"),
    edited_promise: ({"falsifier before the run"}, "was edited after it was sealed"),
    more_compute: ({"equal compute"}, "took 50% more FLOPs"),
    boast: ({"honest verdict"}, "the promised rule gives 'not reproduced'"),
    at_the_edge: ({"tuned baseline"}, "at the edge of its search"),
    no_forecast: ({"held-back size"}, "no size was held back"),
}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_a_planted_fault_loses_its_points_and_is_named(fault, good) -> None:
    data = copy.deepcopy(good)
    fault(data)
    lost, said = FAULTS[fault]
    assert points(data) == {part: 0 if part in lost else most for part, most in FULL.items()}
    assert any(said in why(data, part) for part in lost)


def test_a_study_without_a_promise_keeps_what_it_did_right(good) -> None:
    data = copy.deepcopy(good)
    for name in ("pledge", "forecast", "verdict"):
        del data[name]
    marks = points(data)
    assert marks["three seeds"] == 3 and marks["equal compute"] == 3
    assert sum(marks.values()) == 6
    with pytest.raises(InputError, match="holds no runs"):
        rubric.grade({**data, "runs": []})


def test_the_command_grades_a_folder(good, tmp_path, capsys) -> None:
    one = record.Record(tmp_path / "a.json", "tiny", {}, "make")
    one.data |= copy.deepcopy(good)
    one.save()
    bad = copy.deepcopy(good)
    moved_goalposts(bad)
    two = record.Record(tmp_path / "b.json", "tiny", {}, "make")
    two.data |= bad
    two.save()
    assert cli.main(["study", "grade", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "a.json: 20 of 20 points" in said and "b.json: 16 of 20 points" in said
    assert "0/4 falsifier before the run: the goalposts moved" in said
    assert cli.main(["study", "grade", str(tmp_path / "none.json")]) == 2
    (tmp_path / "c.json").write_text("[]")
    assert cli.main(["study", "grade", str(tmp_path / "c.json")]) == 2
    assert "does not hold a study" in capsys.readouterr().err
    (tmp_path / "empty").mkdir()
    assert cli.main(["study", "grade", str(tmp_path / "empty")]) == 2


def test_the_verdict_is_student_s_t_on_the_paired_gains(good) -> None:
    found = forecast.judge(good)["mine"]
    gains = forecast.gains_at(good, 4, "mine", [0, 1, 2])
    assert found["gains"] == gains
    low, high = stats.t.interval(0.95, 2, gains and sum(gains) / 3, stats.sem(gains))
    assert found["interval"][0] == pytest.approx(low) and found["interval"][2] == pytest.approx(
        high
    )
    assert forecast.verdict_of(0.1, [0.01, 0.1, 0.2], 0.05) == forecast.WINS
    assert forecast.verdict_of(0.1, [0.01, 0.1, 0.2], 0.11) == forecast.PARTLY
    assert forecast.verdict_of(0.1, [0.0, 0.1, 0.2], 0.05) == forecast.FAILS
    assert forecast.verdict_of(0.1, None, 0.05) == forecast.FAILS


def test_two_ideas_need_wider_intervals_than_one(good) -> None:
    data = copy.deepcopy(good)
    twin = [{**copy.deepcopy(r), "model": "twin"} for r in data["runs"] if r["model"] == "mine"]
    data["runs"] += twin
    data["pledge"]["fields"]["models"] = ["plain", "mine", "twin"]
    both, one = forecast.judge(data), forecast.judge(good)["mine"]["interval"]
    for name in ("mine", "twin"):
        low, mean, high = both[name]["interval"]
        assert mean == pytest.approx(one[1])
        ratio = stats.t.ppf(0.9875, 2) / stats.t.ppf(0.975, 2)  # Bonferroni: 97.5 % for each
        assert (high - low) / (one[2] - one[0]) == pytest.approx(ratio)


def test_the_forecast_reads_the_line_and_sees_no_held_back_run(good) -> None:
    data = copy.deepcopy(good)
    told = forecast.foresee(data)
    for run in data["runs"]:
        if run["size"] == 4:
            run["points"][-1]["loss"] = 99.0
    assert forecast.foresee(data) == told
    middle = told["models"]["plain"]["middle"]
    assert middle == pytest.approx(3 * 4**-0.1, abs=0.02)
    assert told["gains"]["mine"] == pytest.approx(0.1, abs=0.02)
    few = {**data, "runs": [run for run in data["runs"] if run["size"] == 4]}
    with pytest.raises(InputError, match="a forecast needs 4"):
        forecast.foresee(few)


def test_a_new_run_lies_in_its_interval_nine_times_of_ten() -> None:
    rng, inside = np.random.default_rng(0), 0
    flops = np.repeat([1e6, 2e6, 4e6], 3)
    for _ in range(2000):
        losses, new = np.exp(1 - 0.1 * np.log(np.append(flops, 8e6)) + rng.normal(0, 0.02, 10)), 9
        low, _, high = forecast.new_run(flops, losses[:new], 8e6)
        inside += low <= losses[new] <= high
    assert abs(inside / 2000 - 0.9) < 4 * (0.09 / 2000) ** 0.5  # four standard errors


def test_the_record_is_json(good) -> None:
    assert json.loads(json.dumps(good)) == good
    assert "GAIN = 0.05" in TINY
