"""`minilm progress --train`: every question of every set takes its place in the model."""

import shutil
from pathlib import Path

import numpy as np
import pytest

import minilm
from minilm.course.checking import fitting
from minilm.course.checking.own_model import own_parts, train_own
from minilm.course.checking.progress import course_sets
from minilm.course.places import Course
from minilm.errors import InputError

ROOT = Path(__file__).parents[2]
PLUGS = [q.plugs for one in course_sets(Course(ROOT)) for q in one.questions if q.plugs]
CALLED = {"softmax", "layer_norm", "gelu", "cross_entropy", "attention", "self_attention", "adamw"}
STEPS = 2


@pytest.fixture(scope="module")
def solved(tmp_path_factory: pytest.TempPathFactory) -> Course:
    """The course of somebody who has solved everything."""
    root = tmp_path_factory.mktemp("solved")
    (root / "lessons").symlink_to(ROOT / "lessons")
    shutil.copytree(ROOT / "solutions", root / "exercises")
    return Course(root)


@pytest.fixture(scope="module")
def parts(solved: Course) -> dict:
    done = {
        one.name: {
            q.name: {"passed": True, "points": q.points, "max": q.points} for q in one.questions
        }
        for one in course_sets(solved)
    }
    found, troubles = own_parts(solved, done)
    assert troubles == []
    return found


@pytest.fixture(scope="module")
def plain() -> list[float]:
    """The losses of a model that runs on nobody else's code."""
    losses, calls = train_own({"top_p": print}, STEPS)
    assert calls == {"top_p": 0}  # a sampler, which no training calls
    return losses


def test_the_notebooks_give_every_part_and_run_no_payoff(solved: Course, capfd) -> None:
    one = course_sets(solved)[0]
    done = {one.name: {q.name: {"passed": True, "max": q.points} for q in one.questions}}
    found, troubles = own_parts(solved, done)
    assert set(found) == {q.plugs for q in one.questions if q.plugs} and troubles == []
    said = capfd.readouterr()
    assert said.out == ""  # a payoff prints what it shows


def test_every_question_is_there(parts: dict) -> None:
    assert sorted(parts) == sorted(set(PLUGS)) and CALLED <= set(parts)


@pytest.mark.parametrize("name", sorted(set(PLUGS)))
def test_a_part_alone(name: str, parts: dict, plain: list[float]) -> None:
    losses, calls = train_own({name: parts[name]}, STEPS)
    assert losses == pytest.approx(plain, rel=1e-4)
    assert (calls[name] > 0) == (name in CALLED)


def test_all_parts_together(parts: dict, plain: list[float]) -> None:
    losses, calls = train_own(parts, STEPS)
    assert losses == pytest.approx(plain, rel=1e-4)
    assert all(calls[name] > 0 for name in ("layer_norm", "gelu", "cross_entropy"))
    assert calls["self_attention"] > 0  # it does the work of attention and softmax


@pytest.mark.parametrize("left", [{"self_attention"}, {"self_attention", "attention"}])
def test_parts_without_the_one_that_covers_them(left: set, parts: dict, plain: list[float]) -> None:
    losses, calls = train_own({n: p for n, p in parts.items() if n not in left}, STEPS)
    assert losses == pytest.approx(plain, rel=1e-4)
    assert calls["softmax" if len(left) == 2 else "attention"] > 0


def test_the_loss_of_an_exercise_takes_batches_and_ignored_targets(parts: dict) -> None:
    rng = np.random.default_rng(0)
    logits = rng.standard_normal((2, 3, 5))
    targets = np.array([[1, -100, 4], [0, 2, -100]])
    value, back = fitting.cross_entropy(parts["cross_entropy"])(logits, targets)
    want, back_of_ours = minilm.functional.cross_entropy.arrays(logits, targets)
    assert value == pytest.approx(float(want), rel=1e-12)
    np.testing.assert_allclose(back(np.float64(3))[0], back_of_ours(np.array(3.0))[0], rtol=1e-9)


@pytest.mark.parametrize(
    "how", [{}, {"causal": True}, {"causal": True, "window": 2}, {"scale": 0.3}, {"mask": True}]
)
def test_the_attention_of_an_exercise_takes_the_model_s_arguments(how: dict, parts: dict) -> None:
    rng = np.random.default_rng(1)
    q, k, v = (rng.standard_normal((2, heads, 4, 8)) for heads in (4, 2, 2))
    if "mask" in how:
        how = {"mask": np.tril(np.ones((4, 4), bool))[None, None]}
    ours = minilm.functional.attention(q, k, v, **how).data
    theirs = fitting.attention(parts["attention"])(q, k, v, **how)
    np.testing.assert_allclose(theirs, ours, rtol=1e-6, atol=1e-9)
    with pytest.raises(InputError, match="bias"):
        fitting.attention(parts["attention"])(q, k, v, bias=np.zeros((4, 4)))
