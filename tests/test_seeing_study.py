"""Lesson 07e's texts and pictures, and its study on a very small scale."""

from pathlib import Path

import numpy as np
import pytest

from minilm.course.places import LessonFolder
from minilm.data.images import asking, scenes
from minilm.errors import InputError
from minilm.models import Transformer
from minilm.studies import record

HERE = LessonFolder(Path(__file__).parents[1], "07e_vision_language")
seeing = HERE.study("seeing")
E = seeing.E


def test_every_answer_stands_where_its_question_ends():
    some = E.talks(40, 5)
    for scene, row, targets in zip(some.scenes, some.asked, some.targets, strict=True):
        words = asking.decode(row)[0].split()
        marks = [i for i, word in enumerate(words) if word == "?"]
        assert len(marks) == E.ASKED
        assert np.flatnonzero(targets != -100).tolist() == marks
        begin = 0
        for mark in marks:
            answer = asking.answer(scene, " ".join(words[begin : mark + 1]))
            assert answer == words[mark + 1] == asking.WORDS[targets[mark]]
            begin = mark + 2


def test_told_scenes_are_caption_then_questions():
    some = E.talks(10, 5)
    ids, targets = E.told(some)
    text = asking.decode(ids[0])[0]
    assert text.startswith(f"{asking.START} {scenes.caption(some.scenes[0])} ")
    assert ids.shape == targets.shape == (10, E.CONTEXT)
    shown = targets[0] != -100
    assert np.array_equal(targets[0][shown][:-1], ids[0, 1:][shown[:-1]][: shown.sum() - 1])


def test_the_yardstick_does_not_look():
    pool, exam = E.talks(400, 5), asking.exam(120, 6, about=("colour",))
    found = E.blind(pool, exam)
    assert set(found) == {"right", "colour"} and found["right"] == found["colour"] < 0.8


def test_english_shares_the_words_of_the_scenes():
    names, known, held = E.english()
    assert names[: len(asking.WORDS)] == asking.WORDS and len(set(names)) == len(names)
    assert (known == names.index("the")).mean() > 0.02 and len(held) > 5000


def test_a_study_of_a_few_steps(tmp_path, monkeypatch):
    monkeypatch.setattr(seeing, "COUNT", 64)
    monkeypatch.setattr(seeing, "EXAM", 24)
    lm = Transformer(E.make_language(0).config).state_dict()
    monkeypatch.setattr(E, "read_texts", lambda seed, steps: lm)
    out = str(tmp_path / "seeing.json")
    few = {"steps": 2, "tune_steps": 1, "text_steps": 1, "eye_steps": 2, "seeds": (0,)}
    ways = ("projector", "mixed", "expert", "strided", "queries 4 taught", "eye paint")
    seeing.study(out, ways=ways, **few, say=lambda line: None)
    runs = {run["model"]: run for run in record.load(Path(out))["runs"]}
    assert set(runs) == set(ways)
    assert all(runs[way]["same_bits"] for way in ways if way != "mixed")
    assert not runs["mixed"]["same_bits"]
    assert runs["projector"]["tokens"] == 16 and runs["strided"]["tokens"] == 4
    for way in ("projector", "expert"):
        assert runs[way]["text"] == runs[way]["text_before"]
    assert runs["expert"]["parameters"] > 10 * runs["projector"]["parameters"]


def test_unknown_ways_are_refused(tmp_path):
    with pytest.raises(InputError, match="ways names 'prayer'"):
        seeing.study(str(tmp_path / "x.json"), ways=("prayer",))


def test_a_scene_in_one_line():
    pictures = HERE.pictures
    scene = pictures.scene_of("blue 7 at d1, a red ring at b2")
    assert [t.name for t in scene] == ["blue 7", "red ring"]
    with pytest.raises(InputError, match="outside the grammar"):
        pictures.scene_of("a unicorn at b2")
