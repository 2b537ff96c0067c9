"""The site: complete, without dead links, and alive with no network."""

import json
import re
from pathlib import Path
from urllib.parse import unquote, urldefrag

import pytest

from minilm.course.places import Course
from minilm.course.publish import api
from minilm.course.publish.site import write_site

from .specimen import make_lesson


@pytest.fixture(scope="module")
def site(specimen, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("site")
    package = Path(api.__file__).parent  # a part of the package: colouring code takes time
    write_site([specimen.lesson], Course(specimen.root), out, package)
    return out


def pages(site: Path) -> list[Path]:
    return [path for path in site.rglob("*.html") if "decks" not in path.parts]


def test_no_link_is_dead(site: Path) -> None:
    checked = 0
    ids: dict[Path, set[str]] = {}
    for page in pages(site):
        text = page.read_text(encoding="utf-8")
        body = re.sub(r"<pre.*?</pre>", "", text, flags=re.DOTALL)
        for address in re.findall(r'(?:href|src)="([^"]+)"', body):
            if address.startswith(("data:", "http", "mailto:")):
                continue
            path, mark = urldefrag(unquote(address))
            target = (page.parent / path).resolve() if path else page
            assert target.is_file(), f"{page.name} -> {address}"
            if mark:
                if target not in ids:
                    ids[target] = set(re.findall(r'id="([^"]+)"', target.read_text("utf-8")))
                assert mark in ids[target], f"{page.name} -> {address}"
            checked += 1
    assert checked > 100


def index(site: Path) -> list[dict]:
    text = (site / "assets" / "search_index.js").read_text(encoding="utf-8")
    return json.loads(text.removeprefix("window.SEARCH_INDEX = ").rstrip().removesuffix(";"))


def test_every_search_entry_leads_somewhere(site: Path) -> None:
    entries = index(site)
    for entry in entries:
        path, mark = urldefrag(entry["u"])
        target = site / path
        assert target.is_file() and entry["t"], entry
        assert not mark or f'id="{mark}"' in target.read_text(encoding="utf-8"), entry
    kinds = {entry["k"] for entry in entries}
    assert {"lesson 90", "claim", "module"} <= kinds


def test_the_lesson_page_has_pictures_claims_and_notes(site: Path) -> None:
    text = (site / "lessons" / "90_specimen.html").read_text(encoding="utf-8")
    assert text.count('<img src="data:image/png') == 6
    assert "✓ reproduced" in text and "Note for the speaker" in text
    assert '<h2 id="the-maths-fits-on-one-line">' in text
    board = (site / "claims.html").read_text(encoding="utf-8")
    assert "◐ partly" in board and "lessons/90_specimen.html" in board


def test_the_reference_knows_every_public_function() -> None:
    import inspect

    from minilm.course.show import figures, style

    package = Path(api.__file__).parents[2]
    found = {module.name: module for module in api.modules(package)}
    for module in (figures, style):
        entries = {entry.name: entry for entry in found[module.__name__].entries}
        for name, thing in vars(module).items():
            ours = getattr(thing, "__module__", "") == module.__name__
            if ours and inspect.isfunction(thing) and not name.startswith("_"):
                assert entries[name].doc == (inspect.getdoc(thing) or "")
                plain = inspect.unwrap(thing)
                assert entries[name].source == inspect.getsource(plain).rstrip()


def test_a_method_is_listed_without_self() -> None:
    package = Path(api.__file__).parents[2]
    module = next(m for m in api.modules(package) if m.name == "minilm.course.publish.chrome")
    entry = next(e for e in module.entries if e.name == "Page.wait")
    assert entry.signature == "Page.wait(expression: str, seconds: float=30.0) -> Any"
    assert entry.source.startswith("def wait(self")


def test_docstrings_keep_their_lists() -> None:
    html = api.doc_html("Adds `a < b`.\n\nArgs:\n    a: one.\n    b: two.")
    assert "<code>a &lt; b</code>" in html and "    b: two." in html


@pytest.mark.browser
def test_search_finds_and_no_page_calls_home(site: Path) -> None:
    from minilm.course.publish.chrome import Page

    with Page() as page:
        for name in ("index.html", "claims.html", "lessons/90_specimen.html"):
            page.goto(site / name)
            page.wait("document.documentElement.dataset.ready === 'true'")
        assert page.evaluate("document.querySelectorAll('.katex-error').length") == 0
        assert page.evaluate("document.querySelectorAll('main .katex').length") > 4
        page.evaluate("document.querySelector('.search input').focus()")
        page.type("triangular matrix")
        page.wait("document.querySelectorAll('.search li a[href]').length > 0")
        page.key("Enter")
        page.wait("location.hash === '#code-beside-its-figure'")
        assert page.errors == [] and page.requests == []


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site of two lessons, the first with an exercise set, and of a package of its own."""
    root = tmp_path_factory.mktemp("two")
    lessons = root / "lessons"
    wide = "| a | b |\n# |---|---|\n# | " + "wide" * 40 + " | $x^2 + y^2 = z^2 + w^2 + v^2$ |\n"
    first = (
        "# %% [markdown]\n# # Attention, first\n#\n# ![a picture](none.png)\n#\n# The summary.\n\n"
        "# %% [markdown]\n# ## Softmax by hand\n# Shares of transformers.\n\n"
        "# %% [markdown]\n# ### In code\n# [set](../exercises/01_one.ipynb), [next](02_two.ipynb), "
        f"[lost](09_lost.ipynb).\n#\n# {wide}\n# %%\nx = '{'long ' * 60}'\n"
    )
    made = [make_lesson(lessons, "01_one", first)]
    made.append(make_lesson(lessons, "02_two", "# %% [markdown]\n# # Another one\n# Words.\n"))
    (root / "exercises").mkdir()
    asked = "# %% [markdown]\n# # The set\n\n# %% [markdown]\n# ## 1. Write softmax\n# Two lines.\n"
    path = make_lesson(root / "made", "01_one", asked).path
    path.rename(root / "exercises" / "01_one.ipynb")
    package = root / "parts"
    package.mkdir()
    (package / "__init__.py").write_text(
        '"""Parts.\n\n- `one`: the first\n- `two`: the second\n"""\n\n'
        "from parts.softmax import softmax, softmax_backward\n"
    )
    (package / "softmax.py").write_text(
        '"""Softmax."""\n\n\ndef softmax(x):\n    """Softmax of attention."""\n\n\n'
        'def softmax_backward(g):\n    """Its pullback."""\n'
    )
    out = root / "site"
    write_site(made, Course(root), out, package)
    return out


def test_a_lesson_lists_its_contents(course: Path) -> None:
    text = (course / "lessons" / "01_one.html").read_text(encoding="utf-8")
    side = re.search(r"<aside.*?</aside>", text, re.DOTALL)[0]
    assert re.findall(r'href="#([^"]+)"', side) == ["softmax-by-hand", "in-code"]
    other = (course / "lessons" / "02_two.html").read_text(encoding="utf-8")
    assert 'href="#softmax-by-hand"' not in other


def test_exercises_have_pages_and_links_lead_to_them(course: Path) -> None:
    lesson = (course / "lessons" / "01_one.html").read_text(encoding="utf-8")
    assert '<a href="../exercises/01_one.html">set</a>' in lesson
    assert '<a href="../lessons/02_two.html">next</a>' in lesson
    assert "lost" in lesson and ".ipynb" not in lesson
    listed = (course / "exercises" / "index.html").read_text(encoding="utf-8")
    assert "1 questions" not in listed and "1 question," in listed
    page = (course / "exercises" / "01_one.html").read_text(encoding="utf-8")
    assert 'id="1-write-softmax"' in page
    assert ("1. Write softmax", "exercise 01") in {(one["t"], one["k"]) for one in index(course)}


def test_a_summary_is_words_and_not_a_picture(course: Path) -> None:
    front = (course / "index.html").read_text(encoding="utf-8")
    assert "<p>The summary.</p>" in front and "a picture" not in front


def test_a_package_lists_what_can_be_had_from_it(course: Path) -> None:
    text = (course / "reference" / "parts.html").read_text(encoding="utf-8")
    assert 'href="parts.softmax.html#softmax"' in text
    assert 'href="parts.softmax.html#softmax_backward"' in text
    assert '<a href="parts.softmax.html"><code>parts.softmax</code></a> Softmax.' in text
    assert "- <code>one</code>: the first\n- <code>two</code>" in text


def test_the_page_of_the_models_is_not_empty() -> None:
    found = api.modules(Path(api.__file__).parents[2])
    text = api.as_html(next(m for m in found if m.name == "minilm.models"), found)
    assert 'href="minilm.models.transformer.html#Transformer"' in text
    assert 'href="minilm.models.presets.html#gpt2"' in text
    assert 'href="minilm.models.gpt.html"' in text


@pytest.mark.browser
@pytest.mark.parametrize(
    ("typed", "first"),
    [
        ("softmax", "lesson 01"),  # three entries of the reference say it more loudly
        ("atention", "lesson 01"),
        ("sotfmax", "lesson 01"),
        ("transfromers", "lesson 01"),
        ("softmax_backwrd", "parts.softmax"),
        ("zzzzzz", ""),
    ],
)
def test_search_puts_lessons_first_and_forgives_slips(course: Path, typed: str, first: str) -> None:
    from minilm.course.publish.chrome import Page

    with Page() as page:
        page.goto(course / "index.html")
        page.evaluate("document.querySelector('.search input').focus()")
        page.type(typed)
        kinds = page.evaluate(
            "[...document.querySelectorAll('.search li a[href] small')].map(s => s.textContent)"
        )
    assert (kinds[0].split(" · ")[0] if kinds else "") == first
    places = [
        ("lesson", "exercise").index(kind) if kind in ("lesson", "exercise") else 2
        for kind in (said.split(" ")[0] for said in kinds)
    ]
    assert places == sorted(places)


@pytest.mark.browser
def test_pages_fit_a_narrow_screen(course: Path) -> None:
    from minilm.course.publish.chrome import Page

    wide = "document.documentElement.scrollWidth"
    with Page(390, 800) as page:
        for path in pages(course):
            page.goto(path)
            page.wait("document.documentElement.dataset.ready === 'true'")
            assert page.evaluate(wide) <= 390, path.name
        page.goto(course / "lessons" / "01_one.html")
        page.wait("document.documentElement.dataset.ready === 'true'")
        assert page.evaluate("document.querySelector('aside.side details').open") is False
        assert page.evaluate("document.querySelector('main h1').getBoundingClientRect().top") < 400
        page.resize(1280, 800)
        page.goto(course / "lessons" / "01_one.html")
        page.wait("document.documentElement.dataset.ready === 'true'")
        assert page.evaluate("document.querySelector('aside.side details').open") is True
