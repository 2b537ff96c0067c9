"""`minilm train`, `generate` and `info` as they are typed: what they print, and every mistake."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from texts import sentences

from minilm import data
from minilm.cli import main
from minilm.commands._prepare import name_of
from minilm.train import checkpoints, load
from minilm.train.recipes import RECIPES, Recipe, find_recipe
from minilm.train.watch import read_log

SMALL = {
    "model": {"layers": 1, "heads": 2, "channels": 16, "context": 32, "positions": "rope"},
    "vocab_size": 300,
    "steps": 12,
    "batch": 4,
    "lr": 0.01,
}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with a text, a config and one finished run."""
    folder = tmp_path_factory.mktemp("home")
    (folder / "texts").mkdir()
    for number in range(30):
        (folder / "texts" / f"{number:02}.txt").write_text(sentences(30, number))
    (folder / "small.json").write_text(json.dumps(SMALL))
    before = os.getcwd()
    os.chdir(folder)
    assert main(["train", "--text", "texts", "--config", "small.json"]) == 0
    os.chdir(before)
    return folder


@pytest.fixture
def here(home, monkeypatch):
    monkeypatch.chdir(home)
    return home


def refused(capsys, *argv):
    """The sentence on stderr, after checking that it is one and the status is 2."""
    assert main(list(argv)) == 2
    out, err = capsys.readouterr()
    assert out == ""  # not even a prompt
    assert err.startswith("minilm: ") and err.count("\n") == 1 and "Traceback" not in err
    return err


def test_a_run_leaves_everything_and_prints_the_table(here, capsys):
    folder = here / "runs" / "texts"
    names = {path.name for path in folder.iterdir()}
    assert names >= {
        "config.json",
        "model.safetensors",
        "state.safetensors",
        "tokenizer.json",
        "recipe.json",
        "log.jsonl",
        "loss.png",
        "train.tokens",
        "held_out.tokens",
    }
    assert len([row for row in read_log(folder / "log.jsonl") if "loss" in row]) == 12
    assert main(["info", "runs/texts", "--compare"]) == 0
    first = capsys.readouterr().out
    assert main(["info", "runs/texts", "--compare"]) == 0
    assert capsys.readouterr().out == first
    for words in ("decoder", "12 steps", "xz -9e", "Kneser-Ney 5-gram over bytes", "this model"):
        assert words in first
    figures = [float(line.split()[0]) for line in first.splitlines() if line.startswith("   ")]
    assert len(figures) == 4 and all(0 < x < 12 for x in figures)


def test_every_byte_of_the_text_is_in_one_of_the_two_token_files(here):
    _, tokenizer = load("runs/texts")
    parts = [data.TokenFile(f"runs/texts/{n}.tokens").tokens for n in ("train", "held_out")]
    found = sorted("".join(map(tokenizer.decode, parts)).split("<|endoftext|>"))
    assert [t for t in found if t] == sorted(data.load_documents("texts"))


def test_generate_repeats_with_its_seed(here, capsys):
    def write(*options):
        assert main(["generate", "runs/texts", "--prompt", "the cat", *options]) == 0
        return capsys.readouterr().out

    first = write("--tokens", "90", "--seed", "3")
    assert first.startswith("the cat") and first.endswith("\n")
    assert first == write("--tokens", "90", "--seed", "3")
    assert first != write("--tokens", "90", "--seed", "4")
    greedy = write("--tokens", "9", "--temperature", "0")
    assert greedy == write("--tokens", "9", "--top-k", "1", "--seed", "8")
    assert greedy == write("--tokens", "9", "--top-p", "0.000001")
    assert write("--tokens", "9", "--weights", "int8").startswith("the cat")


def test_generate_ends_before_a_stop_text(here, capsys):
    def write(seed, *options):
        command = ["generate", "runs/texts", "--prompt", "the cat", "--seed", str(seed)]
        assert main([*command, "--tokens", "90", *options]) == 0
        return capsys.readouterr().out

    seed = next(seed for seed in range(50) if len(write(seed)) > 60)
    prompt, free = "the cat", write(seed).removeprefix("the cat").removesuffix("\n")
    for place, length in ((0, 1), (7, 1), (12, 3), (20, 6)):
        stop = free[place : place + length]
        wanted = prompt + free[: free.index(stop)] + "\n"
        assert write(seed, "--stop", stop) == wanted
        assert write(seed, "--stop", "no such text", "--stop", stop) == wanted
    assert write(seed, "--stop", "no such text") == prompt + free + "\n"


def test_without_a_prompt_it_begins_a_document(here, capsys):
    assert main(["generate", "runs/texts", "--tokens", "5"]) == 0
    assert "endoftext" not in capsys.readouterr().out


