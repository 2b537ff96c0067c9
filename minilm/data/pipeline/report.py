"""The report page: one HTML file that says what came in, what went out, and why."""

import html
from collections.abc import Sequence

from minilm.data.clean.limits import limits
from minilm.data.pipeline.documents import SIZES
from minilm.data.pipeline.duplicates import GROUP_SIZES
from minilm.data.pipeline.settings import NEAREST, Settings
from minilm.data.pipeline.tally import Tally
from minilm.data.pipeline.tokens import LENGTHS

_STYLE = """
:root{--ink:#1d2733;--soft:#5d6b7a;--line:#dde3ea;--bar:#2f6f9f;--cut:#c0504d;--pale:#f5f7fa}
*{box-sizing:border-box}
body{margin:0 auto;max-width:60rem;padding:2rem 1.2rem 4rem;color:var(--ink);background:#fff;
font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
h1{font-size:1.9rem;margin:0 0 .3rem}h2{font-size:1.3rem;margin:2.6rem 0 .5rem}
h3{font-size:1.02rem;margin:1.6rem 0 .3rem}p{margin:.4rem 0;max-width:46rem}
.soft{color:var(--soft)}table{border-collapse:collapse;margin:.6rem 0;font-size:.93rem}
th,td{text-align:left;padding:.22rem .9rem .22rem 0;border-bottom:1px solid var(--line);
vertical-align:top}
th{color:var(--soft);font-weight:600}td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}
details{margin:.35rem 0}summary{cursor:pointer;color:var(--bar)}
pre{background:var(--pale);border:1px solid var(--line);border-radius:4px;padding:.5rem .7rem;
margin:.2rem 0 .8rem;font:12.5px/1.4 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;
white-space:pre-wrap;overflow-wrap:anywhere;max-height:14rem;overflow:auto}
.path{font:12.5px ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;overflow-wrap:anywhere}
svg{display:block;max-width:100%;height:auto}svg text{font-size:12px;fill:var(--ink);
font-family:inherit}svg .soft{fill:var(--soft)}
.two{display:grid;grid-template-columns:repeat(auto-fit,minmax(26rem,1fr));gap:0 2rem}
@media(max-width:32rem){.two{grid-template-columns:1fr}}
"""


def page(settings: Settings, found: dict[str, Tally]) -> str:
    """The page, for a run that came at least as far as the near duplicates.

    Args:
        settings: of the run.
        found: what each stage counted.
    """
    body = [
        "<h1>What became of the files</h1>",
        f"<p class='soft'>Read from {', '.join(_code(_name(root)) for root in settings.roots)} "
        f"with seed {settings.seed}.</p>",
        *_funnel(found),
        *_files(found),
        *_filters(settings, found["filter"]),
        *_duplicates(settings, found),
    ]
    if "redact" in found:
        body += _secrets(found["redact"])
    if "decontaminate" in found:
        body += _contamination(settings, found["decontaminate"])
    if "tokenise" in found:
        body += _corpus(found)
    return (
        "<!doctype html>\n<html lang='en'><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width,initial-scale=1'>"
        f"<title>Data report</title><style>{_STYLE}</style></head>\n<body>\n"
        + "\n".join(body)
        + "\n</body></html>\n"
    )


def _documents(count: int) -> str:
    return f"{count:,} document{'s' * (count != 1)}"


def _name(root: str) -> str:
    return root.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1]


def _text(text: str) -> str:
    return html.escape(text.encode("utf-8", "replace").decode())


def _code(text: str) -> str:
    return f"<span class='path'>{_text(text)}</span>"


def _funnel(found: dict[str, Tally]) -> list[str]:
    """Documents and bytes after each step, as bars."""
    decoded = found["decode"]
    everything = [sum(n) for n in zip(*_plain(decoded).values())] or [0, 0]
    steps = [("files found", everything), ("text, in a licence", _kept(decoded))]
    steps += [(title, _kept(found[name])) for name, title in (
        ("filter", "within the filters"), ("exact", "without exact duplicates"),
        ("near", "without near duplicates"), ("decontaminate", "without texts of tests"),
    ) if name in found]  # fmt: skip
    most = max(steps[0][1][1], 1)
    rows, height = [], 26
    for place, (title, (documents, size)) in enumerate(steps):
        y, width = place * height, 330 * size / most
        rows.append(
            f"<text x='0' y='{y + 17}'>{title}</text>"
            f"<rect x='190' y='{y + 4}' width='{max(width, 1):.1f}' height='18' fill='#2f6f9f'/>"
            f"<text x='{196 + width:.1f}' y='{y + 17}'>{documents:,} documents, {_size(size)}"
            f"<tspan class='soft'>  {100 * size / most:.1f} %</tspan></text>"
        )
    last = steps[-1][1]
    share = 100 * last[1] / most
    return [
        f"<p>Of {everything[0]:,} files ({_size(everything[1])}), {last[0]:,} documents "
        f"({_size(last[1])}, {share:.1f} % of the bytes) are left.</p>",
        f"<svg viewBox='0 0 860 {height * len(steps)}' width='860' role='img' "
        f"aria-label='Bytes left after each step'>{''.join(rows)}</svg>",
    ]


