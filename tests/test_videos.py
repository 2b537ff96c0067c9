"""The world of moving things: paths, what happens, captions that invert, an oracle that reads."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minilm import InputError
from minilm.data.images import video_captions as V
from minilm.data.images.video_oracle import judge_video, read_video
from minilm.data.images.videos import (
    CELL,
    SPAN,
    Mover,
    Scene,
    draw_video,
    tell,
    texture,
    videos,
)


def stepped(place, speed, frames, span):
    """One axis walked in hundredths of a frame, turning at each wall: places and turns."""
    place, speed, places, turns = Fraction(place), Fraction(speed, 60), [], 0
    for tick in range(60 * (frames - 1) + 1):
        if tick % 60 == 0:
            places.append(int(place))
        if tick == 60 * (frames - 1):
            break
        if tick and ((place == span and speed > 0) or (place == 0 and speed < 0)):
            speed, turns = -speed, turns + 1
        elif not 0 <= place + speed <= span:
            speed = -speed  # at the wall from the start
        place += speed
    return places, turns


@settings(max_examples=60, deadline=None)
@given(
    st.tuples(st.integers(0, SPAN), st.integers(0, SPAN)),
    st.tuples(st.integers(-3, 3), st.integers(-3, 3)),
    st.integers(1, 12),
)
def test_paths_and_bounces_as_walked_step_by_step(place, speed, frames):
    story = tell(Scene((Mover("red", "ring", *place, *speed),)), frames)
    rows, up = stepped(place[0], speed[0], frames, SPAN)
    columns, across = stepped(place[1], speed[1], frames, SPAN)
    assert story.places[0].tolist() == [list(at) for at in zip(rows, columns)]
    assert story.bounces == (up + across,)


def two_walked(scene, frames):
    """Two things in a lane in sixtieths of a frame: they change speeds where they touch."""
    (a, b), walls, met, seen = scene.movers, [0, 0], 0, []
    x, v = (
        [Fraction(a.column), Fraction(b.column)],
        [Fraction(a.right, 120), Fraction(b.right, 120)],
    )
    for tick in range(120 * (frames - 1) + 1):
        if tick % 120 == 0:
            seen.append([int(p) if p.denominator == 1 else p for p in x])
        if tick == 120 * (frames - 1):
            break
        for _ in range(3):  # a wall may send one into the other at once
            if x[0] == 0 and v[0] < 0:
                v[0], walls[0] = -v[0], walls[0] + (tick > 0)
            if x[1] == SPAN and v[1] > 0:
                v[1], walls[1] = -v[1], walls[1] + (tick > 0)
            if x[1] - x[0] == CELL and v[0] > v[1]:
                v, met = v[::-1], met + (tick > 0)
        x = [p + s for p, s in zip(x, v)]
    return seen, tuple(walls), met


def test_collisions_as_walked_step_by_step():
    made = videos(60, 3, ("collide",))
    for scene, story in zip(made.scenes, made.stories):
        seen, walls, met = two_walked(scene, 8)
        found = story.places[:, :, 1].T
        # Between two whole places the picture shows the smaller one.
        assert all(f == int(p // 1) for line, row in zip(found, seen) for f, p in zip(line, row))
        assert story.collisions == met >= 1
        assert story.bounces == walls


def test_the_nearer_hides_the_farther():
    far, near = Mover("red", "square", 4, 0, 0, 1), Mover("blue", "ring", 4, 8, 0, -1)
    story, video = tell(Scene((far, near))), draw_video(Scene((far, near)))
    assert [t for t, hidden in enumerate(story.hidden) if hidden] == [3, 4, 5]
    assert story.places[:, 4, 1].tolist() == [4, 4]  # one upon the other
    blue = video[2, 4, 4:8, 4:8] > video[0, 4, 4:8, 4:8]
    assert blue.sum() == 12  # the ring's ink; the square shows through the middle
    assert not any(tell(Scene((far,))).hidden)


def test_a_texture_rests_and_is_hidden():
    paper = texture(np.random.default_rng(0), 0.5)
    video = draw_video(Scene((Mover("white", "square", 0, 0, 0, 1),)), 3, paper)
    assert paper.min() >= 0 and paper.max() <= 0.5 and paper.std() > 0.02
    np.testing.assert_array_equal(video[:, :, 4:], np.repeat(paper[:, None, 4:], 3, 1))
    assert (video[:, 1, :4, 1:5] == 1).all()


def test_videos_are_what_was_asked_for():
    made = videos(12, 1, ("one",), bounces=(0, 1, 2))
    assert [story.bounces[0] for story in made.stories] == [0, 1, 2] * 4
    assert made.frames.shape == (12, 3, 8, 12, 12) and made.frames.dtype == np.float32
    again = videos(12, 1, ("one",), bounces=(0, 1, 2))
    np.testing.assert_array_equal(made.frames, again.frames)
    straight = videos(30, 2, ("one",), straight=True, colours=("red",), shapes=("bar", "post"))
    assert all((s.movers[0].down == 0) != (s.movers[0].right == 0) for s in straight.scenes)
    assert {s.movers[0].name for s in straight.scenes} == {"red bar", "red post"}


def test_full_captions_are_the_scene():
    made = videos(150, 5)
    assert {len(scene.movers) for scene in made.scenes} == {1, 2}
    for scene, frames in zip(made.scenes, made.frames):
        again = V.parse(V.caption(scene))
        assert again == scene
        np.testing.assert_array_equal(draw_video(again), frames)


def test_captions_at_each_level():
    scene = Scene((Mover("red", "ring", 3, 5, 2, -1),))
    assert [V.caption(scene, level) for level in V.LEVELS] == [
        "ring",
        "red ring",
        "red ring moves down left fast",
        "red ring from row 3 column 5 going 2 down 1 left",
    ]
    still = scene._replace(movers=(scene.movers[0]._replace(down=0, right=0),))
    assert V.caption(still, 3) == "red ring rests"
    assert V.parse(V.caption(still)) == still


def test_questions_have_the_true_answers():
    far, near = Mover("red", "square", 4, 0, 0, 3), Mover("blue", "ring", 4, 8, 0, 0)
    asked = dict(V.questions(Scene((far, near))))
    assert asked["how many things are there?"] == "2"
    assert asked["how often does the red square bounce off a wall?"] == "2"
    assert asked["which way does the blue ring start?"] == "nowhere"
    assert asked["what passes behind what?"] == "red square behind blue ring"
    lane = Scene((Mover("red", "bar", 0, 0, 0, 1), Mover("red", "post", 0, 8, 0, -1)), solid=True)
    assert dict(V.questions(lane))["how often do they collide?"] == "2"
    same = Scene((far, near._replace(colour="red", shape="square")))
    assert all("bounce" not in question.text for question in V.questions(same))


def test_the_oracle_reads_every_true_video():
    made = videos(80, 7, ("one",))
    for frames in made.frames:
        reading = read_video(frames, straight=False)
        assert reading.legible and reading.error == pytest.approx(0, abs=1e-9)
        np.testing.assert_array_equal(draw_video(reading.scene), frames)


def test_the_oracle_through_noise_and_without_a_thing():
    made, random = videos(40, 8, ("one",), straight=True), np.random.default_rng(0)
    noisy = made.frames + 0.05 * random.standard_normal(made.frames.shape)
    asked = [V.slots(scene) for scene in made.scenes]
    shown = [judge_video(video, wanted) for video, wanted in zip(noisy, asked)]
    assert np.mean(shown) == 1
    for level in (0.0, 0.5):
        assert not judge_video(np.full((3, 8, 12, 12), level), asked[0]).any()
    wrong = asked[0].copy()
    wrong[0] = wrong[0] % 8 + 1
    assert judge_video(made.frames[0], wrong).tolist() == [False, True, True, True]
    assert judge_video(made.frames[0], 0 * wrong).all()


RING = Mover("red", "ring", 0, 0, 0, 1)
REFUSED = {
    "no thing": (lambda: tell(Scene(())), "scene has 0 things"),
    "a colour": (lambda: tell(Scene((RING._replace(colour="beige"),))), "'beige ring'"),
    "a place": (lambda: tell(Scene((RING._replace(row=9),))), "row and column must be from 0 to 8"),
    "a speed": (lambda: tell(Scene((RING._replace(down=4),))), "at most 3 is allowed"),
    "no frame": (lambda: tell(Scene((RING,)), 0), "frames is 0"),
    "one in a lane": (lambda: tell(Scene((RING,), True)), "two things in one row"),
    "none": (lambda: videos(0), "count is 0"),
    "a kind": (lambda: videos(1, kinds=("fall",)), "kinds is ['fall']"),
    "paper": (lambda: videos(1, paper=2), "paper is 2"),
    "bounces": (lambda: videos(1, kinds=("one",), bounces=(30,)), "bounces holds 30"),
    "a level": (lambda: V.caption(Scene((RING,)), 5), "level is 5"),
    "a text": (lambda: V.parse("a red ring"), "caption has 'a red ring'"),
    "two ways": (lambda: V.slots(Scene((RING._replace(down=1),))), "room for one direction"),
    "a video": (lambda: read_video(np.zeros((8, 12, 12))), "video is (8, 12, 12)"),
    "nan": (lambda: read_video(np.full((3, 2, 12, 12), np.nan)), "nan or inf"),
    "ids": (lambda: judge_video(np.zeros((3, 2, 12, 12)), np.array([9, 0, 0, 0])), "below [9, 9"),
}


@pytest.mark.parametrize("call, words", REFUSED.values(), ids=REFUSED)
def test_refusals(call, words):
    with pytest.raises(InputError) as error:
        call()
    assert words in str(error.value)
