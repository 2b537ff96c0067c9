"""minilm bench: what a row says, what the JSON holds, that both sides do the same work."""

import importlib
import json
import math
import os
import subprocess
import sys

import numpy as np
import pytest

from minilm import backend, cli
from minilm.backend import IGNORE
from minilm.bench import (
    align,
    align_twins,
    apart,
    decode,
    machine,
    peers,
    race,
    report,
    rows,
    scaling,
    timing,
    tokenizer,
    training,
)
from minilm.commands import bench
from minilm.errors import InputError
from minilm.models import Transformer

FIELDS = "name unit ours peer peer_name ratio spread goal met".split()


@pytest.fixture(autouse=True)
def no_torch(monkeypatch):
    """These tests run the same with and without PyTorch; the oracle tests need it."""
    for name in ("training", "kernels", "experts", "decode", "align", "peers"):
        module = importlib.import_module(f"minilm.bench.{name}")
        monkeypatch.setattr(module, "find_torch", lambda: None)
    before = backend.threads()
    yield
    backend.set_threads(before)


def test_a_race_of_two_functions_counts_their_calls():
    calls = {"ours": 0, "peer": 0}

    def ours():
        calls["ours"] += 1

    def peer():
        calls["peer"] += 1

    row = timing.timed_row("n", "us", ours, peer, "other", 2.0, rounds=5, work=10, least=1e-4)
    assert calls["ours"] == calls["peer"] > 5
    assert row.met == (row.ratio >= 2.0)
    assert row.spread[0] <= row.ratio <= row.spread[1]


def test_the_ratio_is_taken_round_by_round(monkeypatch):
    clock = iter(np.array([1, 3, 6, 2, 4, 12], float))  # rounds: 1 and 3, 2 and 6, 4 and 12
    monkeypatch.setattr(rows, "seconds", lambda function: next(clock))
    outcome = rows.alternate(lambda: None, lambda: None, rounds=3)
    assert (outcome.ours, outcome.peer, outcome.ratio) == (2, 6, 3)


def test_a_limit_is_met_below_it():
    row = timing.limit_row("start", "s", [1.0, 4.0, 2.0], 3.0)
    assert (row.ours, row.peer, row.ratio, row.goal, row.met) == (2.0, 3.0, 1.5, 1.0, True)
    assert row.spread == (0.75, 3.0)
    assert timing.limit_row("start", "s", [4.0, 2.0], 2.5).met is False


def test_calls_fill_a_round_but_a_slow_peer_shortens_it():
    import time

    count = timing.calls_per_round(lambda: time.sleep(0.001), lambda: None, least=0.01)
    assert 1 <= count <= 10
    assert timing.calls_per_round(lambda: None, lambda: time.sleep(0.01), least=0.001) == 1


@pytest.mark.parametrize("name", ["training", "kernels"])
def test_without_torch_ours_is_measured_alone_and_every_comparison_says_so(name, monkeypatch):
    module = importlib.import_module(f"minilm.bench.{name}")
    if name == "kernels":
        monkeypatch.setattr(module, "CHAIN", 2)
        monkeypatch.setattr(module, "attention_memory_row", lambda *_: _a_row())
    else:
        small = {name: module.SIZES[name] for name in ("nano", "micro")}
        monkeypatch.setattr(module, "SIZES", small)
    found = list(module.run(quick=True))
    missing = [row for row in found if row.ratio is None]
    assert len(missing) >= 7
    assert all(row.met is None and row.peer is None and row.goal for row in missing)
    assert all(row.ours > 0 for row in missing if "mean" not in row.name)
    assert "not installed" in rows.table(found)


def test_decoding_without_torch(monkeypatch):
    sizes = {"vocab_size": 32, "context": 16, "layers": 1, "heads": 2, "channels": 16}
    monkeypatch.setattr(decode, "SIZES", {"small": sizes})
    found = list(decode.run(quick=True))
    assert [row.peer for row in found].count(None) == 5 and all(row.ours > 0 for row in found)


def test_the_tokenizer_without_peers(monkeypatch):
    source_text = tokenizer.source_text
    for name in ("tiktoken", "tokenizers"):
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setattr(tokenizer, "VOCABULARY", 1024)
    monkeypatch.setattr(tokenizer, "source_text", lambda _: source_text(0.2))
    monkeypatch.setattr(tokenizer, "hostile_texts", lambda: {"words": "ab cd " * 500})
    found = list(tokenizer.run(quick=True))
    alone = [row for row in found if row.peer is None]
    assert [row.peer_name for row in alone] == ["tokenizers", *["tiktoken"] * 5]
    assert all(row.ours > 0 and row.met is None for row in alone) and len(found) == 7


