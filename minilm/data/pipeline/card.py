"""The data card: what a corpus holds, where it is from, and what to know before training on it."""

from typing import Any

from minilm.data.clean.limits import limits
from minilm.data.pipeline.settings import Settings
from minilm.data.pipeline.tally import Tally


def card(settings: Settings, found: dict[str, Tally], facts: dict[str, Any]) -> str:
    """The card as Markdown."""
    train, held = facts["train"], facts["held_out"]
    gather = found["gather"]
    lines = [
        "# Data card",
        "",
        f"{train['documents']:,} documents to train on ({train['bytes'] / 1e6:.2f} MB, "
        f"{train['tokens']:,} tokens), {held['documents']:,} ({held['bytes'] / 1e6:.2f} MB, "
        f"{held['tokens']:,} tokens) held out. Vocabulary: {facts['vocabulary']:,} byte-pair "
        "tokens learnt from the training side.",
        "",
        "## Where it is from",
        "",
        *(f"- `{root.rstrip('/').rsplit('/', 1)[-1]}`" for root in settings.roots),
        "",
        "Files that `.gitignore` names, hidden ones, vendored and generated ones were left out.",
        "",
        "## Languages and licences",
        "",
        "| | documents | MB |",
        "|---|---|---|",
        *_rows(gather, "language: "),
        *_rows(gather, "under: "),
        "",
        "Licences were found by SPDX tags and by phrases of headers and licence files. That is no "
        f"legal advice. Rule: `{settings.licences}`.",
        "",
        "## Filters",
        "",
        "| filter | lets through | removed |",
        "|---|---|---|",
    ]
    for limit in limits(**settings.filters):
        removed = found["filter"].counts.get(limit.name, [0, 0])[0]
        low = "" if limit.low is None else f"from {limit.low:g} "
        if limit.by_language:
            low += "".join(f"({k} {v:g}) " for k, v in limit.by_language.items())
        high = "" if limit.high is None else f"up to {limit.high:g} "
        applied = limit.name in found["filter"].histograms
        number = f"{removed:,}" if applied else "not applied"
        lines.append(f"| {limit.name} | {low}{high}{limit.unit} | {number} |")
    exact = found["exact"].counts["exact duplicate"][0]
    near = found["near"].counts["near duplicate"][0]
    secrets = found["redact"].numbers
    replaced = ", ".join(f"{count:,} x {kind}" for kind, count in sorted(secrets.items()))
    tested = found["decontaminate"].counts.get("holds a test", [0, 0])[0]
    lines += [
        "",
        "## Duplicates",
        "",
        f"{exact:,} exact and {near:,} near duplicates were removed (runs of five words, Jaccard "
        f"similarity from {settings.threshold:g}, MinHash with 256 permutations, pairs verified). "
        "The longest text of a group stays. Texts with a similarity of a half or more lie on one "
        "side of the split.",
        "",
        "## Personal data",
        "",
        f"Replaced: {replaced or 'nothing was found'}. Found by pattern and entropy: names of "
        "people are not looked for, and some secrets will have been missed.",
        "",
        "## Contamination",
        "",
        f"{tested:,} documents were removed because they hold a test."
        if settings.tests
        else "No tests were named, so none were looked for.",
        "",
    ]
    return "\n".join(lines)


def _rows(tally: Tally, prefix: str) -> list[str]:
    own = {k.removeprefix(prefix): v for k, v in tally.counts.items() if k.startswith(prefix)}
    order = sorted(own.items(), key=lambda item: (-item[1][1], item[0]))
    return [f"| {name} | {count:,} | {size / 1e6:.2f} |" for name, (count, size) in order]
