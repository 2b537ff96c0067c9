"""Pictures without a download: digits split by seed, drawn letters, the sprite world's oracle."""

import math
import subprocess
import sys

import numpy as np
import pytest

from minilm import InputError
from minilm.data.images import digits, glyphs, split_digits, sprites
from minilm.data.images.sprites import Thing, draw, judge, read, true_captions

# --- real digits --------------------------------------------------------------------------------


def test_a_split_holds_every_digit_once():
    images, labels = digits()
    split = split_digits(seed=3, held=500)
    assert split.held_images.shape == (500, 8, 8) and split.images.shape == (1297, 8, 8)

    def counted(images, labels):
        return sorted((int(y), x.tobytes()) for x, y in zip(images, labels))

    both = counted(split.images, split.labels) + counted(split.held_images, split.held_labels)
    assert sorted(both) == counted(images, labels)


def test_a_seed_gives_one_split_and_another_seed_another():
    one, again, other = split_digits(seed=1), split_digits(seed=1), split_digits(seed=2)
    assert all(np.array_equal(a, b) for a, b in zip(one, again))
    assert not np.array_equal(one.held_labels, other.held_labels)


# --- drawn letters ------------------------------------------------------------------------------


@pytest.mark.parametrize("side", [8, 15, 64])
def test_glyphs_have_the_side_asked_for(side):
    made = glyphs(6, side, letters="Ab3")
    assert made.images.shape == (6, side, side) and made.images.dtype == np.float32
    assert made.images.min() == 0 and 0.3 < made.images.max() <= 1
    assert set(made.labels) <= {0, 1, 2} and set(made.fonts) <= set(range(16))


def test_one_seed_draws_one_set_of_glyphs():
    one, again, other = glyphs(8, seed=5), glyphs(8, seed=5), glyphs(8, seed=6)
    assert all(np.array_equal(a, b) for a, b in zip(one, again))
    assert not np.array_equal(one.images, other.images)


def test_the_same_seed_gives_the_same_pictures_at_every_side():
    large, small = glyphs(40, 64, seed=7), glyphs(40, 16, seed=7)
    assert np.array_equal(large.labels, small.labels)
    pooled = large.images.reshape(40, 16, 4, 16, 4).mean((2, 4))
    error = np.abs(pooled - small.images)
    assert error.mean() < 0.005 and error.max() < 0.25
    shuffled = np.abs(pooled - small.images[::-1])
    assert error.mean() < shuffled.mean() / 10


def test_no_two_glyphs_of_a_letter_and_font_are_alike():
    made = glyphs(20, 16, letters="8", fonts=["cmr10"], seed=0).images.reshape(20, -1)
    ink = made.sum(1)
    assert len(np.unique(made, axis=0)) == 20
    assert ink.max() > 1.5 * ink.min()  # strokes of different width


def still_bar(monkeypatch, stroke, side):
    """The I of a font without serifs, 62 by 8 of the page's 128, drawn by an unmoving hand."""
    module = sys.modules["minilm.data.images.glyphs"]
    for name in ("TURN", "SHEAR", "SHIFT", "WAVE"):
        monkeypatch.setattr(module, name, 0.0)
    monkeypatch.setattr(module, "GROW", (1.0, 1.0))
    monkeypatch.setattr(module, "STROKE", (stroke, stroke))
    return glyphs(1, side, letters="I", fonts=["cmss10"]).images[0].astype(float)


@pytest.mark.parametrize("side", [16, 32, 64])
@pytest.mark.parametrize("stroke", [0.0, 0.024, -0.004])
def test_a_stroke_grows_on_all_sides_by_what_is_added(monkeypatch, stroke, side):
    """A rectangle grown by g has the area w h + 2 g (w + h) + pi g^2; shrunk, square corners."""
    w, h, g = 8 / 128, 62 / 128, stroke
    corners = math.pi if g > 0 else 4
    area = w * h + 2 * g * (w + h) + corners * g * g
    assert still_bar(monkeypatch, stroke, side).mean() == pytest.approx(area, rel=0.02)


def test_an_unmoved_letter_stands_in_the_middle_with_sharp_edges(monkeypatch):
    bar = still_bar(monkeypatch, 0.0, 64)
    assert np.allclose(bar, bar[::-1]) and np.allclose(bar, bar[:, ::-1])
    assert bar[32].tolist() == [0] * 30 + [1] * 4 + [0] * 30


