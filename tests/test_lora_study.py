"""The study 04/lora on a very small scale, and the rules by which it is judged."""

from pathlib import Path

import numpy as np
import pytest

from minilm import nn
from minilm.course.places import LessonFolder
from minilm.data.worlds.animals import KINDS
from minilm.errors import InputError
from minilm.studies import record

lora = LessonFolder(Path(__file__).parents[1], "04_aligning_open_models").study("lora")


def quiet(line):
    """Say nothing."""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    out = tmp_path_factory.mktemp("study") / "lora.json"
    few = ("full", "lora 4", "lora 4, new rows", "qlora 4, new rows")
    return out, lora.study(str(out), models=few, seeds=(0,), steps=3, read=2, say=quiet)


def test_it_records_what_trains_and_what_that_takes(made):
    out, data = made
    assert record.load(out) == data and data["missing"] == []
    by_name = {run["model"]: run for run in data["runs"]}
    maps = 4 * 64 * (4 + 2 + 5 + 5) * 2  # rank times widths in and out, of two blocks
    assert by_name["lora 4"]["trained"] == maps
    assert by_name["lora 4, new rows"]["trained"] == maps + 5 * 64
    whole, small = by_name["full"], by_name["qlora 4, new rows"]
    assert whole["bytes"] == 16 * whole["trained"]
    weights = 2 * 12 * 64**2
    rest = whole["trained"] - weights
    stored = weights // 2 + weights // 64 + 8 * (4 + 4) + 5 * 8  # codes, scales, theirs, ids
    assert abs(small["bytes"] - (16 * small["trained"] + 4 * rest + stored)) < 64
    point = by_name["lora 4"]["points"][-1]
    assert point["loss"] < point["before"] and by_name["lora 4"]["entropy"] < point["loss"]


def test_only_what_it_says_is_trained():
    model = lora.prepared("qlora 4, new rows", 0, 2)
    parts = {type(m) for m in model.stack.modules()}
    assert nn.QuantizedLinear in parts and nn.LoRALinear in parts
    named = {n.rpartition(".")[2] for n, p in model.named_parameters() if p.requires_grad}
    assert named == {"A", "B", "rows"}
    every = lora.prepared("lora 4, all rows", 0, 2)
    named = {n for n, p in every.named_parameters() if p.requires_grad and n[-1] not in "AB"}
    assert named == {"tokens.weight"}
    before = [p.data.copy() for p in lora.pretrained(0, 2).parameters()]
    lora.tuned_model("lora 4", 0, 0.01, 2, 2)
    for p, old in zip(lora.pretrained(0, 2).parameters(), before, strict=True):
        np.testing.assert_array_equal(p.data, old)


def test_the_entropy_is_that_of_the_recipe():
    """On average: log 4 for the length, and 2.5 sentences of 4 tokens and an end."""
    chances = [0.2 / 3] * 3
    for _, values in KINDS.values():
        many = len(values)
        chances += [0.8 / 4 * (0.75 + 0.25 / many), *[0.8 / 4 * 0.25 / many] * (many - 1)]
    assert sum(chances) == pytest.approx(1)
    sentence = -sum(p * np.log(p) for p in chances)
    assert lora.entropy(0, 6000) == pytest.approx((np.log(4) + 2.5 * sentence) / 11, abs=0.008)


def runs(**losses):
    return {
        "runs": [
            {"model": name.replace("_", " ").replace(" rows", ", new rows"), "seed": seed,
             "points": [{"loss": loss}]}
            for name, seeds in losses.items()
            for seed, loss in enumerate(seeds)
        ]
    }  # fmt: skip


def test_every_seed_must_keep_a_rule():
    good = runs(full=[0.72, 0.71], lora_4=[0.78, 0.77], lora_4_rows=[0.724, 0.71],
                qlora_4_rows=[0.7245, 0.712])  # fmt: skip
    assert lora.verdicts(good) == {"rows": True, "frozen": True, "bits": True}
    assert lora.gaps(good)["frozen"] == pytest.approx([0.06, 0.06])
    bad = runs(full=[0.72, 0.71], lora_4=[0.78, 0.75], lora_4_rows=[0.724, 0.716],
               qlora_4_rows=[0.7245, 0.72])  # fmt: skip
    assert lora.verdicts(bad) == {"rows": False, "frozen": False, "bits": False}


def test_what_is_not_studied_is_refused(tmp_path):
    with pytest.raises(InputError, match="models names 'dora'"):
        lora.study(str(tmp_path / "a.json"), models=("dora",))
    with pytest.raises(InputError, match="steps is 0"):
        lora.study(str(tmp_path / "a.json"), steps=0)
