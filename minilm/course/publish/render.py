"""Cells to HTML, the same way for decks and for the site."""

from __future__ import annotations

import base64
import functools
import html
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from minilm.course.build.lessons import joined
from minilm.course.build.notebook import tags_of

ASSETS = Path(__file__).parent / "assets"
TEMPLATES = Path(__file__).parent / "templates"
SHOWN = (  # the kinds of output, best first
    "text/html",
    "text/markdown",
    "image/svg+xml",
    "image/png",
    "image/jpeg",
    "text/latex",
    "text/plain",
)


_MATHS = re.compile(
    r"(?P<code>^(?P<fence>```+|~~~+).*?^(?P=fence)|(?P<tick>`+)[^`].*?(?P=tick))"
    r"|\$\$.+?\$\$|\\\[.+?\\\]|\\\(.+?\\\)|\\begin\{(?P<name>\w+\*?)\}.+?\\end\{(?P=name)\}"
    r"|(?<![\\$\w])\$(?![\s$])[^$]*?(?<![\s\\])\$(?!\w)",
    re.DOTALL | re.MULTILINE,
)


def markdown(text: str, folder: Path) -> str:
    """Markdown to HTML; maths is kept apart for KaTeX, local images are inlined."""
    import mistune

    kept: list[str] = []

    def keep(found: re.Match[str]) -> str:
        if found["code"]:
            return found[0]
        kept.append(maths(found[0]))
        return f"\x02{len(kept) - 1}\x03"

    class Course(mistune.HTMLRenderer):
        def block_code(self, code_text: str, info: str | None = None) -> str:
            return code(code_text, (info or "text").split()[0]) + "\n"

        def image(self, text: str, url: str, title: str | None = None) -> str:
            return f'<img src="{_inlined(url, folder)}" alt="{html.escape(text, quote=True)}">'

    convert = mistune.create_markdown(
        renderer=Course(escape=False), plugins=["strikethrough", "table", "url", "footnotes"]
    )
    made = str(convert(_MATHS.sub(keep, text)))
    return re.sub("\x02(\\d+)\x03", lambda found: kept[int(found[1])], made).strip()


def maths(text: str) -> str:
    """Maths with its delimiters, as an element that KaTeX fills where the page is shown."""
    display = not (text.startswith("\\(") or re.match(r"\$(?!\$)", text))
    inner = text
    for opens, closes in (("$$", "$$"), ("\\[", "\\]"), ("\\(", "\\)"), ("$", "$")):
        if text.startswith(opens) and text.endswith(closes):
            inner = text[len(opens) : -len(closes)]
            break
    kind = "maths display" if display else "maths"
    return f'<span class="{kind}">{html.escape(inner.strip(), quote=False)}</span>'


def _inlined(url: str, folder: Path) -> str:
    """A local image as an address that carries it; other addresses as they are."""
    path = folder / url
    if "://" in url or url.startswith("data:") or not path.is_file():
        return html.escape(url, quote=True)
    kind = {".svg": "image/svg+xml", ".jpg": "image/jpeg"}.get(
        path.suffix, f"image/{path.suffix[1:]}"
    )
    return data_address(path, kind)


@functools.cache
def _formatter() -> Any:
    from pygments.formatters import HtmlFormatter

    return HtmlFormatter(cssclass="highlight", style=_style(), wrapcode=True)


@functools.cache
def _style() -> Any:
    """Code colours with a contrast of at least 4.5 on their background."""
    from pygments.style import Style
    from pygments.token import Comment, Keyword, Name, Number, Operator, String, Token

    class Course(Style):
        background_color = "#F5F7FB"
        styles = {
            Token: "#1C2330",
            Comment: "#5B6678",
            Keyword: "bold #0A4B8F",
            Keyword.Constant: "#0A4B8F",
            Operator.Word: "bold #0A4B8F",
            Name.Function: "#00674A",
            Name.Class: "bold #00674A",
            Name.Decorator: "#8A3A8A",
            String: "#A33F00",
            String.Doc: "#5B6678",
            Number: "#8A3A8A",
        }

    return Course


def code(text: str, language: str = "python") -> str:
    """Source code to highlighted HTML."""
    from pygments import highlight
    from pygments.lexers import get_lexer_by_name
    from pygments.util import ClassNotFound

    try:
        lexer = get_lexer_by_name(language)
    except ClassNotFound:
        lexer = get_lexer_by_name("text")
    return highlight(text.rstrip(), lexer, _formatter()).strip()


