"""Decks: what becomes a slide, and in a browser that every slide fits and asks for nothing."""

import re
from pathlib import Path

import pytest

from minilm.course.build.lessons import Lesson
from minilm.course.publish.inlined import ASSETS, katex_css
from minilm.course.publish.prose import markdown
from minilm.course.publish.slides import deck, slides_of, write_decks
from minilm.errors import InputError

from .specimen import executed_lessons, make_lesson

HERE = Path(".")


def test_slide_types_become_slides(specimen) -> None:
    slides = slides_of(specimen.lesson)
    headings = [re.sub(r"<[^>]+>", "", slide.heading) for slide in slides]
    assert headings[0] == "Shaping the future of attention, one token at a time"
    assert slides[0].title and not slides[1].title
    assert [slide.below for slide in slides[:5]] == [False, False, True, True, True]
    assert headings[4] == headings[3] == "Reading again, in code"  # a figure keeps its text's
    assert any(fragment for slide in slides for _, fragment in slide.body)
    assert "Ask the room first" in slides[1].notes[0]


def test_hidden_inputs_stay_hidden_and_notes_stay_off_the_page(specimen) -> None:
    html = deck(specimen.lesson)
    pages = re.sub(r'<aside class="notes">.*?</aside>', "", html, flags=re.DOTALL)
    assert "Ask the room first" in html and "Ask the room first" not in pages
    assert "import numpy" not in html  # a skipped cell
    assert "tokens_read" not in pages and "xlabel" in pages  # one cell shows its code
    assert pages.count('<img src="data:image/png') == 6
    assert all(re.findall(r'<img [^>]*alt="([^"]*)"', pages))


def test_a_deck_refers_to_nothing_outside(specimen) -> None:
    html = deck(specimen.lesson)
    page = re.sub(r"<script>.*?</script>", "", html, flags=re.DOTALL)
    addresses = re.findall(r"""(?:src|href)=["']?([^"'\s>]+)|url\(([^)]+)\)""", page)
    assert addresses
    assert all((a or b).strip("\"'").startswith(("data:", "#")) for a, b in addresses)
    assert len(html) < 4e6


def test_a_notebook_without_slide_types_is_a_deck_too(tmp_path: Path) -> None:
    text = "# %% [markdown]\n# # One\n\n# %% [markdown]\n# ## Two\n# text\n\n# %%\nx = 1\n"
    slides = slides_of(make_lesson(tmp_path, "05_plain", text))
    assert [slide.title for slide in slides] == [True, False]
    assert len(slides[1].body) == 2


def test_a_deck_without_a_title_slide_gets_one(tmp_path: Path) -> None:
    text = '# %% [markdown] slideshow={"slide_type": "slide"}\n# ## Two\n# text\n'
    html = deck(make_lesson(tmp_path, "06_untitled", text))
    assert html.count("page title") == 1 and "<h1>Untitled</h1>" in html


@pytest.mark.parametrize(
    ("written", "kept", "display"),
    [
        ("$a_1 * b_2 * c$", "a_1 * b_2 * c", False),
        ("\\(x_1 < y_1\\)", "x_1 &lt; y_1", False),
        ("$$\n\\frac{a}{b}_x_y\n$$", "\\frac{a}{b}_x_y", True),
        ("\\[a_b_c\\]", "a_b_c", True),
        (
            "\\begin{align}a &= b_1 \\\\ c &= d_1\\end{align}",
            "\\begin{align}a &amp;= b_1 \\\\ c &amp;= d_1\\end{align}",
            True,
        ),
    ],
)
def test_maths_survives_markdown(written: str, kept: str, display: bool) -> None:
    kind = "maths display" if display else "maths"
    made = markdown(f"Before {written} after _this_", HERE)
    assert f'<span class="{kind}">{kept}</span>' in made
    assert "<em>this</em>" in made


def test_dollars_in_code_and_prices_are_no_maths() -> None:
    assert "<code>$x$ *y*</code>" in markdown("`$x$ *y*`", HERE)
    made = markdown("It costs $5 and *then* $6, or $x$.", HERE)
    assert "<em>then</em>" in made and made.count('class="maths"') == 1
    fenced = markdown("```python\nprint('$a$ $b$')\n```", HERE)
    assert "maths" not in fenced


