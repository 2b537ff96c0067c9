"""Cells to HTML, the same way for decks and for the site."""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from minilm.course.build.lessons import joined
from minilm.course.build.notebook import tags_of
from minilm.course.publish.inlined import ASSETS, TEMPLATES, katex_css
from minilm.course.publish.listing import code
from minilm.course.publish.prose import markdown, maths

__all__ = ["ASSETS", "TEMPLATES", "blocks", "katex_css", "markdown", "output"]

SHOWN = (  # the kinds of output, best first
    "text/html",
    "text/markdown",
    "image/svg+xml",
    "image/png",
    "image/jpeg",
    "text/latex",
    "text/plain",
)


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
    lines = [line.rstrip("\r").rsplit("\r", 1)[-1] for line in text.rstrip().split("\n")]
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
    """Each output by itself, but a control together with what it moves."""
    controls = next(filter(None, (_ours(out).get("controls") for out in outputs)), None)
    if not controls:
        yield from (f'<div class="output">{drawn}</div>' for drawn in _drawn(outputs, folder))
        return
    frames = next(filter(None, (_ours(out).get("frames") for out in outputs)), [])
    first = next(k for k, out in enumerate(outputs) if _ours(out).get("controls"))
    yield from (f'<div class="output">{drawn}</div>' for drawn in _drawn(outputs[:first], folder))
    states = [frame["outputs"] for frame in frames] or [outputs[first:]]
    start = next((k for k, frame in enumerate(frames) if frame.get("start")), 0)
    shown = ""
    for k, state in enumerate(states):
        frame = "".join(_drawn(state, folder))
        if k == start:
            shown += f'<div class="frame">{frame}</div>'
        else:  # frames.js loads a picture when its frame is shown
            frame = frame.replace('<img src="data:', '<img data-src="data:')
            shown += f'<div class="frame" hidden>{frame}</div>'
    yield f'<div class="output frames" data-start="{start}">{shown}</div>'


def _ours(out: dict[str, Any]) -> dict[str, Any]:
    """What minilm wrote down about an output."""
    return out.get("metadata", {}).get("minilm", {})


def _drawn(outputs: Sequence[dict[str, Any]], folder: Path) -> list[str]:
    """Outputs to HTML, without the empty ones; a stream that was stored in pieces is one text."""
    whole: list[dict[str, Any]] = []
    for out in outputs:
        before = whole[-1] if whole else {}
        if out["output_type"] == "stream" and before.get("name") == out.get("name"):
            whole[-1] = {**before, "text": joined(before["text"]) + joined(out["text"])}
        else:
            whole.append(out)
    return list(filter(None, (output(out, folder) for out in whole)))