def test_geometric_mean():
    measured = [rows.Row("a", "ms", 1, r, "t", r, (r, r), 1.2, True) for r in (1.5, 6.0)]
    row = training.mean_row(measured)
    assert math.isclose(row.ratio, 3.0) and row.ours is row.peer is None
    assert row.spread == (1.5, 6.0)
    assert row.met is True


@pytest.mark.parametrize(("asked", "goal"), [("Haswell", 1.3), ("SKYLAKEX", 2.0), (None, 2.0)])
def test_blas_held_back_lowers_the_goal(monkeypatch, asked, goal):
    monkeypatch.delenv("OPENBLAS_CORETYPE", raising=False)
    if asked:
        monkeypatch.setenv("OPENBLAS_CORETYPE", asked)
    assert training.mean_row([_a_row()]).goal == goal


def test_a_step_is_one_of_the_training_loop():
    size = training.SIZES["nano"]
    from minilm.models import Transformer

    backend.set_threads(1)
    step = training.our_step(Transformer(size.config()), *size.data())
    losses = [step() for _ in range(30)]
    assert losses[0] == pytest.approx(math.log(size.vocab_size), rel=0.02)
    assert losses[-1] < losses[0] - 0.3


def test_the_products_are_those_of_the_model():
    from minilm.models import Transformer

    for size in training.SIZES.values():
        model = Transformer(size.config(), allocate=False)
        maps = [p.shape for n, p in model.named_parameters() if p.ndim == 2 and "s.weight" not in n]
        rows_ = size.batch * size.context
        assert sorted(training.products(size)) == sorted((rows_, i, o) for o, i in maps)


