"""minilm train over simulated ranks: the losses of one process, resuming, and refusals."""

import json
from pathlib import Path

import numpy as np
import pytest

from minilm import cli
from minilm.parallel.shards import read_manifest
from minilm.train.watch import read_log

MODEL = {"layers": 2, "heads": 2, "channels": 16, "context": 16, "positions": "rope"}


@pytest.fixture
def typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The words of a command that trains a small model on a small text; out is the run's folder."""
    for name in ("PMI_SIZE", "PMI_RANK", "OMPI_COMM_WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    text, recipe = tmp_path / "text.txt", tmp_path / "recipe.json"
    text.write_text("\n".join(f"line {i} says {i * i % 97}" for i in range(200)))
    recipe.write_text(json.dumps({"model": MODEL, "vocab_size": 258, "batch": 4, "lr": 0.01}))

    def words(out: str, *more: str) -> list[str]:
        command = ["train", "--text", str(text), "--config", str(recipe), "--vocab", "258"]
        return [*command, "--steps", "6", "--out", str(tmp_path / out), *more]

    return words


def losses(folder: Path) -> list[float]:
    return [row["loss"] for row in read_log(folder / "log.jsonl") if "loss" in row]


def test_all_kinds_on_16_ranks_have_the_losses_of_one_process(typed, tmp_path, capsys) -> None:
    assert cli.main(typed("one")) == 0
    sizes = [word for name in ("dp", "tp", "pp", "cp") for word in (f"--{name}", "2")]
    assert cli.main(typed("many", *sizes, "--zero", "1", "--schedule", "zb-h1")) == 0
    said = capsys.readouterr().out
    assert "16 simulated ranks: dp 2 x tp 2 x pp 2 x cp 2" in said
    one, many = losses(tmp_path / "one"), losses(tmp_path / "many")
    assert len(one) == 6
    np.testing.assert_allclose(many, one, rtol=0, atol=2e-5)
    assert one[0] - one[-1] > 0.05
    assert len(list((tmp_path / "many").glob("step-*/rank-*.safetensors"))) == 16

    from minilm.train import load

    whole, wanted = (load(tmp_path / name)[0].state_dict() for name in ("many", "one"))
    assert whole.keys() == wanted.keys()
    for name, array in whole.items():
        np.testing.assert_allclose(array, wanted[name], rtol=0, atol=1e-3, err_msg=name)


def test_pieces_of_a_pipeline_and_heads_of_a_ring(typed, tmp_path) -> None:
    assert cli.main(typed("one", "--dp", "1")) == 0
    options = ["--pp", "2", "--pieces", "1", "--cp", "2", "--ulysses", "2", "--recompute", "full"]
    assert cli.main(typed("many", *options, "--micro", "4", "--schedule", "gpipe")) == 0
    one, many = losses(tmp_path / "one"), losses(tmp_path / "many")
    np.testing.assert_allclose(many, one, rtol=0, atol=2e-5)


def test_other_ranks_resume_and_the_log_goes_on(typed, tmp_path, capsys) -> None:
    out = tmp_path / "run"
    assert cli.main(typed("straight", "--dp", "1")) == 0
    assert cli.main([*typed("run", "--dp", "4", "--zero", "3"), "--steps", "4"]) == 0
    assert cli.main(["train", "--resume", str(out), "--steps", "6", "--dp", "3"]) == 0
    manifest = read_manifest(out)
    assert (manifest["ranks"], manifest["facts"]["step"]) == (3, 6)
    assert len(losses(out)) == 6
    capsys.readouterr()
    assert cli.main(["train", "--resume", str(out), "--steps", "6"]) == 0  # no ranks: one
    assert "is finished" in capsys.readouterr().out
    assert cli.main(["train", "--resume", str(out), "--steps", "8", "--tp", "2"]) == cli.MISTAKE
    assert "only the number of data parallel ranks may change" in capsys.readouterr().err


def test_experts_on_many_ranks_train_save_and_resume(typed, tmp_path, capsys) -> None:
    recipe = tmp_path / "recipe.json"
    fields = json.loads(recipe.read_text())
    fields["model"] |= {"experts": 4, "experts_per_token": 2, "activation": "swiglu", "bias": False}
    recipe.write_text(json.dumps(fields))
    assert cli.main(typed("one")) == 0
    ranks = ["--dp", "4", "--ep", "2", "--zero", "1"]
    assert cli.main([*typed("many", *ranks), "--steps", "3"]) == 0
    assert "dp 4 (ep 2) x tp 1" in capsys.readouterr().out
    resumed = ["--dp", "2", "--ep", "2", "--zero", "2", "--steps", "6"]  # each rank alone with two
    assert cli.main(["train", "--resume", str(tmp_path / "many"), *resumed]) == 0
    one, many = losses(tmp_path / "one"), losses(tmp_path / "many")
    assert len(one) == 6
    # the first run stopped its schedule at step 3: only the steps with the same rate are the same
    np.testing.assert_allclose(many[:1], one[:1], rtol=0, atol=2e-5)
    assert many[-1] < many[0]
    parts = {entry["part"] for entry in read_manifest(tmp_path / "many")["files"]}
    assert {part.partition(", experts ")[2] for part in parts} == {"", "0 of 2", "1 of 2"}

    straight = [*typed("straight", *ranks), "--steps", "6"]
    assert cli.main(straight) == 0
    np.testing.assert_allclose(losses(tmp_path / "straight"), one, rtol=0, atol=2e-5)

    from minilm.train import load

    whole, wanted = (load(tmp_path / name)[0].state_dict() for name in ("straight", "one"))
    assert whole.keys() == wanted.keys()
    for name, array in whole.items():
        np.testing.assert_allclose(array, wanted[name], rtol=0, atol=2e-3, err_msg=name)
    capsys.readouterr()
    fewer = ["train", "--resume", str(tmp_path / "many"), "--steps", "8", "--dp", "2"]
    assert cli.main(fewer) == cli.MISTAKE
    assert "of another model, or of one cut otherwise" in capsys.readouterr().err


REFUSED = {
    "experts": (["--dp", "2", "--ep", "2"], "ep is 2; the model has no experts to share"),
    "sets of experts": (["--dp", "4", "--ep", "3"], "ep is 3; it must divide dp, which is 4"),
    "stage": (["--zero", "5"], "--zero is 5; it must be one of 0, 1, 2, 3"),
    "schedule": (["--pp", "2", "--schedule", "x"], "--schedule is 'x'; it must be one of gpipe"),
    "recompute": (["--recompute", "x"], "--recompute is 'x'; it must be one of none"),
    "micro": (["--pp", "2", "--micro", "0"], "--micro is 0; it must be at least 1"),
    "pieces": (["--pp", "2", "--pieces", "2"], "layers is 2; there must be one for each of 2"),
    "below one": (["--dp", "0"], "dp is 0; it must be at least 1"),
    "heads": (["--tp", "4"], "heads is 2; it must be a multiple of tp, 4"),
    "batch": (["--dp", "5"], "batch is 4; it must have a sequence for each"),
    "pictures": (["--dp", "2", "--images", "digits"], "over ranks a model trains on text"),
    "device": (["--dp", "2", "--device", "cuda"], "--device"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_in_a_sentence(name: str, typed, capsys) -> None:
    options, words = REFUSED[name]
    assert cli.main(typed("run", *options)) == cli.MISTAKE
    said = capsys.readouterr().err
    assert words in said
    assert said.count("\n") == 1