def test_letters_are_told_apart_by_their_shape_alone():
    """The nearest of 2000 other drawings names a digit right far more often than chance, .1."""
    made = glyphs(2200, 16, seed=8)
    x = made.images.reshape(2200, -1)
    known, asked = x[:2000], x[2000:]
    distance = (known**2).sum(1) - 2 * asked @ known.T
    assert (made.labels[distance.argmin(1)] == made.labels[2000:]).mean() > 0.8


def test_ink_is_not_cut_off_at_the_border():
    """In nearly every picture of a digit the frame of one pixel is paper."""
    images = glyphs(200, 32, seed=9).images
    inner = images[:, 1:-1, 1:-1].sum((1, 2))
    assert ((images.sum((1, 2)) - inner) / inner < 0.01).mean() > 0.98


# --- sprites ------------------------------------------------------------------------------------


def every_caption():
    for first in sprites.PAIRS:
        for place in sprites.PLACES:
            yield f"{' '.join(first)} at {place}"
        for relation in sprites.RELATIONS:
            for second in sprites.PAIRS:
                yield f"{' '.join(first)} {relation} {' '.join(second)}"


def test_the_world_has_64_things_and_no_two_look_alike():
    assert len(sprites.PAIRS) == 64
    looks = {draw([Thing(*pair, 0, 0)]).tobytes() for pair in sprites.PAIRS}
    assert len(looks) == 64


def test_a_scene_written_by_hand():
    scene = (Thing("red", "ring", 0, 0), Thing("blue", "bar", 2, 1))
    assert true_captions(scene) == [
        "blue bar at bottom",
        "blue bar below red ring",
        "blue bar right of red ring",
        "red ring above blue bar",
        "red ring at top left",
        "red ring left of blue bar",
    ]
    image = draw(scene)
    assert image.shape == (3, 12, 12)
    red = np.array([[1, 1, 1, 1], [1, 0, 0, 1], [1, 0, 0, 1], [1, 1, 1, 1]])
    assert np.array_equal(image[0, :4, :4], red) and not image[1:, :4, :4].any()
    assert np.array_equal(np.argwhere(image[2].any(1)).ravel(), [9, 10])  # the bar's two rows
    assert read(image) == scene


def test_the_oracle_reads_every_thing_in_every_pair_of_cells():
    for pair in sprites.PAIRS:
        for other, cells in zip(sprites.PAIRS, np.ndindex(9, 9)):
            if cells[0] < cells[1]:
                scene = (Thing(*pair, *divmod(cells[0], 3)), Thing(*other, *divmod(cells[1], 3)))
                assert read(draw(scene)) == scene


def test_the_oracle_accepts_the_true_captions_and_no_other():
    captions = list(every_caption())
    assert len(captions) == 64 * 9 + 64 * 64 * 4
    world = sprites.sprites(12, seed=4)
    for image, scene in zip(world.images, world.scenes):
        accepted = set(true_captions(read(image)))
        assert accepted == {caption for caption in captions if is_true(caption, *scene)}
    for caption in captions[::41]:
        assert judge(image, caption).whole == (caption in accepted)


def is_true(caption, a, b):
    """Read from the words, with pixels counted from the left and the top."""
    words = caption.split()
    for first, second in ((a, b), (b, a)):
        if words[:2] != [first.colour, first.shape]:
            continue
        if words[2] == "at":
            row = 0 if "top" in words else 2 if "bottom" in words else 1
            column = 0 if "left" in words else 2 if "right" in words else 1
            if (first.row, first.column) == (row, column):
                return True
        elif words[-2:] == [second.colour, second.shape]:
            way = {
                "left": first.column - second.column,
                "right": second.column - first.column,
                "above": first.row - second.row,
                "below": second.row - first.row,
            }
            if way[words[2]] < 0:
                return True
    return False


def test_the_oracle_reads_every_true_scene_and_refuses_another_scenes_caption():
    world = sprites.sprites(400, seed=1)
    assert all(judge(i, c) == (True, 1.0, True) for i, c in zip(world.images, world.captions))
    turned = world.captions[1:] + world.captions[:1]
    for image, caption, scene in zip(world.images, turned, world.scenes):
        assert judge(image, caption).whole == is_true(caption, *scene)
    assert np.mean([judge(i, c).whole for i, c in zip(world.images, turned)]) < 0.02


