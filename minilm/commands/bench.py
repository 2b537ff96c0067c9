"""`minilm bench`: what is claimed to be faster, measured here and now beside its peers."""

import argparse
import dataclasses
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from minilm.errors import InputError

HELP = "measure this machine: training, decoding, tokenizers beside PyTorch and others"

USUAL = ("train", "decode", "tokenizer", "kernels", "start")
PARTS = {  # and the modules that measure them
    "train": "training",
    "decode": "decode",
    "tokenizer": "tokenizer",
    "kernels": "kernels",
    "start": "start",
    "scan": "scan",
    "align": "align",
    "serve": "serve",
    "scaling": "scaling",
    "images": "images",
    "vision": "vision",
    "parallel": "parallel",
    "study": "study",
    "sandbox": "sandbox",
    "data": "data",
    "gpu": "gpu",
}
FORMAT = 1  # of the JSON file


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `minilm bench` takes."""
    parser.add_argument(
        "part",
        nargs="?",
        choices=PARTS,
        metavar="PART",
        help=f"one of {', '.join(PARTS)}; without it {', '.join(USUAL)}",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows to a file, too")
    parser.add_argument("--quick", action="store_true", help="fewer rounds and smaller texts")
    parser.add_argument(
        "--write",
        type=Path,
        metavar="FILE",
        help="measure nothing: put the parts in such a file into BENCHMARKS.md",
    )


def run(args: argparse.Namespace) -> int:
    """Measure one part or the usual ones; each row is printed, and written, when it is measured."""
    if args.write is not None:
        return _write_page(args.write)
    from minilm.bench import machine

    if args.json is not None and (args.json.is_dir() or not args.json.absolute().parent.is_dir()):
        raise InputError(
            f"--json is {str(args.json)!r}; it must name a file in a folder that exists"
        )
    if args.part == "gpu":
        from minilm import backend

        backend.array_module("cuda")  # says at once where there is no GPU
    facts = machine.facts()
    if args.part == "gpu":
        from minilm.backend.machine import gpu

        facts["gpu"] = gpu(backend.cupy())
    print("\n".join(machine.lines(facts)), flush=True)
    record: dict[str, Any] = {"format": FORMAT, "machine": facts, "quick": args.quick, "rows": []}
    for part in [args.part] if args.part else USUAL:
        begin = time.perf_counter()
        print(f"\n{part}", flush=True)
        for line in _measured(part, args.quick, record):
            print(line, flush=True)
            if args.json is not None:
                from minilm.files import write_atomically

                write_atomically(args.json, (json.dumps(record, indent=2) + "\n").encode())
        print(f"({time.perf_counter() - begin:.0f} s)", flush=True)
    return 0


def _measured(part: str, quick: bool, record: dict[str, Any]) -> Iterator[str]:
    """The lines of a part, each when it is known; what they tell is in the record by then."""
    from minilm.bench import apart

    results = apart.results_of(f"minilm.bench.{PARTS[part]}", quick)
    if part == "scaling":
        from minilm.bench.scaling import text_of

        curves = record["curves"] = []
        for curve in results:
            curves.append(curve.to_dict())
            yield text_of(curve)
        return
    from minilm.bench.rows import heading, line_of

    for i, row in enumerate(results):
        record["rows"].append({"part": part, **dataclasses.asdict(row)})
        yield line_of(row) if i else f"{heading()}\n{line_of(row)}"


def _write_page(file: Path) -> int:
    from minilm.bench import report
    from minilm.course.places import Course
    from minilm.files import between, replace_between, write_atomically

    try:
        record = json.loads(file.read_text(encoding="utf-8"))
        new = report.blocks(record)
    except InputError:
        raise
    except (OSError, ValueError, KeyError, TypeError) as problem:
        raise InputError(
            f"--write is {str(file)!r}, which is not a file that --json wrote: {problem}"
        ) from None
    path = Course.here().benchmarks
    text = path.read_text(encoding="utf-8")
    marks = report.BEGIN, report.END
    page = report.page(between(text, *marks), new)
    write_atomically(path, replace_between(text, *marks, page).encode())
    print(f"BENCHMARKS.md: {', '.join(new)} rewritten")
    return 0
