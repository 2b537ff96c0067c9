"""The tables of BENCHMARKS.md: what whole runs of `minilm bench` wrote to their JSON files.

Each part of the bench is a block of its own, with its machine and its date, so that one part can be
measured again and the others stay.
"""

import re
from typing import Any

from minilm.bench.rows import Row, said_of
from minilm.errors import InputError

BEGIN, END = "<!-- bench:begin -->", "<!-- bench:end -->"
TITLES = {
    "train": "Training",
    "decode": "Writing, greedily, with a cache",
    "tokenizer": "Tokenizer: 30 MB of Python source, and texts made to be slow",
    "kernels": "Single operations, forward and backward",
    "start": "From typing `minilm train` to its first step",
    "scan": "State-space models and linear attention",
    "align": "Fine-tuning, preferences and rollouts",
    "serve": "Serving: pages, batches, shared beginnings, guesses",
    "images": "Pictures: denoisers, convolutions, sampling",
    "vision": "Models that see pictures and videos",
    "parallel": "Ranks: processes over MPI, simulated ranks, predictions",
    "data": "Data: near duplicates, filters, tokens",
    "study": "Studies over processes",
    "sandbox": "Judging programs that nobody trusts",
}
_BLOCK = re.compile(r"<!-- bench:part (\w+) -->\n(.*?)(?=<!-- bench:part |\Z)", re.DOTALL)
_JUDGED = re.compile(r"<summary>.*: (\d+) of (\d+) rows at their goal</summary>")


def blocks(record: dict[str, Any]) -> dict[str, str]:
    """Part -> its rows as a folded table, with the machine and the date.

    Raises:
        InputError: there are no rows, the run was a quick one, or a part has no place on the page.
    """
    if record["quick"] or not record["rows"]:
        why = "is of a quick run" if record["quick"] else "holds no rows"
        raise InputError(f"this file {why}; BENCHMARKS.md must show whole runs")
    parts = list(dict.fromkeys(row["part"] for row in record["rows"]))
    for part in parts:
        if part not in TITLES:
            raise InputError(f"part is {part!r}; on the page it must be one of {', '.join(TITLES)}")
    return {part: _block(part, record) for part in parts}


def page(shown: str, new: dict[str, str]) -> str:
    """What stands between the marks of the page, with some blocks replaced or added.

    Args:
        shown: what stands there now.
        new: part -> block.
    """
    known = {part: text.strip() for part, text in _BLOCK.findall(shown)} | new
    found = [map(int, hit) for text in known.values() for hit in _JUDGED.findall(text)]
    met, judged = map(sum, zip(*found, strict=True))
    lines = [
        f"{met} of {judged} rows reach their goal. A figure is the median over rounds, the ratio "
        "the median of the rounds' own ratios, in which both sides ran one after the other: where "
        "a machine wobbles, it is not the ratio of the two columns. Spread: the ratios of all "
        "rounds but the outermost fifth on either side. Each part was measured in one run of "
        "`minilm bench`, on the machine that stands over it."
    ]
    for part in TITLES:
        if part in known:
            lines += ["", f"<!-- bench:part {part} -->", known[part]]
    return "\n".join(lines)


def _block(part: str, record: dict[str, Any]) -> str:
    rows = [{k: v for k, v in row.items() if k != "part"} for row in record["rows"]
            if row["part"] == part]  # fmt: skip
    judged = [row["met"] for row in rows if row["met"] is not None]
    out = [f"<details><summary>{TITLES[part]}: {sum(judged)} of {len(judged)} rows at their "
           "goal</summary>", "", _machine(record["machine"]), ""]  # fmt: skip
    out += ["| | minilm | peer | | peer is | ratio | spread | goal | |"]
    out += ["|---|---|---|---|---|---|---|---|---|"]
    out += ["| " + " | ".join(_cells(Row(**row))) + " |" for row in rows]
    return "\n".join([*out, "", "</details>"])


def _machine(facts: dict[str, Any]) -> str:
    versions = ", ".join(f"{k} {v}" for k, v in facts["versions"].items() if v is not None)
    coretype = facts["openblas_coretype"]
    kernels = sorted({str(e["kernels"]) for e in facts["blas"] if e["kernels"]})
    return (
        f"{facts['date']}: {facts['cpu']}, {facts['cores']} cores, {facts['system']}; Python "
        f"{facts['python']}, {versions}; `OPENBLAS_CORETYPE` "
        f"{'not set' if coretype is None else coretype}, BLAS with {' and '.join(kernels)} kernels."
    )


def _cells(row: Row) -> tuple[str, ...]:
    figures = ("" if figure is None else _number(figure) for figure in (row.ours, row.peer))
    said = ("", "", "", "") if row.ratio is None else said_of(row)
    return (row.name, *figures, row.unit if row.ours is not None else "", row.peer_name, *said)


def _number(figure: float) -> str:
    return f"{figure:,.0f}" if figure >= 1000 else f"{figure:.3g}"
