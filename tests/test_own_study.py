"""A study of one's own: written, run by one process and many, killed, refused."""

import json
import random
import re
import shutil
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from own_studies import TINY, lines, losses, start, write

from minilm import backend, cli
from minilm.errors import InputError
from minilm.studies import pledge, record, team
from minilm.studies.plan import code_of, read_plan

RUNS = 2 * 3 * 3


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """Studies lie below the working directory; threads are put back."""
    before = backend.threads()
    for name in ("PMI_SIZE", "PMI_RANK", "OMPI_COMM_WORLD_SIZE", team.WORKER):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    yield
    backend.set_threads(before)


def study(*words: str) -> int:
    return cli.main(["study", *words])


def test_a_new_study_can_be_read_and_is_not_overwritten(tmp_path, capsys) -> None:
    assert study("new", "mine") == 0
    assert "minilm study run mine" in capsys.readouterr().out
    plan = read_plan(tmp_path / "studies" / "mine.py")
    assert plan.name == "mine" and plan.baseline in plan.models and plan.held_back == 48
    assert "mine: " in plan.about
    assert study("new", "mine") == 2
    assert "exists" in capsys.readouterr().err
    assert study("new", "a/b") == 2
    assert "NAME is 'a/b'" in capsys.readouterr().err


def test_a_run_promises_forecasts_and_judges_in_this_order(tmp_path, capsys) -> None:
    path = write(tmp_path)
    assert study("run", "tiny") == 0
    said = capsys.readouterr().out
    assert (
        said.index("4 plain seed") > said.index("forecast for size 4") > said.index("2 mine seed")
    )
    assert re.search(r"mine: reproduced, gain 0.(09|10)", said)
    data = record.load(path.with_suffix(".json"))
    assert len(data["runs"]) == RUNS and data["missing"] == []
    told = data["pledge"]
    assert told["hash"] == pledge.digest(told["fields"])
    assert told["seal"] == pledge.seal(told["hash"], told["time"], told["commit"])
    assert told["fields"]["falsifier"].startswith("the gain at the held-back size")
    assert told["time"] <= min(run["began"] for run in data["runs"])
    large = [run for run in data["runs"] if run["size"] == 4]
    assert data["forecast"]["time"] <= min(run["began"] for run in large)
    assert {run["pledge"] for run in data["runs"]} == {told["seal"]}
    for found in data["forecast"]["models"].values():
        assert found["exponent"] == pytest.approx(0.1, abs=0.01)
    assert all(len(found["losses"]) >= 3 for found in data["tuning"].values())
    assert data["command"] == "minilm study run tiny"


def test_more_seeds_join_and_the_verdict_keeps_to_those_that_were_promised(tmp_path) -> None:
    path = write(tmp_path).with_suffix(".json")
    assert study("run", "tiny") == 0
    before = record.load(path)["verdict"]
    assert study("run", "tiny", "--seeds", "3", "4") == 0
    data = record.load(path)
    assert {run["seed"] for run in data["runs"]} == {0, 1, 2, 3, 4}
    assert data["verdict"] == before and before["mine"]["seeds"] == [0, 1, 2]
    assert "changes" not in data


def test_a_promise_that_changes_after_the_first_run_is_kept_and_said(tmp_path, capsys) -> None:
    path = write(tmp_path)
    assert study("run", "tiny") == 0
    capsys.readouterr()
    write(tmp_path, TINY.replace("GAIN = 0.05", "GAIN = 0.01"))
    assert study("run", "tiny") == 0
    assert f"gain changed after {RUNS} runs" in capsys.readouterr().out
    data = record.load(path.with_suffix(".json"))
    assert data["pledge"]["fields"]["gain"] == 0.05
    assert [(c["fields"], c["runs"]) for c in data["changes"]] == [(["gain"], RUNS)]
    assert study("run", "tiny") == 0  # said once
    assert len(record.load(path.with_suffix(".json"))["changes"]) == 1


def test_before_the_first_run_a_promise_may_change(tmp_path) -> None:
    kept = record.Record(tmp_path / "x.json", "x", {}, "make")
    said: list[str] = []
    pledge.pledge(kept, {"gain": 1}, said.append)
    pledge.pledge(kept, {"gain": 2}, said.append)
    assert kept.data["pledge"]["fields"] == {"gain": 2} and said == []


def test_comments_are_no_code_but_numbers_are() -> None:
    base = "# one\nHYPOTHESIS = 'a'\n\n\ndef f(x):\n    'doc'\n    return 2 * x\n"
    same = "HYPOTHESIS = 'b'\n\ndef f(x):\n    return 2 * x  # doubled\n"
    assert code_of(base) == code_of(same) != code_of(same.replace("2", "3"))


