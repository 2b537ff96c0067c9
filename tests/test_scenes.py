"""Scenes and their captions read back; questions against an independent look at the pixels."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minilm import InputError
from minilm.backend import rng
from minilm.data.images import asking, scenes
from minilm.data.images.scenes import Thing
from minilm.data.images.sprites import COLOURS

THINGS = st.builds(
    Thing,
    st.sampled_from(list(COLOURS)),
    st.sampled_from(scenes.KINDS),
    st.integers(0, 3),
    st.integers(0, 3),
)
SCENES = st.lists(THINGS, min_size=1, max_size=4, unique_by=lambda t: (t.row, t.column)).map(
    lambda things: tuple(sorted(things, key=lambda t: (t.row, t.column)))
)
ONE = (Thing("red", "ring", 1, 1), Thing("blue", "7", 0, 3))


@given(SCENES)
@settings(max_examples=60, deadline=None)
def test_pictures_and_captions_are_read_back(scene):
    assert scenes.read(scenes.draw(scene)) == scene
    for level in scenes.LEVELS:
        said = scenes.parse(scenes.caption(scene, level))
        assert said.level == level and said.count == len(scene)
        assert said.names == (None if level == "count" else tuple(t.name for t in scene))
        assert said.scene == (scene if level == "places" else None)


def test_a_caption_is_what_a_reader_would_say():
    assert scenes.caption(ONE, "count") == "two things ."
    assert scenes.caption(ONE, "names") == "a blue 7 , a red ring ."
    assert scenes.caption(ONE) == "a blue 7 at d1 , a red ring at b2 ."


def test_no_two_kinds_look_alike():
    pictures = [scenes.draw([Thing("white", kind, 0, 0)]) for kind in scenes.KINDS]
    for i, one in enumerate(pictures):
        assert all((one != other).sum() >= 3 for other in pictures[:i])  # one pixel, three colours


def test_noise_is_not_legible():
    assert scenes.read(rng(0, "noise").random((3, 20, 20)).astype(np.float32)) is None
    assert scenes.read(np.full((3, 20, 20), np.nan, np.float32)) is None
    assert scenes.read(np.zeros((3, 20, 20), np.float32)) is None  # no thing at all


@pytest.mark.parametrize(
    "text",
    [
        "",
        "two things",
        "five things .",
        "zero things .",
        "a red ring",
        "a red ring at b9 .",
        "a red ring at b2 , a blue 7 at d1 .",  # not in reading order
        "a red ring at b2 , a blue 7 at b2 .",
        "a red ring at b2 , a blue 7 .",
        "a ring red .",
    ],
)
def test_other_texts_are_no_captions(text):
    with pytest.raises(InputError, match="outside the grammar"):
        scenes.parse(text)


def by_pixels(image, question):
    """The answer from a dictionary of cells, written without the world's own code for scenes."""
    board = {}
    for i in range(16):
        patch = image[:, 5 * (i // 4) : 5 * (i // 4) + 5, 5 * (i % 4) : 5 * (i % 4) + 5]
        if patch.any():
            for colour in COLOURS:
                for kind in scenes.KINDS:
                    alone = scenes.draw([Thing(colour, kind, 0, 0)])[:, :5, :5]
                    if np.array_equal(alone, patch):
                        board["abcd"[i % 4] + str(i // 4 + 1)] = (colour, kind)
    words = question.split()
    where = {kind: cell for cell, (_, kind) in board.items()}
    if words[:2] == ["how", "many"]:
        some = [c for c, _ in board.values() if words[2] in ("things", c)]
        return asking.NUMBERS[len(some)]
    if words[0] == "where":
        return where[words[3]]
    if words[1] == "colour":
        return board[where[words[4]]][0]
    if words[2] == "at":
        return board.get(words[3], (None, "nothing"))[1]
    if words[0] == "what":
        return next(kind for colour, kind in board.values() if colour == words[3])
    (x1, y1), (x2, y2) = where[words[2]], where[words[-2]]
    holds = {"left": x1 < x2, "right": x1 > x2, "above": y1 < y2, "below": y1 > y2}[words[3]]
    return "yes" if holds else "no"


def test_answers_are_what_the_pixels_say():
    exam = asking.exam(240, seed=3)
    assert {*exam.about} == {*asking.ABOUT} and exam.images.dtype == np.float32
    for image, question, answer in zip(exam.images, exam.questions, exam.answers, strict=True):
        assert by_pixels(image, question) == answer


def test_open_questions_have_no_answer():
    twice = (Thing("red", "ring", 0, 0), Thing("red", "ring", 1, 0))
    assert asking.answer(twice, "what colour is the ring ?") is None
    assert asking.answer(twice, "what is the red thing ?") is None
    assert asking.answer(twice, "is the ring above the ring ?") is None
    assert asking.answer(twice, "how many red things are there ?") == "two"
    assert asking.answer(ONE, "what is at a4 ?") == "nothing"


def test_words_and_ids():
    exam = asking.exam(300, seed=1)
    ids = asking.encode(exam.questions, asking.LONGEST)
    assert ids.shape == (300, 8) and asking.decode(ids) == exam.questions
    asking.encode(exam.answers, 1)
    longest = max(len(scenes.caption(scene).split()) for scene in exam.scenes)
    assert longest == 24  # four things
    asking.encode([scenes.caption(scene) for scene in exam.scenes])
    assert len(set(asking.WORDS)) == len(asking.WORDS)


def test_exams_can_be_repeated_and_narrowed():
    one, two = asking.exam(20, seed=4), asking.exam(20, seed=4)
    assert one.questions == two.questions and one.scenes == two.scenes
    few = asking.exam(40, about=("count",), most=2, kinds=("ring", "7"))
    assert {t.kind for scene in few.scenes for t in scene} == {"ring", "7"}
    assert max(map(len, few.scenes)) == 2
    assert [len(s) for s in scenes.scenes(400, 1)].count(1) in range(70, 131)  # a quarter


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: scenes.scenes(0), "count is 0"),
        (lambda: scenes.scenes(1, most=5), "most is 5"),
        (lambda: scenes.scenes(1, kinds=("blob",)), "kinds has 'blob'"),
        (lambda: scenes.scenes(1, kinds=()), "kinds is empty"),
        (lambda: scenes.draw([Thing("red", "blob", 0, 0)]), "red blob"),
        (lambda: scenes.draw([Thing("red", "ring", 0, 4)]), r"\(0, 4\)"),
        (lambda: scenes.draw([ONE[0], ONE[0]]), "two things are in one cell"),
        (lambda: scenes.caption(ONE, "poem"), "level is 'poem'"),
        (lambda: scenes.caption(()), "scene has 0 things"),
        (lambda: scenes.read(np.zeros((3, 4, 4))), r"image is \(3, 4, 4\)"),
        (lambda: asking.answer(ONE, "who are you ?"), "outside the grammar"),
        (lambda: asking.ask(ONE, "weather", rng(0)), "about is 'weather'"),
        (lambda: asking.exam(1, about=()), "about is empty"),
        (lambda: asking.exam(1, about=("relation",), most=1), "cannot be asked about"),
        (lambda: asking.encode([]), "texts is empty"),
        (lambda: asking.encode(["a unicorn"]), "'unicorn' is no word"),
        (lambda: asking.encode(["a red ring"], 2), "has 3 words; length is 2"),
    ],
)
def test_what_is_refused(call, says):
    with pytest.raises(InputError, match=says):
        call()
