"""The scaling study on a very small scale: it records, goes on, and can be repeated."""

import json
import math

import numpy as np
import pytest

from minilm.analysis.studies import record, runs, scaling, ushape, walk
from minilm.errors import InputError

TINY = dict(
    sizes=["1x16"], steps=90, tune_steps=10, batch=8, windows=16, prompts=10, say=lambda line: None
)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    out = tmp_path_factory.mktemp("study") / "study.json"
    return out, scaling.study(str(out), seeds=[0], command="make it", **TINY)


def test_a_study_records_how_it_was_made(made):
    out, data = made
    assert json.loads(out.read_text()) == data == record.load(out)
    assert data["study"] == "scaling" and data["command"] == "make it"
    assert data["date"] and "cores" in data["machine"] and data["threads"] >= 1
    tuning = data["tuning"]["1x16"]
    assert len(tuning["losses"]) >= 3
    assert str(tuning["lr"]) == min(tuning["losses"], key=tuning["losses"].get)


def test_points_hold_the_losses_of_all_tasks_and_they_add_up(made):
    _, data = made
    rows = record.points(data)
    assert [r["step"] for r in rows] == runs.exam_steps(90)
    weights = data["settings"]["weights"]
    assert sum(weights.values()) == pytest.approx(1, abs=1e-5)
    for row in rows:
        assert row["identity_error"] < 1e-12
        total = sum(weights[k] * row["losses"][k] for k in weights)
        assert total == pytest.approx(row["loss"], abs=1e-4)
        assert row["compute"] == pytest.approx(
            6 * row["parameters"] * row["step"] * 8 * 32, rel=1e-5
        )
        assert set(row["probes"]["arithmetic"]) >= {"exact_match", "brier", "cross_entropy"}
    assert rows[-1]["loss"] < rows[0]["loss"] and not rows[0]["annealed"]
    assert rows[-1]["annealed"]


def test_a_study_goes_on_and_repeats_itself(made, tmp_path):
    out, data = made
    other = tmp_path / "cut.json"
    cut = {**json.loads(out.read_text()), "runs": []}
    other.write_text(json.dumps(cut))
    again = scaling.study(str(other), seeds=[0, 1], **TINY)
    assert [(r["size"], r["seed"]) for r in again["runs"]] == [("1x16", 0), ("1x16", 1)]
    assert again["runs"][0]["points"] == data["runs"][0]["points"]
    assert again["runs"][1]["points"] != data["runs"][0]["points"]
    with pytest.raises(InputError, match="steps = 90, not 30"):
        scaling.study(str(other), **{**TINY, "steps": 30})


def test_aligned_windows_begin_at_multiples():
    made = list(runs.aligned(np.arange(33), batch=2, context=8))
    assert len(made) == 2
    ids, targets = made[1]
    assert ids.tolist() == [list(range(16, 24)), list(range(24, 32))]
    assert (targets == ids + 1).all()


def test_the_walk_study_matches_parameters_and_flops(tmp_path):
    shapes = {name: walk.cost(name, 12, 12) for name in walk.MODELS}
    assert shapes["S0 L3"].weights == shapes["S4m L7"].weights == 86_016
    assert shapes["S0 L6"].flops == shapes["S4m L7"].flops == shapes["S3m L7"].flops
    assert shapes["S0 L6"].weights == 2 * shapes["S4m L7"].weights
    assert [shapes[f"{s} L3"].weights for s in ("S1", "S2", "S3m")] == [73_728, 36_864, 36_864]
    out = str(tmp_path / "walk.json")
    tiny = dict(scale=0.005, batch=4, examples=8, say=lambda line: None)
    data = walk.study(out, ["facts", "8:120"], ["S0 L3", "S4m L7"], [0], **tiny)
    assert [(r["task"], r["model"]) for r in data["runs"]] == [
        (t, m) for t in ("facts", "8:120") for m in ("S0 L3", "S4m L7")
    ]
    facts = data["runs"][0]["points"][-1]["scores"]
    assert set(facts) == {"ask", "tell", "told, then asked", "asked, then told"}
    assert all(0 <= s["accuracy"] <= 1 and s["loss"] > 0 for s in facts.values())
    assert walk.main(["--out", out, "--tasks", "chess"]) == 2


def test_the_schedule_rises_stays_and_falls():
    share = runs.stable_then_decay(100, warmup=10)
    values = [share(s) for s in range(100)]
    assert values[:10] == pytest.approx([0.1 * (i + 1) for i in range(10)])
    assert values[10:80] == [1.0] * 70
    assert values[80] == 1.0 and values[99] == pytest.approx(0.05)
    assert all(a >= b for a, b in zip(values[80:], values[81:]))


def test_the_command_line_speaks_one_sentence(tmp_path, capsys):
    out = str(tmp_path / "x.json")
    assert scaling.main(["--out", out, "--sizes", "9x9"]) == 2
    assert "'9x9'" in capsys.readouterr().err
    (tmp_path / "x.json").write_text("{}")
    assert scaling.main(["--out", out, "--windows", "4", "--prompts", "4"]) == 2
    assert "holds no study" in capsys.readouterr().err


def test_tuning_grows_its_grid_to_an_inner_minimum():
    start = runs.SIZES["2x64"].lr
    for best in (start, start * 8, start / 8):
        found = runs.tune(start, lambda lr, best=best: math.log(lr / best) ** 2)
        assert found["lr"] == pytest.approx(best, rel=0.01) and not found["at_edge"]

    def raises(lr):
        if lr > start:
            raise runs.Diverged("too high")
        return -lr

    found = runs.tune(start, raises)
    assert found["lr"] == start and not found["at_edge"]


def test_the_u_shape_study_measures_every_sub_skill(tmp_path):
    out = str(tmp_path / "u.json")
    tiny = dict(sizes=["1x16"], seeds=[0], steps=12, tune_steps=10, batch=8, prompts=10)
    data = ushape.study(out, corpus="carry-over", say=lambda line: None, **tiny)
    skills = data["runs"][0]["points"][-1]["skills"]
    assert all(0 <= skills[name] <= 1 for name in ("repeat", "fix", "memory", "literal"))
    assert skills["instruction"] is None  # nothing is suppressed yet
    assert ushape.main(["--out", out, "--corpus", "other"]) == 2