def test_code_in_markdown_is_highlighted() -> None:
    assert 'class="highlight"' in markdown("```python\ndef f(): pass\n```", HERE)
    assert "nothing known" in markdown("```no-such-language\nnothing known\n```", HERE)


def test_local_images_are_carried_along(tmp_path: Path) -> None:
    (tmp_path / "dot.png").write_bytes(b"\x89PNG")
    assert 'src="data:image/png;base64,iVBORw=="' in markdown("![a dot](dot.png)", tmp_path)


def test_every_font_of_katex_is_inlined() -> None:
    css = katex_css()
    assert (
        css.count("font/woff2;base64") == len(list((ASSETS / "katex-fonts").glob("*.woff2"))) == 20
    )
    assert "url(fonts/" not in css


def test_vendored_assets_have_their_licences() -> None:
    said = (ASSETS / "THIRD_PARTY.md").read_text(encoding="utf-8")
    for licence in re.findall(r"`(licences/[^`]+)`", said):
        text = (ASSETS / licence).read_text(encoding="utf-8")
        assert (
            "MIT" in text or "Permission is hereby granted" in text or "OPEN FONT LICENSE" in text
        )
    for path in ASSETS.rglob("*"):
        if path.suffix in (".js", ".css", ".woff2", ".ttf"):
            stem = path.name.split("-")[0] if path.parent.name == "fonts" else path.name
            assert stem in said or path.parent.name == "katex-fonts", path.name
    assert sum(path.stat().st_size for path in ASSETS.rglob("*") if path.is_file()) < 3e6


def test_a_pdf_without_a_browser_is_refused_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINILM_CHROMIUM", str(tmp_path / "no-such-browser"))
    lesson = make_lesson(tmp_path, "05_plain", "# %% [markdown]\n# # One\n")
    with pytest.raises(InputError, match="install Chromium, Chrome or Edge"):
        write_decks([lesson], tmp_path / "decks", pdf=True)
    assert not (tmp_path / "decks").exists()


def examine(path: Path) -> dict:
    """Open a deck, walk through it, and report what a lecturer would complain about."""
    from minilm.course.publish.chrome import Page

    with Page() as page:
        page.goto(path)
        page.wait("document.documentElement.dataset.ready === 'true'")
        report = {
            "slides": page.evaluate("Reveal.getTotalSlides()"),
            "overflowing": page.evaluate(
                "[...document.querySelectorAll('[data-overflow]')]"
                ".map(s => s.textContent.trim().slice(0, 60))"
            ),
            "outside": page.evaluate(
                "[...document.querySelectorAll('.page')].filter(p => p.clientHeight > 0 &&"
                " (p.scrollHeight > 721 || p.scrollWidth > 1281)).length"
            ),
            "bad maths": page.evaluate("document.querySelectorAll('.katex-error').length"),
            "maths in notes": page.evaluate("document.querySelectorAll('.notes .katex').length"),
            "small code": page.evaluate(
                "[...document.querySelectorAll('.page pre, .page code')]"
                ".filter(p => parseFloat(getComputedStyle(p).fontSize) < 20).length"
            ),
            "torn": page.evaluate("document.querySelectorAll('[data-torn]').length"),
            "no alt": page.evaluate(
                "document.querySelectorAll('.page img:not([alt]), .page img[alt=\"\"]').length"
            ),
        }
        for _ in range(report["slides"] + 4):
            page.key("ArrowRight")
        report["errors"], report["requests"] = page.errors, page.requests
    return report


def assert_presentable(report: dict) -> None:
    assert report["errors"] == [] and report["requests"] == []
    assert report["overflowing"] == [] and report["outside"] == 0
    assert report["bad maths"] == report["maths in notes"] == 0
    assert report["small code"] == 0 and report["no alt"] == 0


