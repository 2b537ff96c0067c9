"""Decks as a lecturer uses them: steps, code, controls, notes, minutes."""

import re
from pathlib import Path

import pytest

from minilm.course.build import notebook as nb
from minilm.course.build.lessons import Lesson
from minilm.course.publish.listing import code, cuts
from minilm.course.publish.pages import slides_of
from minilm.course.publish.prose import markdown
from minilm.course.publish.render import blocks
from minilm.course.publish.slides import deck, told, write_decks
from minilm.course.publish.timing import minutes, paced, parts_of
from minilm.course.show.display import control_of
from minilm.course.show.frames import FRAMES, PLACES, settings
from minilm.errors import InputError

from .specimen import executed_lessons, make_lesson

HERE = Path(".")
TITLE = "# %% [markdown]\n# # Title\n\n"


def maths_in(text: str) -> list[str]:
    return re.findall(r'<span class="maths[^"]*">(.*?)</span>', markdown(text, HERE), re.DOTALL)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("within 3$\\sigma$ of it", ["\\sigma"]),
        ("the $k$th of them", ["k"]),
        ("the $k$-th, ($n$), $n$: and $n$.", ["k", "n", "n", "n"]),
        ("It costs $5 here.\n\nThere it is 7$ and more.", []),
        ("- $5 a day\n- or 7$ a week", []),
        ("1. $5\n2. 7$", []),
        ("# From $5\nto 7$", []),
        ("| a | b |\n|---|---|\n| $5 | 7$ |", []),
        ("a | b\n--|--\n$5 | 7$", []),
        ("| a | b |\n|---|---|\n| $x$ | $y$ |", ["x", "y"]),
        ("$20,000 and $30,000", []),
        ("`$x$` and ``a `$y$` b``", []),
        ("```\n$x$\n\n$y$\n```\nand $z$", ["z"]),
        ("a list of code:\n\n-  one\n\n   ```\n   $x$\n   ```\n", []),
        ("    $x$", []),
        ("in HTML <code>$x$</code> and $y$", ["y"]),
        ("<pre>\n$x$\n\n$y$\n</pre>\n\n$z$", ["z"]),
        ("\\$5 and 7\\$, but $x$", ["x"]),
        ("turns up: $s\\,e^{m\n- n} + 1$.", ["s\\,e^{m\n- n} + 1"]),
        ("> so $$a\n> = b$$", ["a\n= b"]),
        ("*a price of $a*b$ now*", ["a*b"]),
    ],
)
def test_a_dollar_is_maths_where_pandoc_says_so(text: str, found: list[str]) -> None:
    assert maths_in(text) == found


def stream(text: str, name: str = "stdout") -> dict:
    return {"output_type": "stream", "name": name, "text": text}


@pytest.mark.parametrize(
    ("outputs", "left"),
    [
        ([stream("10 %\r20 %\r30 %\n")], "30 %"),
        ([stream("10 %\r20 %\r")], "20 %"),
        ([stream("a\r\nb\r\n")], "a\nb"),
        ([stream("10 %\r"), stream("20 %\ndone\n")], "20 %\ndone"),
    ],
)
def test_a_line_that_was_overwritten_leaves_its_last_state(outputs: list, left: str) -> None:
    cell = {"cell_type": "code", "source": "", "metadata": {}, "outputs": outputs}
    assert re.sub(r"<[^>]+>", "", "".join(blocks(cell, HERE))) == left


def test_a_listing_is_cut_between_statements_and_never_in_a_function() -> None:
    text = (
        "import a\n\n# of f\n@b\ndef f():\n    x = 1\n\n    return x\n\n\nclass C:\n    y = 1\n\n"
        "    def g(self):\n        pass\n\n    @b\n    def h(self):\n        pass\n\n\nz = 1\n"
    )
    assert cuts(text) == ([2, 10, 21], [13, 16])
    assert cuts("%time x\n\ny = 1\n    z\n\n}\n") == ([2], [])


def test_what_is_said_to_tools_is_not_shown() -> None:
    shown = re.sub(r"<[^>]+>", "", code("f = lambda: 1  # noqa: E731\ng = 2  # kept"))
    assert shown.split("\n")[0] == "f = lambda: 1" and "# kept" in shown


def slider(*given) -> dict:
    return control_of("x", given)


def test_frames_walk_through_each_control() -> None:
    assert [one["x"] for one in settings({"x": slider(0, 8, 1, 0)})] == list(range(9))
    assert [one["x"] for one in settings({"x": slider(0, 20, 1, 3)})] == [0, 3, 8, 12, 16, 20]
    both = settings({"x": slider(0, 1, 1, 1), "y": control_of("y", ["a", "b"])})
    assert both == [{"x": 0, "y": "a"}, {"x": 1, "y": "a"}, {"x": 1, "y": "b"}]
    assert settings({"t": control_of("t", "text")}) == [{"t": "text"}]
    five = settings({name: slider(0.0, 1.0) for name in "abcde"})
    assert dict.fromkeys("abcde", 0.5) in five and len(five) == 11  # none is left out
    assert all({one[name] for one in five} == {0.0, 0.5, 1.0} for name in "abcde")
    many = settings({name: slider(0.0, 1.0) for name in "abcdefghij"})
    assert len(many) == FRAMES and dict.fromkeys("abcdefghij", 0.5) in many
    assert all(len(settings({"x": slider(0, high)})) == PLACES for high in range(12, 40))