def code_css() -> str:
    """The style sheet of highlighted code (of cells and of fenced blocks alike)."""
    rules = _formatter().get_style_defs(".highlight")
    return "\n".join(rule for rule in rules.splitlines() if rule.startswith(".highlight"))


def output(out: dict[str, Any], folder: Path) -> str:
    """One stored output to HTML; errors and what went to stderr are left to `minilm run`."""
    kind = out["output_type"]
    if kind == "stream":
        if out.get("name") == "stderr":
            return ""
        return _text(joined(out["text"]))
    if kind == "error":
        return f'<pre class="text error">{html.escape(out["ename"])}: {_plain(out["evalue"])}</pre>'
    data, metadata = out["data"], out.get("metadata", {})
    best = next((mime for mime in SHOWN if mime in data), None)
    if best is None:
        return ""
    content = joined(data[best])
    if best == "text/html":
        return f'<div class="html">{content}</div>'
    if best == "text/markdown":
        return f'<div class="markdown">{markdown(content, folder)}</div>'
    if best == "text/latex":
        return maths(content.strip())
    if best == "text/plain":
        return _text(content)
    look = metadata.get(best, {})
    alt = html.escape(look.get("alt") or metadata.get("alt") or "", quote=True)
    if best == "image/svg+xml":
        content = base64.b64encode(content.encode()).decode()
    width = f' width="{look["width"]}"' if "width" in look else ""
    address = f"data:{best};base64,{''.join(content.split())}"
    return f'<figure><img src="{address}" alt="{alt}"{width}></figure>'


def _plain(text: str) -> str:
    return html.escape(re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", text))


def _text(text: str) -> str:
    """Printed text; a progress bar that overwrote its line leaves its last state."""
    lines = [line.rsplit("\r", 1)[-1] for line in text.rstrip().splitlines()]
    return f'<pre class="text">{_plain(chr(10).join(lines))}</pre>' if any(lines) else ""


def blocks(cell: dict[str, Any], folder: Path) -> Iterator[str]:
    """The parts of a cell, top to bottom: prose, or code (unless hidden) and its outputs."""
    marks = set(tags_of(cell))
    if marks & {"hide-cell", "remove-cell"}:
        return
    if cell["cell_type"] == "markdown":
        yield f'<div class="markdown">{markdown(cell["source"], folder)}</div>'
    elif cell["cell_type"] == "code":
        if cell["source"].strip() and not marks & {"hide-input", "remove-input"}:
            yield f'<div class="code">{code(cell["source"])}</div>'
        if not marks & {"hide-output", "remove-output"}:
            yield from _outputs(cell.get("outputs", []), folder)


def _outputs(outputs: Sequence[dict[str, Any]], folder: Path) -> Iterator[str]:
    for out in outputs:
        drawn = output(out, folder)
        if drawn:
            yield f'<div class="output">{drawn}</div>'


def data_address(path: Path, mime: str) -> str:
    """A file as an address that carries its content."""
    return f"data:{mime};base64,{base64.b64encode(path.read_bytes()).decode()}"


@functools.cache
def fonts_css() -> str:
    """The course's typefaces, inlined."""
    faces = [
        ("Inter", 400, "normal", "Inter-Regular"),
        ("Inter", 600, "normal", "Inter-SemiBold"),
        ("Inter", 400, "italic", "Inter-Italic"),
        ("JetBrains Mono", 400, "normal", "JetBrainsMono-Regular"),
        ("JetBrains Mono", 600, "normal", "JetBrainsMono-SemiBold"),
    ]
    return "\n".join(
        f"@font-face{{font-family:'{family}';font-weight:{weight};font-style:{style};"
        f"src:url({data_address(ASSETS / 'fonts' / f'{name}.woff2', 'font/woff2')})}}"
        for family, weight, style, name in faces
    )


@functools.cache
def katex_css() -> str:
    """KaTeX's style sheet with its fonts inlined."""
    css = (ASSETS / "katex.min.css").read_text(encoding="utf-8")

    def inline(found: re.Match[str]) -> str:
        address = data_address(ASSETS / "katex-fonts" / found[1], "font/woff2")
        return f'src:url({address}) format("woff2")'

    return re.sub(r"src:url\(fonts/([\w-]+\.woff2)\)[^;}]*", inline, css)


def script(name: str) -> str:
    """A script of ours or of the vendored assets, safe to stand inside a page."""
    folder = TEMPLATES if (TEMPLATES / name).exists() else ASSETS
    return (folder / name).read_text(encoding="utf-8").replace("</script", "<\\/script")


def has_maths(text: str) -> bool:
    """Whether HTML holds maths that KaTeX must set."""
    return '<span class="maths' in text