def _plain(tally: Tally) -> dict[str, list[int]]:
    """The counts that exclude each other."""
    prefixes = ("language: ", "under: ", "alone: ")
    return {k: v for k, v in tally.counts.items() if not k.startswith(prefixes)}


def _kept(tally: Tally) -> list[int]:
    return tally.counts.get("kept", [0, 0])


def _files(found: dict[str, Tally]) -> list[str]:
    walk, decoded = found["discover"], found["decode"]
    out = ["<h2>Files</h2>", "<p>Left out by name, without a look inside:</p>"]
    out += _reasons(walk, walk.counts) or ["<p class='soft'>none</p>"]
    inside = {k: v for k, v in _plain(decoded).items() if k != "kept"}
    out += ["<p>Left out once read:</p>", *(_reasons(decoded, inside) or ["<p>none</p>"])]
    out += ["<div class='two'><div><h3>Languages</h3>", *_shares(decoded, "language: ")]
    out += ["</div><div><h3>Licences</h3>", *_shares(decoded, "under: "), "</div></div>"]
    return [*out, "<h3>Sizes</h3>", *_histogram(decoded.histograms.get("bytes"), SIZES, "bytes")]


def _filters(settings: Settings, tally: Tally) -> list[str]:
    out = [
        "<h2>Filters</h2>",
        "<p>A document is removed by the first filter that it does not pass. Each filter is shown "
        "with all documents that it measures; bars outside its bounds are red where they lie "
        "outside as a whole, a dashed line is a bound.</p>",
    ]
    for limit in limits(**settings.filters):
        removed, size = tally.counts.get(limit.name, [0, 0])
        alone = tally.counts.get(f"alone: {limit.name}", [0, 0])[0]
        low = [] if limit.low is None else [f"at least {limit.low:g}"]
        if limit.by_language:
            low = [f"{least:g} in {name}" for name, least in limit.by_language.items()]
            low = [f"at least {', '.join(low)}, {limit.low:g} elsewhere"]
        high = [] if limit.high is None else [f"at most {limit.high:g}"]
        if limit.name not in tally.histograms:
            why = "there is too little text to learn from what a token is" * (
                limit.name == "fertility"
            )
            out.append(f"<h3>{limit.name}</h3><p>Not applied{': ' * bool(why)}{why}.</p>")
            continue
        out += [
            f"<h3>{limit.name} ({limit.unit}): {' and '.join(low + high)}</h3>",
            f"<p>Removed {_documents(removed)} ({_size(size)}). With what an earlier filter "
            f"removed, {_documents(alone)} did not pass.</p>",
            *_histogram(tally.histograms.get(limit.name), limit.edges, limit.unit,
                        limit.low, limit.high),
            *_samples(tally, limit.name),
        ]  # fmt: skip
    return out


def _duplicates(settings: Settings, found: dict[str, Tally]) -> list[str]:
    out = ["<h2>Duplicates</h2>"]
    for name, reason in (("exact", "exact duplicate"), ("near", "near duplicate")):
        removed, size = found[name].counts[reason]
        out += [f"<p>{removed:,} {reason}{'s' * (removed != 1)} ({_size(size)}) removed.</p>"]
        out += _samples(found[name], reason)
    near = found["near"]
    return [
        *out,
        f"<p class='soft'>Near: Jaccard similarity of runs of five words from "
        f"{settings.threshold:g}, found with 256 permutations, each pair verified. The longest "
        f"text of a group stays. Texts with a similarity from {NEAREST:g} stay on one side of the "
        "split.</p>",
        "<h3>Documents in a group of near duplicates</h3>",
        *_histogram(near.histograms.get("documents in a group"), GROUP_SIZES, "documents"),
    ]


def _secrets(tally: Tally) -> list[str]:
    documents = tally.counts.get("redacted", [0, 0])[0]
    out = ["<h2>Personal data and secrets</h2>"]
    if not tally.numbers:
        return [*out, "<p>None found.</p>"]
    total = ", ".join(f"{count:,} of kind {kind}" for kind, count in sorted(tally.numbers.items()))
    out.append(f"<p>Replaced in {_documents(documents)}: {total}. What was found is not shown; "
               "&hellip; stands in its place.</p>")  # fmt: skip
    for kind in sorted(tally.numbers):
        out += _samples(tally, kind)
    return out


def _contamination(settings: Settings, tally: Tally) -> list[str]:
    out = ["<h2>Texts of tests</h2>"]
    if not settings.tests:
        return [*out, "<p>No tests were named, so none were looked for.</p>"]
    removed, size = tally.counts.get("holds a test", [0, 0])
    out.append(f"<p>{_documents(removed)} ({_size(size)}) removed for holding a test.</p>")
    return [*out, *_samples(tally, "holds a test")]