def processes_give_the_same(folder: Path, process, alone: Path) -> None:
    said, _ = process.communicate(timeout=200)
    assert process.returncode == 0, said
    found = folder / "studies" / "tiny.json"
    assert losses(found) == losses(alone)
    assert len(losses(found)) == RUNS
    ours, one = (json.loads(path.read_text()) for path in (found, alone))
    assert {k: v["lr"] for k, v in ours["tuning"].items()} == {
        k: v["lr"] for k, v in one["tuning"].items()
    }
    assert ours["verdict"] == one["verdict"] and ours["missing"] == []
    assert ours["command"] == one["command"]
    assert {run["pledge"] for run in ours["runs"]} == {ours["pledge"]["seal"]}
    large = min(run["began"] for run in ours["runs"] if run["size"] == 4)
    assert ours["pledge"]["time"] <= min(run["began"] for run in ours["runs"])
    assert ours["forecast"]["time"] <= large
    assert not (folder / "studies" / "tiny.json.pieces").exists()


@pytest.fixture
def alone(tmp_path) -> Path:
    """The record of one process."""
    write(tmp_path / "alone")
    process = start(tmp_path / "alone")
    said, _ = process.communicate(timeout=200)
    assert process.returncode == 0, said
    return tmp_path / "alone" / "studies" / "tiny.json"


def test_three_processes_share_the_runs(tmp_path, alone) -> None:
    write(tmp_path)
    log = tmp_path / "log"
    process = start(tmp_path, "--jobs", "3", STUDY_NAP="0.05", STUDY_LOG=str(log))
    processes_give_the_same(tmp_path, process, alone)
    assert len(lines(log)) == len(set(lines(log))) == RUNS  # none was made twice


def mpiexec() -> str | None:
    try:
        import mpi4py.MPI  # noqa: F401
    except (ImportError, RuntimeError):
        return None
    beside = shutil.which("mpiexec", path=str(Path(sys.executable).parent))
    return beside or shutil.which("mpiexec")


@pytest.mark.skipif(sys.platform == "win32" or mpiexec() is None, reason="no MPI here")
def test_the_ranks_of_an_mpi_job_share_the_runs(tmp_path, alone) -> None:
    write(tmp_path)
    log = tmp_path / "log"
    before = (mpiexec(), "-n", "2")
    process = start(tmp_path, before=before, STUDY_NAP="0.05", STUDY_LOG=str(log))
    processes_give_the_same(tmp_path, process, alone)
    ranks = [line.split()[-1] for line in lines(log)]
    assert len(ranks) == RUNS and set(ranks) == {"0", "1"}


@pytest.mark.skipif(sys.platform == "win32", reason="Windows knows no SIGKILL")
def test_killed_at_ten_random_moments_it_loses_no_finished_run(tmp_path) -> None:
    write(tmp_path, TINY.replace("[0, 1, 2]", "[0, 1, 2, 3, 4, 5]"))
    log, found = tmp_path / "log", tmp_path / "studies" / "tiny.json"
    rng, finished = random.Random(0), {}  # run -> how often it had begun when it was finished
    for kill in range(10):
        jobs = str(1 + kill % 2)
        process = start(tmp_path, "--jobs", jobs, STUDY_NAP="0.04", STUDY_LOG=str(log))
        said = [process.stdout.readline()] if kill % 3 else []  # it has finished a run
        time.sleep(rng.uniform(0, 0.15) if said else rng.uniform(0.3, 1.5))
        process.kill()
        said += process.communicate(timeout=60)[0].splitlines()  # after the worker's end, too
        begun = Counter(line.rsplit(" rank", 1)[0] for line in lines(log))
        for line in said:
            name = re.match(r"(\d \w+ seed \d) lr", line)
            if name and name[1] not in finished:
                finished[name[1]] = begun[name[1]]
        assert {name: begun[name] for name in finished} == finished  # none began again
        assert set(finished) <= (set(losses(found)) if found.exists() else set())
    assert len(finished) > 5
    process = start(tmp_path, STUDY_LOG=str(log))
    said, _ = process.communicate(timeout=100)
    assert process.returncode == 0, said
    begun = Counter(line.rsplit(" rank", 1)[0] for line in lines(log))
    assert {name: begun[name] for name in finished} == finished
    assert len(losses(found)) == 2 * RUNS


