"""The model that is yours: a student who has solved everything trains it, and talks to it."""

import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import minilm
from minilm import cli
from minilm.course.checking import own_gpt, progress
from minilm.course.checking.own_model import own_parts
from minilm.course.places import Course
from minilm.course.publish.certificate import certificate, used
from minilm.errors import InputError
from minilm.tokenizers import bpe_basic

ROOT = Path(__file__).parents[2]
STEPS = 6


@pytest.fixture(scope="module")
def solved(tmp_path_factory) -> Course:
    """The course of somebody who has solved the sets that a GPT needs."""
    root = tmp_path_factory.mktemp("solved")
    (root / "lessons").symlink_to(ROOT / "lessons")
    shutil.copytree(ROOT / "solutions", root / "exercises")
    sets = progress.course_sets(Course(root))
    passed = {
        one.name: {
            q.name: {"passed": True, "points": q.points, "max": q.points} for q in one.questions
        }
        for one in sets
        if one.name[:2] in ("00", "01")
    }
    (root / ".minilm").mkdir()
    path = root / ".minilm" / "progress.json"
    path.write_text(json.dumps({"version": 1, "sets": passed}))
    return Course(root)


@pytest.fixture(scope="module")
def parts(solved) -> dict:
    done = progress.load(solved.root / ".minilm" / "progress.json")
    found, troubles = own_parts(solved, done)
    assert troubles == []
    return found


@pytest.fixture(scope="module")
def own(parts) -> own_gpt.OwnGPT:
    return own_gpt.train_gpt(parts, STEPS)


def test_every_role_is_filled_by_the_student_and_called(own) -> None:
    own.write("Return the ", 4)
    for role in own_gpt.ROLES:
        names = used(role, own)
        assert names and all(own.calls[name] > 0 for name in names), role
    assert own.calls["adamw"] >= STEPS * 10  # every parameter at every step
    assert own.calls["merge"] >= own_gpt.MERGES


def test_it_learns_what_a_model_of_the_package_learns(own) -> None:
    from minilm.data import corpus
    from minilm.models import Transformer
    from minilm.train import train

    text = corpus("python-docs")[: own_gpt.TEXT]
    pairs = bpe_basic.train(list(text[: own_gpt.LEARNT].encode()), own_gpt.MERGES)
    assert own.tokenizer.pairs == pairs
    ids = np.asarray(bpe_basic.encode(list(text.encode()), pairs), np.int32)
    model = Transformer(own_gpt.config_for(own.tokenizer.vocab_size), seed=0)
    settings = dict(batch=own_gpt.BATCH, lr=own_gpt.LR, warmup=STEPS, seed=0, progress=False)
    wanted = train(model, ids, STEPS, **settings).losses
    assert own.losses == pytest.approx(wanted, rel=2e-4)
    assert own.losses[0] - own.losses[-1] > 0.2
    assert own.tokenizer.decode(ids[:50].tolist()) == text.encode()[:200].decode()[: len(
        own.tokenizer.decode(ids[:50].tolist())
    )]  # fmt: skip


def test_a_part_that_is_missing_is_named(parts) -> None:
    rest = {name: part for name, part in parts.items() if name not in ("adamw", "merge")}
    with pytest.raises(InputError, match=r"lacks tokenizer \(merge\), optimizer \(adamw\)"):
        own_gpt.train_gpt(rest, 1)
    with pytest.raises(InputError, match="--steps is 0"):
        own_gpt.train_gpt(parts, 0)


def test_the_package_runs_on_an_optimizer_or_a_merge_that_is_given() -> None:
    calls: list[str] = []

    def merge(ids, pair, new):
        calls.append("merge")
        return ids[:1]

    def adamw(p, g, m, v, lr, b1, b2, eps, decay, step):
        calls.append("adamw")
        p -= lr

    with minilm.use(merge=merge, adamw=adamw):
        assert bpe_basic.encode([1, 2, 3], [(1, 2)]) == [1]
        p = minilm.nn.Parameter(np.zeros(3, np.float32))
        (p * minilm.tensor(np.ones(3, np.float32))).sum().backward()
        minilm.optim.AdamW([p], lr=0.5).step()
    assert calls == ["merge", "adamw"]
    np.testing.assert_array_equal(p.data, np.full(3, -0.5, np.float32))


def test_the_certificate_says_what_ran_and_loads_nothing(own) -> None:
    text = own.write("If the ", 5)
    page = certificate(own, {"If the ": text + "<b>"}, (["merge"], ["merge", "rope"]), "2026-12-01")
    for said in ("A GPT of my own", "1 of 2 parts", "Still minilm's", "2026-12-01", "&lt;b&gt;"):
        assert said in page
    assert f"{own.model.num_parameters():,} weights" in page
    assert 'src="http' not in page and "href=" not in page and "<script" not in page


def test_the_command_trains_certifies_and_talks(solved, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.delenv("MINILM_PROGRESS", raising=False)
    words = ["mine", "--root", str(solved.root), "--out", str(tmp_path / "own")]
    assert cli.main([*words, "--steps", "2"]) == 0
    said = capsys.readouterr().out
    assert "trained 2 steps" in said and "certificate.html" in said
    page = (tmp_path / "own" / "certificate.html").read_text("utf-8")
    assert "made of these functions of mine" in page.lower()
    monkeypatch.setattr("sys.stdin", io.StringIO("Return the\nclass\n"))
    assert cli.main([*words, "--talk"]) == 0
    first, second = capsys.readouterr().out.split("Return the", 1)[1].split("\nclass", 1)
    assert first and second
    assert cli.main(["mine", "--root", str(solved.root), "--out", str(tmp_path), "--talk"]) == 2
    assert "there is no model of yours in it" in capsys.readouterr().err


def test_somebody_who_has_passed_nothing_is_told_what_to_pass(
    tmp_path, monkeypatch, capsys
) -> None:
    monkeypatch.delenv("MINILM_PROGRESS", raising=False)
    (tmp_path / "lessons").symlink_to(ROOT / "lessons")
    assert cli.main(["mine", "--root", str(tmp_path), "--out", str(tmp_path / "own")]) == 2
    assert "your GPT still lacks tokenizer (merge), attention" in capsys.readouterr().err