def test_interrupted_and_resumed_the_weights_are_those_of_one_run(here, capsys, monkeypatch):
    options = ["--text", "texts", "--config", "small.json"]
    assert main(["train", *options, "--steps", "10", "--out", "straight"]) == 0
    from minilm.train import loop

    plain = loop._show

    def press(*shown):
        plain(*shown)
        if len(presses) == 4:
            signal.raise_signal(signal.SIGINT)
        presses.append(1)

    presses = []
    monkeypatch.setattr(loop, "_show", press)
    assert main(["train", *options, "--steps", "10", "--out", "halves"]) == 130
    out = capsys.readouterr().out
    assert "interrupted after step 5 of 10; everything is saved in halves\n" in out
    assert "go on with\n  minilm train --resume halves\n" in out
    monkeypatch.setattr(loop, "_show", plain)
    assert main(["train", "--resume", "halves", "--steps", "10"]) == 0
    one, two = (load(name)[0].state_dict() for name in ("straight", "halves"))
    assert all(np.array_equal(one[name], two[name]) for name in one)


def test_a_finished_run_that_is_resumed_says_so(here, capsys):
    for steps in ([], ["--steps", "12"], ["--steps", "3"]):
        before = {p: p.stat().st_mtime_ns for p in (here / "runs" / "texts").iterdir()}
        assert main(["train", "--resume", "runs/texts", *steps]) == 0
        assert capsys.readouterr().out == (
            f"runs/texts has taken 12 of {(steps or ['', 12])[1]} steps and is finished; train it "
            "longer with\n  minilm train --resume runs/texts --steps 24\n"
        )
        assert {p: p.stat().st_mtime_ns for p in (here / "runs" / "texts").iterdir()} == before
    options = ["--text", "texts", "--config", "small.json", "--minutes", "0.001"]
    assert main(["train", *options, "--out", "timed"]) == 0
    capsys.readouterr()
    assert main(["train", "--resume", "timed"]) == 0
    said = capsys.readouterr().out
    assert "timed has trained for its 0.001 minutes and is finished" in said
    assert "minilm train --resume timed --minutes 0.002" in said


def test_a_second_run_keeps_the_first(here, capsys):
    before = load("runs/texts")[0].state_dict()
    run = ["train", "--text", "texts", "--config", "small.json", "--steps", "2", "--seed", "5"]
    assert main(run) == 0
    assert "it is now" in capsys.readouterr().out
    kept = load("runs/texts-1")[0].state_dict()
    assert all(np.array_equal(before[name], kept[name]) for name in before)
    (here / "runs" / "texts").rename(here / "runs" / "second")
    (here / "runs" / "texts-1").rename(here / "runs" / "texts")


