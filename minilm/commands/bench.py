"""`minilm bench`: ours beside the others, measured on this machine."""

import argparse
import dataclasses
import importlib
import json
import pkgutil
import platform
import time
from pathlib import Path

HELP = "measure this package against others: minilm bench gpu --json FILE"


def subjects() -> list[str]:
    """Modules of `minilm.bench` that have a `run`, found by name without importing them."""
    from minilm import bench

    folder = Path(bench.__path__[0])
    return [
        module.name
        for module in pkgutil.iter_modules([str(folder)])
        if "\ndef run(" in (folder / f"{module.name}.py").read_text(encoding="utf-8")
    ]


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `minilm bench` takes."""
    parser.add_argument("what", choices=subjects(), help="what to measure")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the rows to FILE")
    parser.add_argument("--rounds", type=int, default=7, metavar="N", help="rounds per row (7)")


def run(args: argparse.Namespace) -> int:
    """Measure, print the table, write the file."""
    from minilm.bench.rows import table
    from minilm.errors import InputError

    if args.rounds < 1:
        raise InputError(f"--rounds is {args.rounds}; it must be 1 or more")
    module = importlib.import_module(f"minilm.bench.{args.what}")
    rows = module.run(rounds=args.rounds)
    print(table(rows))
    if args.json is not None:
        facts = {
            "what": args.what,
            "date": time.strftime("%Y-%m-%d"),
            "machine": getattr(module, "machine", platform.platform)(),
            "python": platform.python_version(),
            "rows": [dataclasses.asdict(row) for row in rows],
        }
        args.json.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
        print(f"written to {args.json}")
    return 0