def test_peak_memory_counts_what_was_allocated():
    code = (
        "import numpy as np; from minilm.bench.training import peak_memory as peak; "
        "before = peak(); held = np.ones(60_000_000, np.float32); print(peak() - before)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 230e6 < float(done.stdout) < 260e6


def test_a_process_of_our_own_tells_its_peak():
    assert 30 < training.measured_peak("ours", "nano") < 600


def test_the_machine_is_described():
    facts = machine.facts()
    text = "\n".join(machine.lines(facts))
    json.dumps(facts)
    assert facts["cpu"] in text and facts["date"] in text and "OPENBLAS_CORETYPE is" in text
    lacking = {**facts, "versions": {**facts["versions"], "torch": None}, "blas": []}
    text = "\n".join(machine.lines(lacking))
    mkl = {"of": "lib", "library": "mkl", "version": "2024", "kernels": None}
    assert "np.matmul" in "\n".join(machine.lines({**facts, "blas": [mkl]}))
    assert "pip install -e '.[bench]'" in text and "np.matmul" in text


def _a_row(name="a"):
    return rows.Row(name, "ms", 1.0, 2.0, "peer", 2.0, (1.5, 2.5), 1.2, True)


def _parts_of(monkeypatch, rows_of):
    """The command's parts replaced: the rows of each are what ``rows_of(part)`` yields, here."""
    part_of = {f"minilm.bench.{module}": part for part, module in bench.PARTS.items()}
    monkeypatch.setattr(apart, "results_of", lambda module, quick: rows_of(part_of[module]))


def test_a_part_runs_in_a_process_of_its_own(tmp_path, monkeypatch):
    (tmp_path / "part.py").write_text(
        "import os\ndef run(quick):\n    yield os.getpid()\n    yield quick\n"
        "    raise ValueError('in there')\n"
    )
    (tmp_path / "gone.py").write_text("import os\ndef run(quick):\n    yield 1\n    os._exit(3)\n")
    monkeypatch.syspath_prepend(tmp_path)
    found = apart.results_of("part", True)
    assert next(found) != os.getpid() and next(found) is True
    with pytest.raises(ValueError, match="in there"):
        next(found)
    with pytest.raises(RuntimeError, match="status 3"):
        list(apart.results_of("gone", False))


def test_json_of_the_command(tmp_path, monkeypatch, capsys):
    _parts_of(monkeypatch, lambda part: [_a_row(part), _missing(part)])
    file = tmp_path / "rows.json"
    assert bench.run(_arguments(["--quick", "--json", str(file)])) == 0
    record = json.loads(file.read_text(), parse_constant=lambda word: pytest.fail(word))
    assert [row["part"] for row in record["rows"]] == [p for p in bench.USUAL for _ in range(2)]
    assert all(list(row) == ["part", *FIELDS] for row in record["rows"])
    assert record["rows"][1]["ours"] is None
    assert record["quick"] is True and record["machine"]["cores"] >= 1
    assert "not installed" in capsys.readouterr().out


def test_a_run_that_is_interrupted_keeps_its_rows(tmp_path, monkeypatch, capsys):
    def some(part):
        yield _a_row("the first")
        raise KeyboardInterrupt

    _parts_of(monkeypatch, some)
    file = tmp_path / "rows.json"
    assert cli.main(["bench", "--json", str(file)]) == cli.INTERRUPTED
    assert [row["name"] for row in json.loads(file.read_text())["rows"]] == ["the first"]
    assert "the first" in capsys.readouterr().out


def test_the_page_holds_a_whole_run(tmp_path, monkeypatch, capsys):
    _parts_of(monkeypatch, lambda part: [_a_row(f"{part} row"), _missing(part)])
    file, root = tmp_path / "rows.json", tmp_path / "course"
    (root / "lessons" / "00_a").mkdir(parents=True)
    (root / "lessons" / "00_a" / "lesson.py").write_text("")
    (root / "BENCHMARKS.md").write_text(f"# A\n{report.BEGIN}\nold\n{report.END}\nafter\n")
    monkeypatch.chdir(root)
    assert cli.main(["bench", "--quick", "--json", str(file)]) == 0
    assert cli.main(["bench", "--write", str(file)]) == cli.MISTAKE
    assert "quick" in capsys.readouterr().err
    assert cli.main(["bench", "--json", str(file)]) == 0
    assert cli.main(["bench", "--write", str(file)]) == 0
    text = (root / "BENCHMARKS.md").read_text()
    assert "5 of 5 rows reach their goal" in text and "old" not in text and "after" in text
    assert "| decode row | 1 | 2 | ms | peer | 2.00x | 1.50-2.50 | 1.2x | met |" in text
    (tmp_path / "no.json").write_text("[]")
    assert cli.main(["bench", "--write", str(tmp_path / "no.json")]) == cli.MISTAKE
    _parts_of(monkeypatch, lambda part: [_a_row("again")])
    assert cli.main(["bench", "decode", "--json", str(file)]) == 0
    assert cli.main(["bench", "--write", str(file)]) == 0
    again = (root / "BENCHMARKS.md").read_text()
    assert "| again |" in again and "decode row" not in again and "train row" in again
    assert again.index("bench:part train") < again.index("bench:part decode")


def _missing(part):
    return rows.missing_row(f"{part} 2", "ms", "peer", 1.2)


def _arguments(argv):
    import argparse

    parser = argparse.ArgumentParser()
    bench.arguments(parser)
    return parser.parse_args(argv)


def test_the_command_refuses_a_folder_that_is_not_there(tmp_path, capsys):
    missing = tmp_path / "no" / "rows.json"
    for bad in (missing, tmp_path, ""):
        assert cli.main(["bench", "start", "--json", str(bad)]) == cli.MISTAKE
        assert "--json" in capsys.readouterr().err


def test_every_part_has_its_module():
    from importlib.util import find_spec

    assert all(find_spec(f"minilm.bench.{module}") for module in bench.PARTS.values())


def test_a_curve_finds_the_power_that_was_put_in(monkeypatch):
    taken = iter([1.0, 8.0, 27.0] * 3)
    monkeypatch.setattr(scaling, "seconds", lambda function: next(taken))
    curve = scaling.measure("n", "x", "s", [1, 2, 3], [lambda: None] * 3, 3.0, rounds=3)
    assert curve.slope == pytest.approx(3.0)
    assert curve.r_squared == pytest.approx(1.0)
    assert "grows with power 3.00" in scaling.text_of(curve)
    json.dumps(curve.to_dict())


def test_operations_of_a_step():
    from minilm.models import Transformer

    size = training.Size(3, 64, 2, 32, 100, 5)
    model = Transformer(size.config(), allocate=False)
    weights = sum(p.numel() for n, p in model.named_parameters() if p.ndim == 2)
    weights -= (100 + 32) * 64  # the tables that are looked up
    attention = sum(2 * 2 * 64 * (t + 1) for t in range(32)) * 3 * 3 * 5  # scores and mix; x 3
    tokens = size.batch * size.context
    assert scaling.operations(size) == pytest.approx(6 * weights * tokens + attention, rel=0.01)


def test_curves_of_small_sizes():
    made = [
        scaling.parameters_curve(1, widths=(32, 64)),
        *scaling.context_curves(1, lengths=(16, 32)),
        *scaling.corpus_curves(1, megabytes=(0.02, 0.04)),
    ]
    assert all(len(c.x) == len(c.y) == 2 and min(c.y) > 0 for c in made)


class _Falls:
    """A side of a race whose loss falls as exp(-steps / 10), at so many seconds a step."""

    def __init__(self, pace):
        self.pace, self.done = pace, 0

    def lap(self, first, count):
        assert first == self.done
        self.done += count
        return self.pace * count

    def loss(self, ids, targets):
        return math.exp(-self.done / 10)


def test_a_race_and_its_figure(tmp_path):
    course = race.Course(steps=25, lap=10)
    sides = {"fast": _Falls(1.0), "slow": _Falls(2.0)}
    curves = race.race(course, sides, [(None, None)], say=lambda line: None)
    assert curves["fast"]["step"] == [0, 10, 20, 25]
    assert curves["slow"]["seconds"] == [0, 20, 40, 50]
    assert race.seconds_to(curves["slow"], math.exp(-2.5)) == pytest.approx(50)
    assert race.seconds_to(curves["fast"], math.exp(-1)) == pytest.approx(10)
    halfway = (math.exp(-1) + math.exp(-2)) / 2
    assert race.seconds_to(curves["fast"], halfway) == pytest.approx(15)
    assert race.seconds_to(curves["fast"], 0.0) is None
    reached = {name: race.seconds_to(curve, math.exp(-2.5)) for name, curve in curves.items()}
    record = {"curves": curves, "target": math.exp(-2.5), "reached": reached}
    race.draw(record, tmp_path / "race.png")
    assert (tmp_path / "race.png").read_bytes().startswith(b"\x89PNG")


def test_our_side_of_the_race_learns_in_laps():
    from minilm.models import Transformer

    course = race.Course(
        layers=1, channels=32, context=16, vocab_size=64, batch=4, steps=40, warmup=2
    )
    model = Transformer(peers.gpt(64, 16, 1, 2, 32))
    tokens = np.tile(np.arange(8, dtype=np.int32), 200)
    side = race.Ours(model, course, tokens)
    x, y = next(iter(side.batches))
    before = side.loss(x, y)
    assert all(side.lap(first, 20) > 0 for first in (0, 20))
    assert side.loss(x, y) < 0.5 * before


def test_the_race_without_torch(monkeypatch):
    monkeypatch.setattr(race, "find_torch", lambda: None)
    with pytest.raises(InputError, match=r"pip install .*\[bench\]"):
        race.run(race.Course())


@pytest.mark.oracle
def test_both_sides_of_ppo_learn_the_same_reward():
    """From the same weights, on the same prompts; their draws differ."""
    size = training.Size(1, 16, 2, 12, 48, 2)
    asked = align.random_answers(size, 64, "prompts").ids[:, :3]
    models = [Transformer(size.config()) for _ in range(3)]
    how = align.Policing(beta=0.01)
    seen, theirs = [], []
    align.train_ppo(
        models[2], models[1], align.small_ids, lambda _: list(asked), 9, 40, how=how, lr=1e-2,
        progress=False, watch=lambda _, facts: seen.append(facts["reward"]),
    )  # fmt: skip

    def reward(answers):
        found = align.small_ids(answers)
        theirs.append(found.mean())
        return found

    align_twins.ppo_rounds(*models[:2], reward, asked, 9, 40, how, 1e-2)()
    for rewards in (seen, theirs):
        assert len(rewards) == 40 and abs(rewards[0] - 32 / 48) < 0.1
        assert np.mean(rewards[-5:]) > 0.9


def test_an_sft_step_scores_answers_alone_and_bits_are_those_of_the_formula(monkeypatch):
    ids, targets = align.Chats(*training.SIZES["micro"]).data()
    assert ids.shape == targets.shape == (4, 64)
    learnt = targets != IGNORE
    assert learnt.any(1).all() and not learnt[:, : 64 // 6].any()
    following = np.roll(ids, -1, axis=1)[:, :-1]
    assert (targets == np.where(learnt, targets, IGNORE)).all()
    assert (following == targets[:, :-1])[learnt[:, :-1]].all()
    small = {
        "tiny": training.Size(1, 64, 2, 16, 32, 2),
        "micro": training.Size(1, 16, 2, 12, 32, 2),
    }
    monkeypatch.setattr(align, "SIZES", {**small, "small": small["tiny"]})
    found = list(align.run(quick=True))
    kinds = {row.name.split(",")[0] for row in found}
    assert kinds == {"SFT step", "DPO step", "rollouts", "PPO iteration", "QLoRA"}
    assert all(row.ours > 0 for row in found)
    assert [row.name.split(",")[0] for row in found][-2:] == ["QLoRA"] * 2
    # 12 * 64 ** 2 weights; a mean for each of the 4 maps is not in the formula
    wanted = 4 + 8 / 64 + 32 / (64 * 256)
    assert found[-1].peer == wanted and found[-1].met is not None
    assert found[-1].ours * 12 * 64**2 <= 8 * (12 * 64**2 / 2 + 12 * 64 + 4 * 4 + 4 * 4)