def test_a_piece_of_a_killed_process_is_found_and_another_study_s_is_not(tmp_path) -> None:
    many = team.Team(0, 2)
    shelf = team.Shelf(tmp_path / "x.json", "version 1", many)
    with shelf.claim("a run") as mine, shelf.claim("a run") as again:
        assert mine and not again
    shelf.put("a run", {"loss": 1.0})
    assert team.Shelf(tmp_path / "x.json", "version 1", team.Team()).get("a run") == {"loss": 1.0}
    assert team.Shelf(tmp_path / "x.json", "version 2", many).get("a run") is None
    shelf.empty()
    with shelf.claim("a run") as mine:
        assert not mine


BAD = {
    "no FALSIFIER": (TINY.replace("FALSIFIER =", "OTHER ="), "has no FALSIFIER"),
    "empty": (TINY.replace('"mine is better than plain"', '" "'), "HYPOTHESIS is ' '"),
    "baseline": (TINY.replace('BASELINE = "plain"', 'BASELINE = "old"'), "BASELINE is 'old'"),
    "one model": (TINY.replace('["plain", "mine"]', '["plain"]'), r"GRID\['model'\] is"),
    "two sizes": (
        TINY.replace("[1, 2, 4]", "[1, 2]"),
        r"GRID\['size'\] .*the last of which is held",
    ),
    "sizes fall": (TINY.replace("[1, 2, 4]", "[1, 4, 2]"), "sizes must grow"),
    "no grid": (TINY.replace('"size": [1', '"sizes": [1'), "GRID is"),
    "seeds": (TINY.replace("[0, 1, 2]", "[0, 0]"), "SEEDS is"),
    "tuning seed": (TINY.replace("[0, 1, 2]", "[0, 77]"), "SEEDS holds 77"),
    "budget": (TINY.replace("[1e6, 2e6, 4e6]", "[1e6, 2e6]"), "BUDGET is"),
    "budget falls": (TINY.replace("[1e6, 2e6, 4e6]", "[1e6, 2e6, 1e6]"), "FLOPs must be above 0"),
    "gain": (TINY.replace("GAIN = 0.05", "GAIN = 0"), "GAIN is 0"),
    "rate": (TINY.replace("LR = 0.1", "LR = -1"), "LR is -1"),
    "no function": (TINY.replace("def train", "def other"), r"has no config\(model, size\)"),
    "not Python": ("HYPOTHESIS = (", r"is not Python: line 1"),
    "raises": ("import math\nx = 1 / 0\n", r"line 2: ZeroDivisionError"),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_file_gets_one_sentence(kind: str, tmp_path, capsys) -> None:
    text, said = BAD[kind]
    write(tmp_path, text)
    assert study("run", "tiny") == 2
    error = capsys.readouterr().err
    assert re.search(said, error), error
    assert "tiny.py" in error and "Traceback" not in error and error.count("\n") == 1
    assert not (tmp_path / "studies" / "tiny.json").exists()


def test_what_is_typed_wrong_gets_one_sentence(tmp_path, capsys) -> None:
    write(tmp_path, TINY.replace('"flops": flops}', '"steps": 3}'))
    assert study("run", "tiny") == 2
    assert "train returned {'loss'" in capsys.readouterr().err
    assert study("run", "none") == 2
    assert "none.py' cannot be read" in capsys.readouterr().err
    assert study("run", "tiny", "--jobs", "0") == 2
    assert "--jobs is 0" in capsys.readouterr().err
    with pytest.raises(InputError, match=r"is missing|cannot be read"):
        read_plan(tmp_path / "nowhere.py")


def test_a_plan_with_a_config_trains_within_its_budget(tmp_path) -> None:
    text = "\n".join(
        [
            '"""small: a real one."""',
            "from minilm.models import Config",
            'HYPOTHESIS, FALSIFIER = "a", "b"',
            'BASELINE, GAIN = "gelu", 0.1',
            'GRID = {"model": ["gelu", "relu"], "size": [4, 8, 16]}',
            "SEEDS, BUDGET = [0], [1e8, 2e8, 4e8]",
            "BATCH, CONTEXT = 4, 16",
            "def config(model, size):",
            "    return Config(256, 16, 1, 1, size, activation=model)",
        ]
    )
    plan = read_plan(write(tmp_path, text))
    from minilm.studies.carrying import Bench

    made = Bench(plan).train("relu", 8, 0, 1e-2, 2e8)
    assert made["flops"] == pytest.approx(2e8, rel=0.02)
    assert made["flops"] == made["steps"] * Bench(plan).step_flops("relu", 8)
    assert made["points"][-1]["step"] == made["steps"]
    assert 1.5 < made["points"][-1]["loss"] < made["points"][0]["loss"] < 5.6  # ln 256 = 5.55
    with pytest.raises(InputError, match="BUDGET gives relu at size 8"):
        Bench(plan).train("relu", 8, 0, 1e-2, 1e3)
