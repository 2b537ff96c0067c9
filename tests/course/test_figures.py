"""Figures: what they draw, what they refuse, and that they can be read."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from minilm.course import bars, figure, heatmap, images, lines, scatter
from minilm.course.show import style
from minilm.course.show.figures import spread_apart
from minilm.errors import InputError

ALT = "Four words or more that describe the figure."


def pixels(picture: style.Picture) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(picture.png)).convert("RGB"))


def has_colour(picture: style.Picture, colour: str, at_least: int = 50) -> bool:
    """Whether a colour, give or take the palette's rounding, fills some pixels."""
    wanted = np.array([int(colour[k : k + 2], 16) for k in (1, 3, 5)])
    near = np.abs(pixels(picture).astype(int) - wanted).max(-1) <= 6
    return int(near.sum()) >= at_least


def test_every_series_is_drawn_in_its_own_colour() -> None:
    picture = lines([1, 2, 3], {"a": [1, 2, 3], "b": [3, 2, 1], "c": [2, 2, 2]}, alt=ALT)
    for colour in style.COLOURS[:3]:
        assert has_colour(picture, colour)
    assert not has_colour(picture, style.PURPLE)


def test_a_figure_fills_a_slide_and_is_crisp() -> None:
    picture = lines(None, {"a": [1, 2]}, alt=ALT)
    height, width, _ = pixels(picture).shape
    assert (picture.width, picture.height) == (1171, 499)
    assert width / picture.width == pytest.approx(style.DPI / style.PIXELS_PER_INCH, rel=0.01)
    assert height / width == pytest.approx(5.2 / 12.2, rel=0.01)


def test_the_same_figure_gives_the_same_bytes() -> None:
    once, again = (bars(["a", "b"], [1, 2], alt=ALT).png for _ in range(2))
    assert once == again


def test_a_single_line_is_drawn_where_its_numbers_say() -> None:
    """The topmost blue pixel left and right of the middle follows the data."""
    blue = np.array([0, 0x72, 0xB2])
    rising, falling = (
        pixels(lines(np.arange(50), {"": values}, alt=ALT, markers=False))
        for values in (np.arange(50.0), np.arange(50.0)[::-1])
    )
    for image, sign in ((rising, -1), (falling, 1)):
        rows, columns = np.nonzero(np.abs(image.astype(int) - blue).max(-1) <= 6)
        slope = np.polyfit(columns, rows, 1)[0]
        assert np.sign(slope) == sign  # row numbers grow downwards


def test_seeds_make_a_band() -> None:
    seeds = np.array([[1.0, 2, 3], [2, 3, 4], [3, 4, 5]])
    with_band = pixels(lines([0, 1, 2], {"a": seeds}, alt=ALT))
    without = pixels(lines([0, 1, 2], {"a": seeds.mean(0)}, alt=ALT))
    pale = np.array([0xD1, 0xE6, 0xF2])  # 18 % blue on white
    count = [
        int((np.abs(image.astype(int) - pale).max(-1) <= 6).sum()) for image in (with_band, without)
    ]
    assert count[0] > 20_000 and count[1] < 2_000


@pytest.mark.parametrize("alt", ["", None, "a plot", 3])
def test_alt_text_is_asked_for(alt: object) -> None:
    with pytest.raises(InputError, match="it must say in a sentence"):
        lines([1, 2], {"a": [1, 2]}, alt=alt)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: lines([1, 2], {}, alt=ALT), "at least one line"),
        (lambda: lines([1, 2], {"a": [1, 2, 3]}, alt=ALT), "3 points but x has shape"),
        (lambda: lines([1], {"a": np.zeros((2, 2, 2))}, alt=ALT), "seeds, points"),
        (lambda: heatmap([1, 2], alt=ALT), "two dimensions"),
        (lambda: scatter([1, 2], [1], alt=ALT), "vectors of one length"),
        (lambda: images(np.zeros((2, 2)), alt=ALT), "shape"),
    ],
)
def test_bad_input_is_refused_in_a_sentence(call, said: str) -> None:
    with pytest.raises(InputError, match=said):
        call()


def test_panels_share_one_alt_text(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    monkeypatch.setattr(style.Picture, "show", lambda picture: seen.append(picture))
    with figure(1, 2, alt=ALT) as (left, right):
        assert lines([1, 2], {"a": [1, 2]}, ax=left) is None
        assert bars(["x", "y"], [1, 2], ax=right) is None
    assert [picture.alt for picture in seen] == [ALT]


def test_heatmap_leaves_holes_empty_and_centres_signed_data() -> None:
    data = np.array([[1.0, np.nan], [-1.0, 0.0]])
    image = pixels(heatmap(data, centre=0, alt=ALT, numbers=None))
    corners = [image[120, 300], image[120, 1300], image[500, 300], image[500, 1300]]
    red, empty, blue, white = (tuple(map(int, corner)) for corner in corners)
    assert red[0] > red[2] + 80 and blue[2] > blue[0] + 80
    assert min(empty) > 240 and min(white) > 235


@given(st.lists(st.floats(0, 400, allow_nan=False), min_size=1, max_size=12), st.floats(1, 30))
def test_names_stand_apart_and_inside(heights: list[float], step: float) -> None:
    placed = spread_apart(heights, step, 0, 400)
    in_order = sorted(placed)
    assert all(b - a >= step - 1e-6 for a, b in zip(in_order, in_order[1:]))
    assert max(placed) <= 400 + 1e-6
    for i, a in enumerate(heights):
        for j, b in enumerate(heights):
            if a < b:
                assert placed[i] < placed[j]


def test_names_that_are_apart_stay_where_they_are() -> None:
    assert spread_apart([10, 300, 150], 20, 0, 400) == [10, 300, 150]


def relative_luminance(colour: str) -> float:
    """WCAG 2.1's formula."""
    parts = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return float(np.dot([0.2126, 0.7152, 0.0722], linear))


def test_text_colours_reach_the_contrast_of_wcag_aa() -> None:
    for colour in (style.INK, style.MUTED):
        assert 1.05 / (relative_luminance(colour) + 0.05) >= 4.5
    for colour in (style.BLUE, style.VERMILION, style.GREEN, style.PURPLE):
        assert 1.05 / (relative_luminance(colour) + 0.05) >= 3.0  # large text


def test_series_differ_in_more_than_colour() -> None:
    looks = list(zip(style.MARKERS, style.STYLES))
    assert len(set(looks)) == len(looks) >= len(style.COLOURS)