@pytest.mark.browser
def test_the_specimen_deck_fits_and_asks_for_nothing(specimen, tmp_path: Path) -> None:
    [path] = write_decks([specimen.lesson], tmp_path)
    report = examine(path)
    assert_presentable(report)
    assert report["slides"] >= 15


@pytest.mark.browser
@pytest.mark.parametrize("path", executed_lessons(), ids=lambda path: path.stem)
def test_every_deck_fits_and_asks_for_nothing(path: Path, tmp_path: Path) -> None:
    [made] = write_decks([Lesson(path)], tmp_path)
    report = examine(made)
    assert_presentable(report)
    assert report["torn"] == 0  # no function goes on on the next slide


@pytest.mark.browser
def test_what_cannot_fit_is_marked(tmp_path: Path) -> None:
    wide = "|" + "verylongcolumn|" * 24
    table = f"# {wide}\n# {'|---' * 24}|\n# {wide}\n"
    text = f"# %% [markdown]\n# # Title\n\n# %% [markdown]\n# ## Wide\n{table}"
    [path] = write_decks([make_lesson(tmp_path, "07_wide", text)], tmp_path / "decks")
    assert len(examine(path)["overflowing"]) == 1


@pytest.mark.browser
def test_a_listing_too_long_for_a_slide_continues_on_the_next(tmp_path: Path) -> None:
    lines = "\n".join(f"value_{k} = {k}  # line {k}" for k in range(90))
    text = f"# %% [markdown]\n# # Title\n\n# %% [markdown]\n# ## Long\n\n# %%\n{lines}\n"
    [path] = write_decks([make_lesson(tmp_path, "08_long", text)], tmp_path / "decks")
    from minilm.course.publish.chrome import Page

    with Page() as page:
        page.goto(path)
        page.wait("document.documentElement.dataset.ready === 'true'")
        shown = page.evaluate(
            "[...document.querySelectorAll('.page pre')].map(p => p.innerText).join('\\n')"
        )
        again = page.evaluate(
            "[...document.querySelectorAll('.page .more')].map(m => m.textContent)"
        )
        assert page.evaluate("document.querySelectorAll('[data-overflow]').length") == 0
    found = re.findall(r"value_(\d+) =", shown)
    assert found == [str(k) for k in range(90)]  # every line once, in order
    assert len(again) >= 2 and set(again) == {"continued"}


@pytest.mark.browser
def test_a_long_list_continues_with_its_numbers(tmp_path: Path) -> None:
    points = "".join(f"# {k}. point {k} is {'long and ' * 14}done\n" for k in range(1, 15))
    text = f"# %% [markdown]\n# # Title\n\n# %% [markdown]\n# ## Points\n#\n{points}"
    [path] = write_decks([make_lesson(tmp_path, "09_list", text)], tmp_path / "decks")
    from minilm.course.publish.chrome import Page

    with Page() as page:
        page.goto(path)
        page.wait("document.documentElement.dataset.ready === 'true'")
        lists = page.evaluate(
            "[...document.querySelectorAll('.page ol')]"
            ".map(o => [o.start, [...o.children].map(li => li.textContent.slice(0, 8).trim())])"
        )
        assert page.evaluate("document.querySelectorAll('[data-overflow]').length") == 0
    assert len(lists) >= 2
    count = 1
    for start, items in lists:
        assert start == count
        for item in items:
            assert item == f"point {count}"
            count += 1
    assert count == 15


@pytest.mark.browser
def test_the_pdf_has_a_page_per_slide(specimen, tmp_path: Path) -> None:
    html, pdf = write_decks([specimen.lesson], tmp_path, pdf=True)
    data = pdf.read_bytes()
    pages = len(re.findall(rb"/Type\s*/Page\b", data))
    assert data.startswith(b"%PDF") and pages == examine(html)["slides"]
    sizes = {
        tuple(map(float, box.split())) for box in re.findall(rb"/MediaBox\s*\[([^\]]+)\]", data)
    }
    assert len(sizes) == 1
    [(_, _, width, height)] = sizes
    assert width / height == pytest.approx(16 / 9, rel=0.01)