def test_killed_by_a_real_ctrl_c_it_says_how_to_go_on(here):
    command = [sys.executable, "-m", "minilm", "train", "--text", "texts", "--out", "stopped"]
    command += ["--config", "small.json", "--steps", "1000000"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    log = here / "stopped" / "log.jsonl"
    while not (log.is_file() and len(read_log(log)) > 3):
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130 and "Traceback" not in err
    assert "minilm train --resume stopped" in out
    _, facts = checkpoints.load_arrays(here / "stopped" / "state.safetensors")
    assert f"interrupted after step {facts['step']:,} of 1,000,000" in out


@pytest.mark.parametrize(
    "argv, words",
    [
        (["train", "--steps", "0"], "--steps is 0; it must be 1 or more"),
        (["train", "--minutes", "0"], "--minutes is 0.0; it must be more than 0"),
        (["train", "--seed", "-1"], "--seed is -1; it must be 0 or more"),
        (["train", "--corpus", "wikipedia"], "it must be python-docs or python-code"),
        (["train", "--text", "a", "--corpus", "python-docs"], "choose one"),
        (["train", "--text", "nowhere"], "'nowhere'"),
        (["train", "--text", ""], "--text is ''"),
        (["train", "--text", "nowhere"], "--text is 'nowhere'; there is no such file"),
        (["train", "--vocab", "9"], "--vocab is 9; it must be 257"),
        (["train", "--text", "texts", "--vocab", "9999999"], "--vocab is 9999999; it must be"),
        (["train", "--resume", "runs/texts", "--vocab", "300"], "--vocab was given with --resume"),
        (["train", "--minutes", "inf"], "--minutes is inf"),
        (["train", "--text", "empty.txt"], "--text 'empty.txt' is empty"),
        (["train", "--text", "binary.txt"], "--text 'binary.txt' is binary"),
        (["train", "--text", "short.txt"], "has 40 characters; at least 1000"),
        (["train", "--text", "texts", "--config", "huge"], "--config is 'huge'; it must be nano"),
        (
            ["train", "--text", "texts", "--config", "list.json"],
            "holds a list; it must hold a",
        ),
        (["train", "--text", "texts", "--config", "typo.json"], "config has 'layer'"),
        (["train", "--text", "texts", "--config", "odd.json"], "no field 'speed'"),
        (["train", "--text", "texts", "--config", "vocab.json"], "vocab_size is 20"),
        (["train", "--text", "texts", "--config", "inner.json"], "vocab_size belongs beside"),
        (["train", "--text", "texts", "--config", "still.json"], "steps of the recipe is 0"),
        (["train", "--text", "texts", "--config", "wild.json"], "lr of the recipe is inf"),
        (["train", "--text", "texts", "--config", "whole.json"], "batch of the recipe is 1.5"),
        (["train", "--text", "texts", "--config", "reader.json"], "kind is 'encoder'"),
        (["train", "--text", "texts", "--config", "long.json"], "a context of 100000"),
        (
            ["train", "--text", "texts", "--dtype", "float16"],
            "--dtype 'float16' needs device 'cuda'; on the CPU use float32 or float64",
        ),
        (
            ["train", "--text", "texts", "--dtype", "int8"],
            "--dtype is 'int8'; allowed are",
        ),
        (["train", "--text", "texts", "--device", "tpu"], "--device is 'tpu'"),
        (
            ["train", "--text", "texts", "--out", "runs/texts"],
            "--out is 'runs/texts', which",
        ),
        (
            ["train", "--text", "texts", "--out", "short.txt/a"],
            "--out is 'short.txt/a'",
        ),
        (["train", "--resume", "nowhere"], "'nowhere' is not a folder"),
        (["train", "--resume", "texts"], "config.json is missing"),
        (["train", "--resume", "foreign"], "recipe.json was not written by minilm train"),
        (["train", "--resume", "runs/texts", "--seed", "1"], "--seed was given with --resume"),
        (["generate", "nowhere"], "'nowhere' is not a folder"),
        (["generate", "texts"], "holds no checkpoint"),
        (["generate", "runs/texts", "--tokens", "0"], "--tokens is 0"),
        (["generate", "runs/texts", "--temperature", "-1"], "--temperature is -1.0"),
        (["generate", "runs/texts", "--temperature", "nan"], "--temperature is nan"),
        (["generate", "runs/texts", "--top-k", "0"], "--top-k is 0"),
        (["generate", "runs/texts", "--top-p", "2"], "--top-p is 2.0"),
        (["generate", "runs/texts", "--seed", "-3"], "--seed is -3"),
        (["generate", "runs/texts", "--stop", ""], "--stop is empty"),
        (["generate", "runs/texts", "--prompt", "cat " * 99], "context of 32"),
        (["info", "nowhere"], "'nowhere' is not a folder"),
        (["info", "runs/texts/config.json"], "is not a folder"),
    ],
)
def test_every_mistake_is_one_sentence_and_nothing_is_left_behind(here, capsys, argv, words):
    (here / "empty.txt").write_text("")
    (here / "binary.txt").write_bytes(b"\x00\x01" * 2000)
    (here / "short.txt").write_text("To be or not to be, that is the question")
    (here / "list.json").write_text("[]")
    model = SMALL["model"]
    files = {
        "typo": {**SMALL, "model": {**model, "layer": 2}},
        "odd": {**SMALL, "speed": 2},
        "vocab": {**SMALL, "vocab_size": 20},
        "long": {**SMALL, "model": {**model, "context": 100_000}},
        "inner": {**SMALL, "model": {**model, "vocab_size": 300}},
        "still": {**SMALL, "steps": 0},
        "wild": {**SMALL, "lr": float("inf")},
        "whole": {**SMALL, "batch": 1.5},
        "reader": {**SMALL, "model": {**model, "kind": "encoder"}},
    }
    for name, content in files.items():
        (here / f"{name}.json").write_text(json.dumps(content))
    shutil.copytree(here / "runs" / "texts", here / "foreign", dirs_exist_ok=True)
    (here / "foreign" / "recipe.json").write_text('{"recipe": {"model": {}}}')
    before = sorted(str(p) for p in here.rglob("*"))
    assert words in refused(capsys, *argv)
    assert sorted(str(p) for p in here.rglob("*")) == before


@pytest.mark.parametrize(
    "given, name",
    [("notes.txt", "notes"), ("my notes/", "my-notes"), ("texts/*.md", "text"), ("..", "above")],
)
def test_a_run_is_named_after_its_text(tmp_path, monkeypatch, given, name):
    (tmp_path / "above" / "here").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "above" / "here")
    assert name_of(given) == name


def test_cuda_without_a_gpu_is_one_sentence(here, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    assert "needs CuPy" in refused(capsys, "train", "--text", "texts", "--device", "cuda")


@pytest.mark.parametrize("name", RECIPES)
def test_recipes_survive_json_and_can_be_built(name):
    recipe = find_recipe(name)
    assert Recipe.from_dict(json.loads(json.dumps(recipe.to_dict()))) == recipe
    assert recipe.config(recipe.vocab_size).vocab_size == recipe.vocab_size
