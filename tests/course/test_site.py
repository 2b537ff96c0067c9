"""The site: complete, without dead links, and alive with no network."""

import json
import re
from pathlib import Path
from urllib.parse import unquote, urldefrag

import pytest

from minilm.course.places import Course
from minilm.course.publish import api
from minilm.course.publish.site import write_site


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