def test_the_oracle_reads_through_noise_and_not_through_more():
    world, rng = sprites.sprites(100, seed=2), np.random.default_rng(0)
    for noise, low, high in ((0.1, 0.99, 1), (0.5, 0, 0)):
        noisy = world.images + noise * rng.standard_normal(world.images.shape)
        read_right = np.mean([judge(i, c).whole for i, c in zip(noisy, world.captions)])
        assert low <= read_right <= high


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((3, 12, 12)),
        np.full((3, 12, 12), np.nan),
        draw([Thing("red", "ring", 0, 0)]),
        draw([Thing("red", "ring", 0, i) for i in range(3)]),
        np.roll(draw([Thing("red", "ring", 0, 0), Thing("blue", "bar", 1, 1)]), 2, axis=2),
    ],
    ids=["paper", "nan", "one thing", "three things", "between cells"],
)
def test_a_picture_that_is_no_scene_is_not_legible(image):
    assert read(image) is None
    assert judge(image, "red ring at top left") == (False, 0.0, False)


def test_things_count_by_half_and_twice_the_same_needs_two():
    image = draw([Thing("red", "ring", 0, 0), Thing("blue", "bar", 1, 1)])
    assert judge(image, "red ring right of blue bar") == (True, 1.0, False)
    assert judge(image, "red ring left of pink bar") == (True, 0.5, False)
    assert judge(image, "red ring left of red ring") == (True, 0.5, False)
    assert judge(image, "red  ring  above blue bar").whole


def test_held_pairs_are_never_shown_or_always_named():
    held = {("red", "ring"), ("blue", "bar")}
    names = {"red ring", "blue bar"}
    train = sprites.sprites(500, held=held)
    assert not any(thing.name in names for scene in train.scenes for thing in scene)
    test = sprites.sprites(100, held=held, only_held=True)
    assert all(names & set(sprites.named_in(caption)) for caption in test.captions)
    assert all(judge(i, c).whole for i, c in zip(test.images, test.captions))


def test_one_seed_makes_one_world():
    one, again, other = sprites.sprites(9), sprites.sprites(9), sprites.sprites(9, seed=1)
    assert np.array_equal(one.images, again.images) and one.captions == again.captions
    assert one.captions != other.captions


def test_captions_become_ids_and_back():
    captions = ["red ring left of blue bar", "white check at bottom right"]
    ids = sprites.encode(captions)
    assert ids.shape == (2, 6) and ids[1, 5] == 0
    assert sprites.decode(ids) == captions
    every = list(every_caption())[::101]
    assert sprites.decode(sprites.encode(every)) == every


# --- what is refused, what is loaded ------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: split_digits(held=0), "held is 0; it must be from 1 to 1796"),
        (lambda: split_digits(held=1797), "held is 1797"),
        (lambda: split_digits(seed=-1), "seed is -1"),
        (lambda: glyphs(0), "count is 0; it must be 1 or more"),
        (lambda: glyphs(1, 7), "side is 7; it must be from 8 to 64"),
        (lambda: glyphs(1, letters=""), "there must be at least one of each"),
        (lambda: glyphs(1, letters="1 "), "letters has ' '; allowed are 0 to 9, A to Z and a to"),
        (lambda: glyphs(1, letters="é"), "letters has 'é'; allowed are"),
        (lambda: glyphs(1, fonts=["STIXSizOneSymReg"]), "letters has '0'; STIXSizOneSymReg does"),
        (lambda: glyphs(1, fonts=["Arial"]), "font is 'Arial'; it must be one that matplotlib"),
        (lambda: sprites.sprites(0), "count is 0; it must be 1 or more"),
        (lambda: sprites.sprites(1, held=[("red", "egg")]), "held has ('red', 'egg'); a pair is"),
        (lambda: sprites.sprites(1, held=sprites.PAIRS), "held has every pair"),
        (lambda: sprites.sprites(1, only_held=True), "held is empty"),
        (lambda: draw([Thing("red", "egg", 0, 0)]), "thing is 'red egg'"),
        (lambda: draw([Thing("red", "bar", 0, 3)]), "cell is (0, 3)"),
        (lambda: draw([Thing("red", "bar", 0, 0)] * 2), "two things are in one cell"),
        (lambda: read(np.zeros((12, 12, 3))), "image is (12, 12, 3); it must be (3, 12, 12)"),
        *(
            (lambda c=c: sprites.encode([c]), f"caption {c!r} is outside the grammar: it must be")
            for c in (
                *("", "red ring", "red egg at top", "red ring at noon", "red ring at"),
                *("red ring left blue bar", "red ring beside blue bar", "ring red at top"),
                "red ring at top left of blue bar",
            )
        ),
    ],
)
def test_what_is_refused(call, text):
    with pytest.raises(InputError) as error:
        call()
    assert text in str(error.value)


def test_libraries_load_when_they_are_used():
    source = (
        "import sys, minilm.data.images\n"
        "print([m for m in ('sklearn', 'matplotlib', 'scipy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr
