"""`minilm claims`: the verdicts of all lessons."""

from __future__ import annotations

import argparse

HELP = "print which claims of the talks were reproduced"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("lessons", nargs="*", metavar="NN", help="lesson numbers; all by default")
    parser.add_argument("--json", action="store_true", help="every field, as JSON")
    parser.add_argument("--write", action="store_true", help="write the table into CLAIMS.md")
    parser.add_argument(
        "--check",
        action="store_true",
        help="with --write: change nothing, fail if notebooks, records and CLAIMS.md disagree",
    )


def run(args: argparse.Namespace) -> int:
    """Print the board, or bring the table of CLAIMS.md up to date."""
    import json
    import shutil
    import sys

    from minilm.course.places import Course
    from minilm.course.publish import board
    from minilm.errors import InputError

    if args.check and not args.write:
        raise InputError("--check goes with --write; it says whether that would change anything")
    if args.write and args.lessons:
        raise InputError("--write writes the verdicts of all lessons; leave the numbers out")
    here = Course.here()
    if args.write and args.check:
        wrong = board.stale(here)
        for sentence in wrong:
            print(f"minilm: {sentence}", file=sys.stderr)
        return 1 if wrong else 0
    if args.write:
        print("CLAIMS.md rewritten" if board.write_page(here) else "CLAIMS.md is up to date")
        return 0
    records = board.read_board(here, args.lessons)
    if args.json:
        print(json.dumps(records, indent=1, ensure_ascii=False))
    else:
        print(board.as_text(records, min(shutil.get_terminal_size((100, 24)).columns, 120)))
    return 0
