"""Markdown to HTML: maths as Pandoc reads it, code in colours, local images carried along."""

from __future__ import annotations

import html
import re
from pathlib import Path
from typing import Any

from minilm.course.publish.inlined import data_address
from minilm.course.publish.listing import code

# What stands between these is display maths; like Pandoc's it holds no empty line.
_DISPLAY = (
    r"\$\$(?:(?!\n[ \t]*\n|\$\$)[\s\S])+\$\$"
    r"|\\\[(?:(?!\n[ \t]*\n)[\s\S])+?\\\]"
    r"|\\begin\{(?P<maths_name>\w+\*?)\}[\s\S]+?\\end\{(?P=maths_name)\}"
)
_BLOCK = rf"^ {{0,3}}(?P<maths_text>{_DISPLAY})[ \t]*(?:\n|$)"
# A dollar opens maths before what is no space, and closes it after what is no space and before what
# is no digit (Pandoc's tex_math_dollars). Code and escaped dollars are stepped over.
_INLINE = re.compile(
    r"(?P<other>\\\$|(?P<tick>`+)(?!`).*?(?<!`)(?P=tick)(?!`)"
    rf"|<(?P<tag>code|pre|kbd|samp)\b.*?</(?P=tag)>)|{_DISPLAY}"
    r"|\\\([^`]+?\\\)|(?<!\$)\$(?![\s$])(?:\\.|[^$`\\])*?(?<!\s)\$(?![\d$])",
    re.DOTALL,
)
_PERCENT = re.compile(r"(\d) %")  # a number stays with its sign
_KEPT = re.compile("\x02(\\d+)\x03")
# Fenced code; and what is no plain paragraph: a list, table, heading, quotation, indented code.
_FENCE = re.compile(
    r"^[ \t]*(```+|~~~+).*?(?:^[ \t]*\1|\Z)|<(pre|script|style)\b.*?</\2>",
    re.DOTALL | re.MULTILINE,
)
_BUILT = re.compile(
    r"[ ]{0,3}(?:[-+*#>|]|\d+[.)] )|[ ]{4}|\t|.*^[ ]{0,3}\|?[ ]*:?-+:?[ ]*\|",
    re.DOTALL | re.MULTILINE,
)


def markdown(text: str, folder: Path) -> str:
    """Markdown to HTML.

    Maths is kept apart for KaTeX; `folder` is where local images lie, which are inlined. Maths is
    looked for within one paragraph, list item or table cell at a time, and never in code.
    """
    kept: list[str] = []
    made = str(_parser(kept, folder)(_paragraphs_kept(text, kept)))
    return _KEPT.sub(lambda found: maths(kept[int(found[1])]), made).strip()


def _keep(text: str, kept: list[str]) -> str:
    """Move all maths of one piece of text into `kept`, and leave marks in its place."""

    def mark(found: re.Match[str]) -> str:
        if found["other"]:
            return found[0]
        kept.append(found[0])
        return f"\x02{len(kept) - 1}\x03"

    return _INLINE.sub(mark, text)


def _paragraphs_kept(text: str, kept: list[str]) -> str:
    """Keep the maths of plain paragraphs, one of whose lines may begin like a list (`- x`)."""
    made, at = [], 0
    for fence in [*_FENCE.finditer(text), None]:
        between = text[at : fence.start() if fence else len(text)]
        for piece in re.split(r"(\n[ \t]*\n)", between):
            made.append(piece if _BUILT.match(piece.lstrip("\n")) else _keep(piece, kept))
        if fence:
            made.append(fence[0])
            at = fence.end()
    return "".join(made)


def _parser(kept: list[str], folder: Path) -> Any:
    """A Markdown parser that moves what maths it meets into `kept`."""
    import mistune

    class Inline(mistune.InlineParser):
        def __call__(self, s: str, env: Any) -> Any:
            return super().__call__(_keep(s, kept), env)

    class Course(mistune.HTMLRenderer):
        def block_code(self, code_text: str, info: str | None = None) -> str:
            return code(code_text, (info or "text").split()[0]) + "\n"

        def text(self, text: str) -> str:
            return super().text(_PERCENT.sub("\\1\u00a0%", text))

        def image(self, text: str, url: str, title: str | None = None) -> str:
            said = _KEPT.sub(lambda found: kept[int(found[1])], text)
            return f'<img src="{_inlined(url, folder)}" alt="{html.escape(said, quote=True)}">'

        def maths(self, text: str) -> str:
            return f"<p>{_keep(text, kept)}</p>\n"

    def displayed(block: Any, found: re.Match[str], state: Any) -> int:
        state.append_token({"type": "maths", "raw": found["maths_text"]})
        return found.end()

    renderer = Course(escape=False)
    plugins = [
        mistune.import_plugin(name) for name in ("strikethrough", "table", "url", "footnotes")
    ]
    made = mistune.Markdown(renderer=renderer, inline=Inline(), plugins=plugins)
    made.block.register("maths", _BLOCK, displayed, before="list")
    for rules in (made.block.block_quote_rules, made.block.list_rules):
        made.block.insert_rule(rules, "maths", before="list")
    return made


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


def has_maths(text: str) -> bool:
    """Whether HTML holds maths that KaTeX must set."""
    return '<span class="maths' in text
