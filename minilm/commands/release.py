"""`minilm release`: the course as students get it."""

import argparse
from pathlib import Path

HELP = "write the course as students get it: no solutions, hidden tests or secrets"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `minilm release` takes."""
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="a new folder")
    parser.add_argument("--root", type=Path, help="folder of the course; default: found from here")


def run(args: argparse.Namespace) -> int:
    """Write the folder."""
    from minilm.course.grade.release import write_release
    from minilm.course.places import Course

    course = Course(args.root) if args.root else Course.here()
    files = write_release(course, args.out)
    size = sum(path.stat().st_size for path in files) / 1e6
    print(f"{len(files)} files ({size:.1f} MB) in {args.out}: hand out this folder.")
    return 0
