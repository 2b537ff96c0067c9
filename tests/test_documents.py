"""Small print and its oracle; pictures at other sizes against loops and averages."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minilm import InputError
from minilm.data.images import documents, font
from minilm.data.images.documents import Box
from minilm.data.images.resize import area_weights, resize, resize_part

# --- the font -----------------------------------------------------------------------------------


def test_no_two_signs_of_the_font_look_alike():
    looks = {sign: ink.tobytes() for sign, ink in font.SIGNS.items()}
    assert len(looks) == 10 + 26 + 8 + 1 and len(set(looks.values())) == len(looks)
    assert all(ink.shape == (5, 3) for ink in font.SIGNS.values())


def test_a_word_written_by_hand():
    assert font.write("17").astype(int).tolist() == [
        [0, 1, 0, 0, 1, 1, 1],
        [1, 1, 0, 0, 0, 0, 1],
        [0, 1, 0, 0, 0, 0, 1],
        [0, 1, 0, 0, 0, 1, 0],
        [1, 1, 1, 0, 0, 1, 0],
    ]


SIGNS = "".join(sorted(font.SIGNS))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.text(SIGNS, max_size=9), min_size=1, max_size=4), st.sampled_from([1, 2]))
def test_a_page_is_read_back_at_both_sizes(lines, shrunk):
    page = font.write_page(lines, 9)
    small = page.reshape(page.shape[0] // shrunk, shrunk, -1, shrunk).mean((1, 3))
    assert font.read_page(small, shrunk) == [line.rstrip() for line in lines]


def test_a_page_that_holds_no_sign_is_not_legible():
    page = font.write_page(["A1"], 2)
    assert font.read_page(1 - page) is None and font.read_page(page + np.nan) is None


# --- sizes --------------------------------------------------------------------------------------


def test_half_the_side_averages_and_twice_the_side_repeats():
    x = np.random.default_rng(0).random((2, 3, 6, 6))
    assert np.allclose(resize(x, 3), x.reshape(2, 3, 3, 2, 3, 2).mean((3, 5)))
    assert np.allclose(resize(x, 12), x.repeat(2, 2).repeat(2, 3))
    assert np.array_equal(resize(x, 6), x)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 9),
    st.integers(1, 12),
    st.floats(0, 0.45),
    st.floats(0.55, 1),
)
def test_weights_are_shares_of_what_is_covered(length, size, a, b):
    """Against a fine grid of points: each new pixel takes the pixels under it."""
    start, stop = a * length, b * length
    weights = area_weights(length, size, start, stop)
    assert weights.shape == (size, length) and np.allclose(weights.sum(1), 1)
    points = start + (stop - start) * (np.arange(size * 4000) + 0.5) / (size * 4000)
    pixel = np.minimum(points.astype(int), length - 1)
    counted = np.stack([np.bincount(row, minlength=length) for row in pixel.reshape(size, -1)])
    assert np.abs(counted / 4000 - weights).max() < 2 / 4000 + 1e-9


def test_a_part_keeps_the_mean_and_the_type():
    x = np.random.default_rng(1).random((3, 8, 10)).astype(np.float32)
    part = resize_part(x, (1, 2, 5, 8), 3)
    assert part.dtype == np.float32 and part.shape == (3, 3, 3)
    assert np.allclose(part.mean((1, 2)), x[:, 1:5, 2:8].mean((1, 2)))


# --- forms --------------------------------------------------------------------------------------


def test_a_form_drawn_by_hand():
    image = documents.draw([Box("blue", 17, 0, 2, 1, 0)])
    assert image.shape == (3, 24, 24) and image.dtype == np.float32
    paper = np.array(documents.COLOURS["blue"], np.float32)[:, None, None]
    assert np.array_equal(image[:, 1:6, 16:23], paper * (1 - font.write("17")))
    assert (image[:, 8:] == 1).all() and (image[:, :, :16] == 1).all()


@pytest.mark.parametrize(("side", "legible"), [(24, 1), (20, 1), (16, 0.7), (12, 0.7), (8, 0)])
def test_without_noise_the_oracle_reads_a_page_right_or_not_at_all(side, legible):
    world, count = documents.forms(60, seed=3), 0
    for image, page in zip(resize(world.images, side), world.boxes):
        found = documents.read(image)
        if found is not None:
            count += 1
            in_order = sorted(page, key=lambda b: (b.row, b.column))
            assert [box[:4] for box in found] == [box[:4] for box in in_order]
    assert count / 60 >= legible


def test_questions_are_about_a_box_that_is_there():
    world = documents.forms(300, seed=1)
    for page, asked, number, place in zip(world.boxes, world.asked, world.numbers, world.places):
        box = next(b for b in page if b.colour == documents.NAMES[asked])
        assert (box.number, 3 * box.row + box.column) == (number, place)
        assert len({b.colour for b in page}) == 4
    assert len(set(world.places)) == 9 and len(set(world.asked)) == 8


def test_one_seed_draws_one_world():
    one, again, other = (documents.forms(9, seed=s) for s in (0, 0, 1))
    assert np.array_equal(one.images, again.images) and one.boxes == again.boxes
    assert one.boxes != other.boxes


def test_fewer_pixels_of_a_noisy_scan_tell_less():
    """With noise a reader that knows every look fails first where pixels are few."""
    world = documents.forms(300, seed=2)
    scans = documents.scan(world.images, 0.25, seed=5)
    right = [
        np.mean(documents.best_numbers(resize(scans, side), world.asked) == world.numbers)
        for side in (24, 12, 8)
    ]
    assert right[0] > 0.95 and right[0] > right[1] + 0.05 and right[1] > right[2] + 0.1
    assert right[2] > 0.03  # chance is .01: some print is left even at 8 pixels
    clean = documents.best_numbers(world.images, world.asked)
    assert np.array_equal(clean, world.numbers)


def test_a_scan_has_the_noise_asked_for():
    blank = np.zeros((50, 3, 24, 24), np.float32)
    noisy = documents.scan(blank, 0.2, seed=1)
    assert noisy.dtype == np.float32 and noisy.std() == pytest.approx(0.2, rel=0.02)
    assert np.array_equal(documents.scan(blank, 0), blank)
    assert resize(noisy, 12).std() == pytest.approx(0.1, rel=0.03)  # the mean of four


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: font.write(""), "text is empty"),
        (lambda: font.write("é"), "text has 'é'; the font has"),
        (lambda: font.write_page([], 3), "lines is empty"),
        (lambda: font.write_page(["ABCD"], 3), "line 'ABCD' has 4 signs; columns is 3"),
        (lambda: font.read_page(np.zeros((5, 4))), "page is (5, 4); it must be (rows, columns)"),
        (lambda: font.read_page(np.zeros((6, 4)), 3), "shrunk is 3; it must be 1 or 2"),
        (lambda: area_weights(0, 3), "length is 0; it must be 1 or more"),
        (lambda: area_weights(3, 0), "size is 0"),
        (lambda: area_weights(4, 2, 3, 2), "start is 3 and stop 2; they must be in order"),
        (lambda: area_weights(4, 2, 0, 5), "start is 0 and stop 5"),
        (lambda: resize(np.zeros(3), 2), "pictures are float64 of shape (3,)"),
        (lambda: resize(np.zeros((3, 3), int), 2), "they must be floats of shape (..., H, W)"),
        (lambda: documents.forms(0), "count is 0; it must be 1 or more"),
        (lambda: documents.forms(1, boxes=9), "boxes is 9; it must be from 1 to 8"),
        (lambda: documents.forms(1, seed=-1), "seed is -1"),
        (lambda: documents.draw([Box("red", 7, 0, 3)]), "place is (0, 3)"),
        (lambda: documents.draw([Box("red", 7, 0, 0)] * 2), "two boxes are in one place"),
        (lambda: documents.draw([Box("black", 7, 0, 0)]), "colour is 'black'; it must be one of"),
        (lambda: documents.draw([Box("red", 100, 0, 0)]), "number is 100; it must be from 0 to"),
        (lambda: documents.draw([Box("red", 7, 0, 0, 3)]), "print begins at (3, 0)"),
        (lambda: documents.scan(np.zeros((1, 3, 4, 4)), -1), "noise is -1; it must be 0 or more"),
        (lambda: documents.read(np.zeros((3, 7, 7))), "images are (1, 3, 7, 7); they must be"),
        (
            lambda: documents.best_numbers(np.zeros((2, 3, 24, 24)), np.zeros(1, int)),
            "asked has 1 colours for 2 images",
        ),
    ],
)
def test_what_is_refused(call, text):
    with pytest.raises(InputError) as error:
        call()
    assert text in str(error.value)


def test_a_page_with_print_that_is_none_is_not_legible():
    image = documents.draw([Box("red", 7, 0, 0)])
    assert documents.read(image * 0) is None and documents.read(image + np.nan) is None
    assert documents.read(documents.draw([])) == ()