def test_a_run_keeps_frames_and_a_control_stays_with_its_picture(specimen) -> None:
    cell = next(c for c in specimen.lesson.cells if c["source"].startswith("interact("))
    [block] = [b for b in blocks(cell, HERE) if "minilm-controls" in b]
    frames = re.split(r'<div class="frame"', block)[1:]
    assert len(frames) == 7 and all("minilm-controls" in f and "<img" in f for f in frames)
    assert len(set(re.findall(r"<b>answer = (\d+)</b>", block))) == PLACES
    slide = next(s for s in slides_of(specimen.lesson) if "minilm-controls" in s.html)
    assert len(slide.body) == 1


def aloud(lesson: Lesson) -> list[str]:
    return re.findall(r'<aside class="notes">(.*?)</aside>', deck(lesson), re.DOTALL)


@pytest.mark.parametrize("path", executed_lessons(), ids=lambda path: path.stem)
def test_every_slide_says_its_minutes(path: Path) -> None:
    lesson = Lesson(path)
    notes = aloud(lesson)
    assert len(notes) == len(told(lesson)[0])
    for note in notes:
        assert re.search(r"<b>[\d.]+ minutes?</b>, from minute \d+ of \d+", note)


def test_a_note_may_say_how_long_it_takes(tmp_path: Path) -> None:
    said = "# %% [markdown] slideshow={'slide_type': 'notes'}\n# Four minutes. Ask first.\n\n"
    said = said.replace("'", '"')
    lesson = make_lesson(tmp_path, "05_told", TITLE + said + "# %% [markdown]\n# ## Two\n# a b\n")
    assert [minutes(slide) for slide in slides_of(lesson)] == [4, 0.5]
    assert "<b>4 minutes</b>, from minute 0 of 4" in aloud(lesson)[0]


@pytest.mark.parametrize("path", executed_lessons(), ids=lambda path: path.stem)
@pytest.mark.parametrize("limit", [50, 80])
def test_a_cut_fits_the_lecture_and_keeps_its_frame(path: Path, limit: int) -> None:
    whole = slides_of(Lesson(path))
    kept, left = told(Lesson(path), limit)
    assert sum(paced(kept, limit)) <= limit + 1e-6
    assert sum(map(minutes, kept)) <= 1.2 * limit  # told faster by a fifth at most
    assert kept[0].name == whole[0].name and kept[-1].name == whole[-1].name
    assert {s.name for s in kept} | set(left) == {s.name for s in whole}
    if sum(map(minutes, whole)) <= limit:
        assert left == []
    plain = [part for part in parts_of(whole) if not part[0].extra]
    verdicts = {s.name for part in plain for s in part if "minilm-claim" in s.html}
    assert not verdicts & set(left)


def test_a_cut_needs_minutes(tmp_path: Path) -> None:
    lesson = make_lesson(tmp_path, "05_plain", TITLE)
    with pytest.raises(InputError, match="minutes is 0; it must be at least 10"):
        write_decks([lesson], tmp_path / "decks", minutes=0)
    assert not (tmp_path / "decks").exists()


def test_slides_takes_minutes_on_the_command_line(tmp_path: Path, capsys) -> None:
    from minilm.cli import main

    path = make_lesson(tmp_path, "05_plain", TITLE).path
    assert main(["slides", str(path), "--out", str(tmp_path / "d"), "--minutes", "50"]) == 0
    assert "05: about" in capsys.readouterr().out


@pytest.mark.parametrize("path", executed_lessons(), ids=lambda path: path.stem)
def test_code_alone_never_fills_slide_after_slide(path: Path) -> None:
    longest = run = 0
    for slide in slides_of(Lesson(path)):
        bare = bool(slide.body) and all('class="highlight"' in block for block, _ in slide.body)
        run = run + 1 if bare else 0
        longest = max(longest, run)
    assert longest < 8


LONG = "".join(
    f"def part_{k}(x):\n    # of {k}\n" + "    x = x + 1\n" * 7 + "    return x\n\n\n"
    for k in range(5)
)
CALL = 'y = part_0(1)\nprint("the result of it all", y)\n'


