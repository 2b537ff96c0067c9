"""The studies of lesson 10: what is matched is matched, and the worlds say what they claim."""

import numpy as np
import pytest

from minilm.analysis.state_costs import costs_of
from minilm.backend import IGNORE
from minilm.course.places import LessonFolder
from minilm.errors import InputError
from minilm.models import count_parameters, model_of
from minilm.studies.record import ROOT

LESSON = LessonFolder(ROOT, "10_your_idea")
structure, memory = LESSON.study("structure"), LESSON.study("memory")


@pytest.mark.parametrize("size", structure.SIZES)
def test_a_step_costs_the_same_whatever_the_model(size):
    costs = {m: costs_of(structure.config_of(m, size), structure.CONTEXT) for m in structure.MODELS}
    flops = [cost.training_flops for cost in costs.values()]
    assert max(flops) / min(flops) < 1.01
    assert costs["attention"].state_bytes > max(costs[m].state_bytes for m in ("mamba", "linear"))
    for model in structure.MODELS:
        config = structure.config_of(model, size)
        assert count_parameters(config) == costs[model].parameters
        assert config.channels == structure.SIZES[size].channels


@pytest.mark.parametrize("task", memory.DRAWS)
def test_worlds_are_matched_too(task):
    length = memory.length_of(memory.LENGTHS[task][0])
    flops = [costs_of(memory.config_of(task, m), length).training_flops for m in memory.MODELS]
    assert max(flops) / min(flops) < 1.01
    ids, targets = memory.DRAWS[task](3, memory.LENGTHS[task][0], 0)
    assert ids.shape == targets.shape == (3, length)
    assert ids.max() < memory.VOCAB[task] and ids.min() >= 0


def test_what_is_recalled_was_said_once_before():
    ids, targets = memory.recall(50, 8, seed=3)
    for row, target in zip(ids, targets, strict=True):
        said = dict(divmod(card, memory.VALUES) for card in row[:8].tolist())
        assert len(said) == 8 and (target[:8] == IGNORE).all()
        asked = (row[8:] - memory.KEYS * memory.VALUES).tolist()
        assert sorted(asked) == sorted(said)
        assert [said[key] for key in asked] == target[8:].tolist()


def test_what_is_copied_is_the_row():
    ids, targets = memory.copying(20, 5, seed=1)
    assert ids.shape == (20, 10) and (ids[:, 5] == memory.LETTERS).all()
    np.testing.assert_array_equal(targets[:, 5:], ids[:, :5])
    np.testing.assert_array_equal(ids[:, 6:], ids[:, :4])
    assert (targets[:, :5] == IGNORE).all()


def test_draws_are_their_seeds_own():
    for task, draw in memory.DRAWS.items():
        first, again, other = draw(4, 8, 1, 2), draw(4, 8, 1, 2), draw(4, 8, 1, 3)
        np.testing.assert_array_equal(first[0], again[0])
        assert (first[0] != other[0]).any(), task
    batches = memory.draw_of("copy", 2)
    lengths = {batches(0, step)[0].shape[1] // 2 for step in range(60)}
    assert lengths == set(range(4, 9))


@pytest.mark.parametrize("task", memory.DRAWS)
def test_the_shortcut_is_between_chance_and_knowing(task):
    n = memory.LENGTHS[task][0]
    found = memory.shortcut(task, n)
    assert memory.CHANCE[task] < found < 0.5


def test_an_exam_of_a_new_model_gives_about_chance():
    for task in memory.DRAWS:
        sit = memory.exam_of(task, 64)
        found = sit(model_of(memory.config_of(task, "mamba")))
        assert set(found) == {"right", *(f"right{n}" for n in memory.LENGTHS[task])}
        assert all(0 <= value < 0.3 for value in found.values())


def test_a_small_study_of_memory_runs_and_goes_on(tmp_path):
    lines: list[str] = []
    options = dict(tasks=["copy"], steps=50, tune_steps=10, batch=4, examples=8, say=lines.append)
    found = memory.study(str(tmp_path / "m.json"), models=["mamba"], seeds=[0], **options)
    assert len(found["runs"]) == 1 and len(found["runs"][0]["points"]) == 10
    memory.study(str(tmp_path / "m.json"), models=["mamba", "linear"], seeds=[0], **options)
    assert len(lines) == 2  # the first run was there


def test_bad_options_are_told(tmp_path):
    with pytest.raises(InputError, match="models names 'lstm'; allowed are attention, mamba"):
        structure.study(str(tmp_path / "s.json"), models=["lstm"])
    with pytest.raises(InputError, match="share is 0; it must be above 0"):
        structure.study(str(tmp_path / "s.json"), share=0)
    with pytest.raises(InputError, match="steps is 3 and tune_steps 500"):
        memory.study(str(tmp_path / "m.json"), steps=3)
