"""The look of what a grading writes: one HTML file each that loads nothing and runs nothing."""

import html
from collections.abc import Collection, Iterable

from minilm.course.grade.excerpts import Excerpt
from minilm.course.grade.identity import visible

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<style>
:root {{ color-scheme: light dark; --ink: #1c1c1e; --paper: #fff; --faint: #5f6066;
 --line: #dedfe3; --code: #f5f5f7; --good: #0a6b49; --bad: #a3211a; --mark: #fde8e6 }}
@media (prefers-color-scheme: dark) {{ :root {{ --ink: #eee; --paper: #16161a; --faint: #a5a6ad;
 --line: #3a3a42; --code: #222228; --good: #5fd3a8; --bad: #ff8a80; --mark: #4a2422 }} }}
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto;
 padding: 0 1.2rem; color: var(--ink); background: var(--paper) }}
h1 {{ font-size: 1.6rem; margin: 0 }} h2 {{ font-size: 1.15rem; margin: 0 0 .4rem }}
section {{ border-top: 1px solid var(--line); padding: 1.1rem 0 }}
.points {{ float: right; font-variant-numeric: tabular-nums; padding-left: 1rem }}
.who, .faint {{ color: var(--faint) }} .who {{ margin: .2rem 0 1.2rem; overflow-wrap: anywhere }}
ul {{ list-style: none; padding: 0; margin: 0 }} li {{ padding: .15rem 0; overflow-wrap: anywhere }}
.pass {{ color: var(--good) }} .fail {{ color: var(--bad) }} .why, .hint {{ padding-left: 1.6rem }}
.hint {{ font-style: italic }} .cause {{ color: var(--bad) }}
.beside {{ display: grid; grid-template-columns: minmax(0, 1fr) minmax(0, 1fr); gap: 0 2rem }}
.beside > div {{ position: sticky; top: 1rem; align-self: start }}
.first {{ border: 1px solid var(--bad); border-radius: 6px; padding: .9rem 1.1rem;
 margin: 0 0 1.2rem }}
code, pre, .notes li {{ font: .85rem/1.45 ui-monospace, "DejaVu Sans Mono", monospace }}
h2 code {{ color: var(--faint); font-weight: normal }}
figure {{ margin: 0 }} figcaption {{ color: var(--faint); font-size: .85rem }}
pre {{ background: var(--code); border-radius: 6px; padding: .6rem 0; margin: .3rem 0;
 white-space: pre-wrap; overflow-wrap: anywhere }}
pre span {{ display: block; padding: 0 .8rem 0 5.2em; text-indent: -4.4em }}
pre i {{ color: var(--faint); font-style: normal; user-select: none; display: inline-block;
 width: 3.2em; text-align: right; margin-right: 1.2em; text-indent: 0 }}
pre .here {{ background: var(--mark) }}
table {{ border-collapse: collapse; width: 100% }} td, th {{ text-align: left;
 padding: .25rem .8rem .25rem 0; vertical-align: top; overflow-wrap: anywhere }}
td:first-child {{ min-width: 9.5rem }} table.narrow {{ width: auto }}
th {{ color: var(--faint); font-weight: normal; font-size: .85rem }}
td.n {{ text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; width: 4.5rem }}
meter {{ width: 9rem; height: .9rem }}
@media (max-width: 48rem) {{ .beside {{ grid-template-columns: minmax(0, 1fr) }} }}
</style></head><body>
{body}
</body></html>
"""


def safe(text: str) -> str:
    """A text as it may stand in a page, whoever wrote it."""
    return html.escape(visible(text))


def page(title: str, body: Iterable[str]) -> str:
    """A whole page; `body` is HTML already."""
    return PAGE.format(title=safe(title), body="\n".join(body))


def listing(excerpt: Excerpt, marked: Collection[str] = (), line: int | None = None) -> str:
    """Code with the numbers of its lines; lines that say what is `marked` stand out."""
    rows = []
    for number, text in enumerate(excerpt.lines, excerpt.first):
        here = number == line or (text.strip() and text.strip()[:120] in marked)
        kind = ' class="here"' if here else ""
        rows.append(f"<span{kind}><i>{number}</i>{safe(text) or ' '}</span>")
    name = f"your code cell {excerpt.cell}"
    return f"<figure><figcaption>{name}</figcaption><pre>{''.join(rows)}</pre></figure>"