def _corpus(found: dict[str, Tally]) -> list[str]:
    gather, tokens = found["gather"], found["tokenise"]
    rows = []
    for side, title in (("train", "to train on"), ("held_out", "held out")):
        documents, size = gather.counts.get(side, [0, 0])
        rows.append([title, f"{documents:,}", _size(size), f"{tokens.numbers[f'{side} tokens']:,}"])
    total = sum(value for name, value in tokens.numbers.items())
    return [
        "<h2>The corpus</h2>",
        _table(["", "documents", "size", "tokens"], rows),
        f"<p>{gather.numbers.get('characters', 0) / max(total, 1):.2f} characters a token.</p>",
        "<h3>Tokens of a document</h3>",
        *_histogram(tokens.histograms.get("tokens"), LENGTHS, "tokens"),
    ]


def _reasons(tally: Tally, counts: dict[str, list[int]]) -> list[str]:
    if not counts:
        return []
    order = sorted(counts.items(), key=lambda item: (-item[1][0], item[0]))
    rows = [[_text(why), f"{n:,}", _size(size) if size else ""] for why, (n, size) in order]
    out = [_table(["reason", "number", "size"], rows)]
    for why in sorted(counts):
        out += _samples(tally, why)
    return out


def _shares(tally: Tally, prefix: str) -> list[str]:
    own = {k.removeprefix(prefix): v for k, v in tally.counts.items() if k.startswith(prefix)}
    order = sorted(own.items(), key=lambda item: (-item[1][1], item[0]))
    rows = [[_text(name), f"{n:,}", _size(size)] for name, (n, size) in order]
    return [_table(["", "documents", "size"], rows)] if rows else []


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    def line(cells: Sequence[str], tag: str) -> str:
        return "<tr>" + "".join(
            f"<{tag}{' class=n' * (i > 0)}>{cell}</{tag}>" for i, cell in enumerate(cells)
        ) + "</tr>"  # fmt: skip

    return f"<table>{line(head, 'th')}{''.join(line(row, 'td') for row in rows)}</table>"


def _samples(tally: Tally, reason: str) -> list[str]:
    """Some of the documents with a reason, folded."""
    kept = tally.samples.get(reason, [])
    if not kept:
        return []
    shown = "".join(
        f"<p>{_code(path)}</p>" + (f"<pre>{_text(excerpt)}</pre>" if excerpt else "")
        for _, path, excerpt in kept
    )
    what = f"{len(kept)} sample{'s' * (len(kept) > 1)}: {_text(reason)}"
    return [f"<details><summary>{what}</summary>{shown}</details>"]


def _histogram(
    bars: Sequence[int] | None,
    edges: Sequence[float],
    unit: str,
    low: float | None = None,
    high: float | None = None,
) -> list[str]:
    """Bars of equal width, whatever their edges, each with its number."""
    if not bars:
        return []
    last = max((i for i, count in enumerate(bars) if count), default=0)
    bars, edges = bars[: last + 1], edges[: last + 2]  # empty ones at the end say nothing
    most, wide, tall = max([*bars, 1]), 66, 110
    parts = []
    for i, count in enumerate(bars):
        height = tall * count / most
        outside = (low is not None and edges[i + 1] <= low) or (
            high is not None and edges[i] >= high
        )
        x = i * wide + 30
        parts.append(
            f"<rect x='{x + 3}' y='{tall + 18 - height:.1f}' width='{wide - 6}' "
            f"height='{height:.1f}' fill='{'#c0504d' if outside else '#2f6f9f'}'/>"
        )
        if count:
            parts.append(f"<text x='{x + wide / 2}' y='{tall + 13 - height:.1f}' "
                         f"text-anchor='middle'>{count:,}</text>")  # fmt: skip
    for i, edge in enumerate(edges):
        x = i * wide + 30
        if edge < 10**6:  # the last one may stand for infinity
            parts.append(f"<text class='soft' x='{x}' y='{tall + 36}' text-anchor='middle'>"
                         f"{_short(edge)}</text>")  # fmt: skip
        if edge in (low, high):
            parts.append(f"<line x1='{x}' y1='4' x2='{x}' y2='{tall + 22}' stroke='#c0504d' "
                         "stroke-dasharray='4 3'/>")  # fmt: skip
    width = len(bars) * wide + 60
    return [f"<svg viewBox='0 0 {width} {tall + 58}' width='{width}' role='img' "
            f"aria-label='Histogram over {unit}'>{''.join(parts)}"
            f"<text class='soft' x='{width / 2}' y='{tall + 54}' text-anchor='middle'>{unit}</text>"
            "</svg>"]  # fmt: skip


def _short(value: float) -> str:
    if value >= 1000:
        return f"{value / 1000:g}k"
    return f"{value:g}"


def _size(size: float) -> str:
    return f"{size / 1e6:,.2f} MB" if size >= 100_000 else f"{size / 1e3:,.1f} kB"
