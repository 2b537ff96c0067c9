"""The studies on a very small scale: they record, go on, can be repeated, and refuse clearly."""

import json
import math
import re
import shlex
import signal
import subprocess
from pathlib import Path

import numpy as np
import pytest

import minilm
from minilm import backend, cli
from minilm.course.places import Course, lesson_folder
from minilm.data.toys.sequences import LocalGrammar
from minilm.errors import InputError
from minilm.studies import driver, record, runs

HERE = Path(__file__).parent
TWO, THREE = lesson_folder("02", HERE), lesson_folder("03", HERE)
STUDIES = {f"{one.number}/{name}": one.study(name) for one in (TWO, THREE) for name in one.studies}
scaling, amounts, ushape = (STUDIES[f"02/{name}"] for name in ("scaling", "amounts", "ushape"))
walk, crossover = STUDIES["03/walk"], STUDIES["03/crossover"]


def command(module, words):
    """`minilm study run` on one of the studies."""
    (name,) = (name for name, known in STUDIES.items() if known is module)
    return cli.main(["study", "run", name, *words])


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Studies on the command line set the number of threads; put it back."""
    before = backend.threads()
    yield
    backend.set_threads(before)


def quiet(line):
    """Say nothing."""


TINY = dict(sizes=["1x16"], steps=90, tune_steps=10, batch=8, windows=16, prompts=10, say=quiet)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    out = tmp_path_factory.mktemp("study") / "study.json"
    return out, scaling.study(str(out), seeds=[0], command="make it", **TINY)


def test_a_study_records_how_it_was_made(made):
    out, data = made
    assert record.load(out) == data
    assert data["study"] == "scaling" and data["command"] == "make it"
    assert data["date"] and "cores" in data["machine"] and data["threads"] >= 1
    assert data["missing"] == []
    tuning = data["tuning"]["1x16"]
    assert len(tuning["losses"]) >= 3
    least = min(tuning["losses"].values())
    good = [float(lr) for lr, loss in tuning["losses"].items() if loss <= 1.005 * least]
    assert tuning["lr"] == min(good)


def test_points_hold_the_losses_of_all_tasks_and_they_add_up(made):
    _, data = made
    rows = record.points(data)
    assert [r["step"] for r in rows] == runs.exam_steps(90, 12)
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
    said = []
    again = scaling.study(
        str(other), seeds=[0, 1], **{**TINY, "say": said.append}, command="make more"
    )
    assert [(r["size"], r["seed"]) for r in again["runs"]] == [("1x16", 0), ("1x16", 1)]
    assert again["runs"][0]["points"] == data["runs"][0]["points"]
    assert again["runs"][1]["points"] != data["runs"][0]["points"]
    assert again["command"] == "make it && make more" and len(said) == 2
    assert again == scaling.study(str(other), seeds=[0, 1], **TINY, command="make it")
    assert scaling.study(str(other), seeds=[0], **TINY)["command"] == again["command"]
    with pytest.raises(InputError, match="made with steps = 90; for steps = 30"):
        scaling.study(str(other), **{**TINY, "steps": 30})


def test_a_run_keeps_the_commit_of_the_code_that_made_it(made, tmp_path):
    _, data = made
    assert data["runs"][0]["commit"] == record.code_state()

    def git(*words):
        who = ["-c", "user.name=a", "-c", "user.email=a@b"]
        done = subprocess.run(["git", *who, *words], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def state():
        record.code_state.cache_clear()
        return record.code_state(tmp_path)

    assert state() == f"version {minilm.__version__}"  # no clone
    git("init")
    assert state() == f"version {minilm.__version__}"  # a clone with no commit yet
    (tmp_path / "code.py").write_text("x = 1\n")
    git("add", ".")
    git("commit", "-m", "first")
    commit = git("rev-parse", "HEAD")
    assert len(commit) == 40 and state() == commit
    (tmp_path / "record.json").write_text("{}")  # the study's own file is no code
    assert state() == commit
    (tmp_path / "code.py").write_text("x = 2\n")
    assert state() == f"{commit}-dirty"
    git("checkout", "code.py")
    (tmp_path / "more.py").write_text("")
    assert state() == f"{commit}-dirty"
    inside = tmp_path / "venv"  # an installed package is not the project that holds its venv
    inside.mkdir()
    record.code_state.cache_clear()
    assert record.code_state(inside) == f"version {minilm.__version__}"


def test_half_a_run_is_not_kept(tmp_path, monkeypatch, capsys):
    out = tmp_path / "stopped.json"
    words = ["--out", str(out), "--sizes", "1x16", "--tune-steps", "10", "--steps", "20"]
    words += ["--batch", "4", "--windows", "4", "--prompts", "4"]

    def stop(exam, model):
        signal.raise_signal(signal.SIGINT)
        return {}

    monkeypatch.setattr(scaling.Exam, "sit", stop)
    assert command(scaling, words) == 130
    assert "the same command continues" in capsys.readouterr().err
    kept = record.load(out)
    assert kept["runs"] == [] and kept["missing"][0] == "1x16 seed 0" and kept["tuning"]


def test_a_command_for_more_seeds_and_sizes_replaces_the_one_for_fewer():
    head = "minilm study run 02/scaling --out FILE"
    for wide, narrow in (
        ("", " --seeds 0"),
        ("", " --sizes 1x16 2x16 --seeds 0"),
        (" --seeds 0 1", " --seeds 1"),
        (" --seeds 0 --steps 9", " --sizes 2x16 --seeds 0 --steps 9"),
    ):
        assert record.covers(head + wide, head + narrow)
        assert not record.covers(head + narrow, head + wide)
    assert not record.covers(head, head + " --seeds 0 --steps 9")
    assert record.covers(head, head)


def test_points_are_stored_as_columns_and_come_back_as_rows():
    rows = [{"step": 1, "skills": {"a": 0.5, "b": None}}, {"step": 2, "skills": {"a": 1, "b": 2}}]
    table = record.columns(rows)
    assert table == {"step": [1, 2], "skills": {"a": [0.5, 1], "b": [None, 2]}}
    assert record.rows(table) == rows


def test_the_first_seed_of_all_cases_comes_first_and_missing_runs_are_named(tmp_path):
    out = tmp_path / "some.json"
    kept = record.Record(out, "some", {}, "make")
    missing = []

    def run(size, seed, lr):
        if len(kept.data["runs"]) == 3:
            raise KeyboardInterrupt
        missing.append(list(kept.data["missing"]))
        return {"seed": seed, "lr": lr, "cpu_seconds": 1.0, "points": [{"loss": size + lr}]}

    def go():
        cases = [{"size": 1}, {"size": 2}]
        found = {"lr": 0.5, "losses": {}}
        return driver.carry_out(kept, cases, [0, 1], lambda size: found, run, str, quiet)

    with pytest.raises(KeyboardInterrupt):
        go()
    data = record.load(out)
    assert [(r["size"], r["seed"]) for r in data["runs"]] == [(1, 0), (2, 0), (1, 1)]
    assert data["missing"] == ["2 seed 1"]
    assert missing[0] == ["1 seed 0", "2 seed 0", "1 seed 1", "2 seed 1"]


def test_a_lesson_finds_its_records_from_anywhere(made, tmp_path, monkeypatch):
    out, data = made
    folder = tmp_path / "lessons" / "02_tiny"
    (folder / "data").mkdir(parents=True)
    (folder / "lesson.py").write_text("")
    (folder / "data" / "tiny.json").write_bytes(out.read_bytes())
    for place in (tmp_path, tmp_path / "lessons", folder):
        monkeypatch.chdir(place)
        assert lesson_folder("02").recorded("tiny").data == data
    with pytest.raises(InputError, match="record is 'none'; lesson 02 has: tiny"):
        lesson_folder("02").recorded("none")


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
    assert {shapes[f"{s} L7"].weights for s in ("S2", "S2m", "S3", "S3m")} == {86_016}
    out = str(tmp_path / "walk.json")
    tiny = dict(scale=0.005, batch=4, examples=8, say=quiet)
    data = walk.study(out, ["facts", "8:120"], ["S0 L3", "S4m L7"], [0], **tiny)
    assert [(r["task"], r["model"]) for r in data["runs"]] == [
        (t, m) for t in ("facts", "8:120") for m in ("S0 L3", "S4m L7")
    ]
    facts = data["runs"][0]["points"][-1]["scores"]
    assert set(facts) == {"ask", "tell", "told, then asked", "asked, then told"}
    assert all(0 <= s["accuracy"] <= 1 and s["loss"] > 0 for s in facts.values())
    assert command(walk, ["--out", out, "--tasks", "chess"]) == 2


def test_the_schedule_rises_stays_and_falls():
    share = runs.stable_then_decay(100, warmup=10)
    values = [share(s) for s in range(100)]
    assert values[:10] == pytest.approx([0.1 * (i + 1) for i in range(10)])
    assert values[10:80] == [1.0] * 70
    assert values[80] == 1.0 and values[99] == pytest.approx(0.05)
    assert all(a >= b for a, b in zip(values[80:], values[81:]))


def test_the_command_line_speaks_one_sentence(tmp_path, capsys):
    out = str(tmp_path / "x.json")
    assert command(scaling, ["--out", out, "--sizes", "9x9"]) == 2
    assert "sizes names '9x9'; allowed are 1x16" in capsys.readouterr().err
    (tmp_path / "x.json").write_text("{}")
    assert command(scaling, ["--out", out, "--windows", "4", "--prompts", "4"]) == 2
    assert "does not hold a study" in capsys.readouterr().err


@pytest.mark.parametrize("name", STUDIES)
def test_every_option_of_a_study_is_described(name, capsys):
    study = STUDIES[name]
    helps = driver.described(study.study)
    with pytest.raises(SystemExit) as end:
        command(study, ["--help"])
    shown = capsys.readouterr().out
    assert end.value.code == 0 and f"minilm study run {name}" in shown
    for option in ("out", "seeds", "batch"):
        assert f"--{option}" in shown and helps[option].split()[0] in shown


def test_words_of_the_command_line_reach_the_study_and_its_record():
    got = {}

    def study(out: str, sizes=("a", "b"), seeds=(0, 1), rate: float = 0.5, command="", say=print):
        """Do it.

        Args:
            out: where to.
            sizes, seeds: what
                of.
            rate: how fast, in %.
        """
        got.update(out=out, sizes=sizes, seeds=seeds, rate=rate, command=command)

    words = ["--out", "here.json", "--sizes", "a b", "c", "--seeds", "3"]
    assert driver.from_command_line("02/some", study, words) == 0
    assert (got["sizes"], got["seeds"], got["rate"]) == (["a b", "c"], [3], 0.5)
    assert shlex.split(got["command"])[:6] == "minilm study run 02/some --out FILE".split()
    assert shlex.split(got["command"])[6:] == words[2:]
    assert driver.described(study)["seeds"] == "what of."


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
    flat = {start / 4: 3.0, start / 2: 2.005, start: 2.0, start * 2: 2.1}
    found = runs.tune(start, lambda lr: flat[lr])
    assert found["lr"] == start / 2 and not found["at_edge"]
    found = runs.tune(start, lambda lr: flat[lr], slack=0.001)
    assert found["lr"] == start and start / 4 not in found["losses"]


def test_the_u_shape_study_measures_every_sub_skill(tmp_path):
    out = str(tmp_path / "u.json")
    tiny = dict(sizes=["1x16"], seeds=[0], steps=12, tune_steps=10, batch=8, prompts=10)
    data = ushape.study(out, corpus="carry-over", say=quiet, **tiny)
    skills = data["runs"][0]["points"][-1]["skills"]
    assert all(0 <= skills[name] <= 1 for name in ("repeat", "fix", "memory", "literal"))
    assert skills["instruction"] is None  # nothing is suppressed yet
    assert data == record.load(out)
    assert command(ushape, ["--out", out, "--corpus", "other"]) == 2


def test_the_amounts_study_tunes_once_and_reads_each_amount_once(tmp_path):
    out = str(tmp_path / "a.json")
    tiny = dict(size="1x16", amounts=[20, 10], seeds=[0], tune_steps=10, batch=4)
    data = amounts.study(out, **tiny, windows=8, prompts=4, say=quiet)
    assert list(data["tuning"]) == ["1x16"]
    points = record.points(data)
    assert [(p["amount"], p["step"], p["tokens"]) for p in points] == [
        (20, 20, 20 * 4 * 32),
        (10, 10, 10 * 4 * 32),
    ]
    assert data == record.load(out)
    with pytest.raises(InputError, match="10 steps or more"):
        amounts.study(out, amounts=[1])


def test_the_crossover_study_reports_the_checkpoint_that_validation_chose(tmp_path):
    out = str(tmp_path / "c.json")
    tiny = dict(amounts=[8], seeds=[0], steps=70, tune_steps=10, batch=4, examples=8)
    data = crossover.study(out, **tiny, say=quiet)
    assert [(r["sequences"], r["mask"]) for r in data["runs"]] == [(8, "window"), (8, "full")]
    for run in data["runs"]:
        assert run["data_tokens"] == 8 * 48
        assert run["best"]["validation"] == min(p["validation"] for p in run["points"])
    assert data["runs"][0]["parameters"] == data["runs"][1]["parameters"]
    assert data == record.load(out)
    assert command(crossover, ["--out", out, "--masks", "none"]) == 2


def test_the_crossover_reads_every_sequence_once_a_pass():
    world = LocalGrammar()
    pool = world.sample(6, crossover.LENGTH, 1000)[0]
    stream = crossover.batches(world, 6, 4, seed=0)
    rows = np.concatenate([next(stream)[0] for _ in range(3)])
    for part in (rows[:6], rows[6:]):
        assert sorted(map(tuple, part.tolist())) == sorted(map(tuple, pool[:, :-1].tolist()))


def test_the_floor_of_the_local_grammar_is_what_its_rules_say():
    world = LocalGrammar(symbols=3, far=0.1)
    ids, far = world.sample(400, crossover.LENGTH, 5)
    table, nats = world.table(), []
    for row, topics in zip(ids[:40], far[:40]):
        kept = [int(row[1]), int(row[2])]  # the tokens that the grammar looks at
        nats += [math.log(3), math.log(3)]
        for t in range(3, len(row)):
            if topics[t]:
                p = 1.0
            elif row[t] == world.symbols:
                p = world.far
            else:
                p = table[kept[-2], kept[-1], row[t]] * (1 - world.far if t >= 8 else 1)
            nats.append(-math.log(p))
            if row[t] != world.symbols:
                kept.append(int(row[t]))
    found = crossover.floor(world, ids[:40], far[:40])
    assert found["far"] == 0.0
    assert found["loss"] == pytest.approx(np.mean(nats), rel=1e-12)
    assert found["local"] * (~far[:40, 1:]).sum() == pytest.approx(sum(nats), rel=1e-12)


CASE = ("size", "amount", "task", "model", "sequences", "mask")
DATA = [p for one in Course.here(HERE).lessons for p in sorted(one.data.glob("*.json"))]


@pytest.mark.parametrize("file", DATA, ids=lambda file: file.stem)
def test_a_recorded_study_says_how_it_was_made(file):
    data = record.load(file)
    for command in data["command"].split(" && "):
        number = file.parents[1].name.split("_")[0]
        assert command.startswith(f"minilm study run {number}/{data['study']} ")
        assert "--out FILE" in command
    assert data["date"] and "cores" in data["machine"] and data["runs"]
    if any(found.get("at_edge") for found in data["tuning"].values()):
        # a rate that a wider search might better: whoever reads the study must be told
        told = lesson_folder(number, HERE).study(data["study"]).__doc__
        assert "edge of the search" in " ".join(told.split())
    kept = [tuple(str(run.get(k)) for k in (*CASE, "seed")) for run in data["runs"]]
    assert len(set(kept)) == len(kept)
    for run in data["runs"]:
        assert re.fullmatch("[0-9a-f]{40}", run.get("commit", 40 * "0"))  # none is dirty
        name = " ".join(str(run[k]) for k in CASE if k in run)
        tuned = data["tuning"].get(data["settings"].get("size", name))  # one rate for several cases
        if tuned is not None and "lr" in run:  # a stage may draw and score, and train nothing
            assert run["lr"] == tuned["lr"]
        last = run["points"][-1]
        assert last.get("step") == run.get("steps", last.get("step"))


def test_the_recorded_study_has_eight_sizes_and_decades_of_compute():
    data = record.load(lesson_folder("02", HERE).data / "scaling.json")
    sizes = {run["size"]: run["parameters"] for run in data["runs"]}
    assert set(sizes) == set(scaling.NAMES) and len(sizes) == 8
    assert min(sizes.values()) < 15_000 and max(sizes.values()) > 3e6
    seeds = [{run["seed"] for run in data["runs"] if run["size"] == size} for size in sizes]
    assert sum(len(some) >= 3 for some in seeds) >= 3
    compute = [point["compute"] for point in record.points(data) if not point["annealed"]]
    assert max(compute) / min(compute) > 10**2.5
