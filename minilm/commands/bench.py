"""`minilm bench`: what is claimed to be faster, measured here and now beside its peers."""

import argparse
import dataclasses
import importlib
import json
import math
import time
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
    "scaling": "scaling",
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
    parser.add_argument("--quick", action="store_true", help="fewer rounds: 3 minutes, not 12")


def run(args: argparse.Namespace) -> int:
    """Measure one part or the usual ones, and print each as soon as it is done."""
    from minilm.bench import machine

    if args.json is not None and not args.json.absolute().parent.is_dir():
        raise InputError(f"--json is {str(args.json)!r}; its folder does not exist")
    if args.part == "gpu":
        from minilm import backend

        backend.array_module("cuda")  # says at once where there is no GPU
    facts = machine.describe()
    if args.part == "gpu":
        from minilm.bench import gpu

        facts["gpu"] = gpu.machine()
    print("\n".join(machine.lines(facts)), flush=True)
    record: dict[str, Any] = {"format": FORMAT, "machine": facts, "quick": args.quick, "rows": []}
    for part in [args.part] if args.part else USUAL:
        begin = time.perf_counter()
        print(f"\n{part}", flush=True)
        measured = importlib.import_module(f"minilm.bench.{PARTS[part]}").run(**_how(part, args))
        if part == "scaling":
            from minilm.bench.scaling import text_of

            print(text_of(measured))
            record["curves"] = [curve.to_dict() for curve in measured]
        else:
            from minilm.bench.rows import table

            print(table(measured))
            record["rows"] += [{"part": part, **row_json(row)} for row in measured]
        print(f"({time.perf_counter() - begin:.0f} s)", flush=True)
        if args.json is not None:
            from minilm.files import write_atomically

            write_atomically(args.json, (json.dumps(record, indent=2) + "\n").encode())
    return 0


def _how(part: str, args: argparse.Namespace) -> dict[str, Any]:
    """How much of a part to measure, in its own words."""
    if part == "tokenizer":
        return {"megabytes": 6, "rounds": 3} if args.quick else {}
    if part == "gpu":
        return {"rounds": 5} if args.quick else {}
    return {"quick": args.quick}


def row_json(row: Any) -> dict[str, Any]:
    """A row for JSON, where what was not measured is null."""
    fields = dataclasses.asdict(row)
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in fields.items()
    }
