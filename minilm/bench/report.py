"""The README's table: what a whole run of `minilm bench` wrote to its JSON file, part by part."""

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
}


def markdown(record: dict[str, Any]) -> str:
    """The rows of a record as tables, a folded one per part.

    Raises:
        InputError: a part is missing, or the run was a quick one.
    """
    missing = [part for part in TITLES if part not in {row["part"] for row in record["rows"]}]
    if missing or record["quick"]:
        why = f"lacks {', '.join(missing)}" if missing else "is of a quick run"
        raise InputError(f"this file {why}; BENCHMARKS.md must show a whole run of every part")
    out = [_summary(record)]
    for part, title in TITLES.items():
        rows = [{k: v for k, v in row.items() if k != "part"} for row in record["rows"]
                if row["part"] == part]  # fmt: skip
        judged = [row["met"] for row in rows if row["met"] is not None]
        out += ["", f"<details><summary>{title}: {sum(judged)} of {len(judged)} rows at their "
                "goal</summary>", ""]  # fmt: skip
        out += ["| | minilm | peer | | peer is | ratio | spread | goal | |"]
        out += ["|---|---|---|---|---|---|---|---|---|"]
        out += ["| " + " | ".join(_cells(Row(**row))) + " |" for row in rows]
        out += ["", "</details>"]
    return "\n".join(out)


def _summary(record: dict[str, Any]) -> str:
    facts = record["machine"]
    judged = [row["met"] for row in record["rows"] if row["met"] is not None]
    versions = ", ".join(f"{k} {v}" for k, v in facts["versions"].items() if v is not None)
    coretype = facts["openblas_coretype"]
    kernels = sorted({str(e["kernels"]) for e in facts["blas"] if e["kernels"]})
    return (
        f"{sum(judged)} of {len(judged)} rows reach their goal. Measured by `minilm bench` on "
        f"{facts['date']}: {facts['cpu']}, {facts['cores']} cores, {facts['system']}; Python "
        f"{facts['python']}, {versions}; `OPENBLAS_CORETYPE` "
        f"{'not set' if coretype is None else coretype}, BLAS with {' and '.join(kernels)} "
        "kernels. "
        "A figure is the median over rounds, the ratio the median of the rounds' own ratios, in "
        "which both sides ran one after the other: where a machine wobbles, it is not the ratio of "
        "the two columns. Spread: the ratios of all rounds but the outermost fifth on either side."
    )


def _cells(row: Row) -> tuple[str, ...]:
    figures = ("" if figure is None else _number(figure) for figure in (row.ours, row.peer))
    said = ("", "", "", "") if row.ratio is None else said_of(row)
    return (row.name, *figures, row.unit if row.ours is not None else "", row.peer_name, *said)


def _number(figure: float) -> str:
    return f"{figure:,.0f}" if figure >= 1000 else f"{figure:.3g}"