@pytest.fixture(scope="module")
def walked(tmp_path_factory: pytest.TempPathFactory) -> dict:
    """A deck with a long listing that prints, a tall class, prose in italics; walked through."""
    from minilm.course.publish.chrome import Page

    folder = tmp_path_factory.mktemp("deck")
    methods = "".join(f"    def way_{k}(self):\n" + "        a = 1\n" * 8 + "\n" for k in range(4))
    text = (
        TITLE
        + f"# %% [markdown]\n# ## Listing\n# Some *stressed* words.\n\n# %%\n{LONG}{CALL}\n"
        + f"# %% [markdown]\n# ## Class\n\n# %%\nclass Tall:\n{methods}\n"
        + "# %% [markdown]\n# ## Wide\n\n# %%\n"
        + f"x = [{', '.join(['1234567'] * 10)}]  # {'w' * 8}\n"
    )
    lesson = make_lesson(folder, "05_long", text)
    notebook = nb.read(lesson.path)
    cell = next(c for c in notebook["cells"] if "part_0" in nb.source_of(c))
    cell["outputs"] = [stream("the result of it all 8\n")]
    nb.write(lesson.path, notebook)
    [path] = write_decks([Lesson(lesson.path)], folder / "decks")
    with Page() as page:
        page.goto(path)
        page.wait("document.documentElement.dataset.ready === 'true'")
        found = {
            "pages": page.evaluate(
                "[...document.querySelectorAll('.page')].map(p => p.innerText || p.textContent)"
            ),
            "sizes": page.evaluate(
                "[...document.querySelectorAll('.page pre, .page code')]"
                ".map(p => parseFloat(getComputedStyle(p).fontSize))"
            ),
            "overflow": page.evaluate("document.querySelectorAll('[data-overflow]').length"),
            "italic": page.evaluate(
                "getComputedStyle(document.querySelector('.page em')).fontStyle"
            ),
            "controls": page.evaluate(
                "getComputedStyle(document.querySelector('.navigate-right')).visibility"
            ),
            "total": page.evaluate("Reveal.getTotalSlides()"),
            "noted": page.evaluate(
                "Reveal.getSlides().filter(s => /minute/.test((s.querySelector('aside.notes') ||"
                " {}).textContent)).length"
            ),
        }
        seen = {page.evaluate("Reveal.getSlidePastCount()")}
        for _ in range(found["total"]):
            page.key("ArrowRight")
            seen.add(page.evaluate("Reveal.getSlidePastCount()"))
        found["seen"] = len(seen)
    return found


@pytest.mark.browser
def test_the_right_arrow_walks_every_slide(walked: dict) -> None:
    assert walked["seen"] == walked["total"] >= 6
    assert walked["controls"] == "visible"


@pytest.mark.browser
def test_italics_survive(walked: dict) -> None:
    assert walked["italic"] == "italic"


@pytest.mark.browser
def test_no_code_is_smaller_than_20_pixels_and_no_function_is_split(walked: dict) -> None:
    assert min(walked["sizes"]) >= 20 and walked["overflow"] == 0
    for k in range(5):
        [page] = [text for text in walked["pages"] if f"def part_{k}" in text]
        body = page[page.index(f"def part_{k}") :]
        assert body.count("x = x + 1") >= 7 and "return x" in body
    for k in range(4):
        [page] = [text for text in walked["pages"] if f"def way_{k}" in text]
        assert page[page.index(f"def way_{k}") :].count("a = 1") >= 8


@pytest.mark.browser
def test_what_is_printed_stands_with_the_code_that_printed_it(walked: dict) -> None:
    [page] = [text for text in walked["pages"] if "the result of it all 8" in text]
    assert "print(" in page


@pytest.mark.browser
def test_split_slides_have_notes_too(walked: dict) -> None:
    assert walked["noted"] == walked["total"]


@pytest.mark.browser
def test_the_right_arrow_moves_a_control(specimen, tmp_path: Path) -> None:
    from minilm.course.publish.chrome import Page

    [path] = write_decks([specimen.lesson], tmp_path)
    shown = (
        "[...document.querySelectorAll('.frames > .frame')].filter(f => !f.hidden)"
        ".map(f => f.querySelector('b').textContent + (f.querySelector('img').src ? '' : '!'))"
    )
    with Page() as page:
        page.goto(path)
        page.wait("document.documentElement.dataset.ready === 'true'")
        page.evaluate(
            "(s => { const i = Reveal.getIndices(s); Reveal.slide(i.h, i.v); })"
            "(document.querySelector('.frames').closest('section'))"
        )
        walked = [page.evaluate(shown)]
        for _ in range(6):
            page.key("ArrowRight")
            walked.append(page.evaluate(shown))
        page.key("ArrowLeft")
        assert page.evaluate(shown) == walked[-2]
    assert all(len(one) == 1 for one in walked)
    assert len({one[0] for one in walked}) == PLACES and "!" not in "".join(w[0] for w in walked)
    assert walked[0] == ["answer = 10"] and walked[5] == ["answer = 400"]
