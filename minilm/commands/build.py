"""`minilm build`: notebooks from their sources."""

import argparse
from pathlib import Path

from minilm.commands._options import course_at

HELP = "build the notebooks of lessons, solutions and exercises from their sources"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `minilm build` takes."""
    parser.add_argument("names", nargs="*", metavar="NAME", help="number or name; default: all")
    parser.add_argument("--check", action="store_true", help="change nothing; fail if out of step")
    side = parser.add_mutually_exclusive_group()
    side.add_argument(
        "--from-notebook",
        dest="prefer",
        action="store_const",
        const="notebook",
        help="where a lesson and its notebook both changed, take the notebook",
    )
    side.add_argument(
        "--from-source",
        dest="prefer",
        action="store_const",
        const="source",
        help="where both changed, or the notebook did, take the source",
    )
    parser.add_argument(
        "--openings", action="store_true", help="draw the opening pictures of the lessons, only"
    )
    parser.add_argument("--force", action="store_true", help="overwrite edited exercises too")
    parser.add_argument("--root", type=Path, help="folder of the course; default: found from here")


def run(args: argparse.Namespace) -> int:
    """Build the notebooks, or say which are out of step."""
    from minilm.course.build.sources import build

    top = course_at(args.root)
    if args.openings:
        from minilm.course.build.openings import draw_opening

        for one in top.named(args.names):
            print(
                f"{'written' if draw_opening(one) else 'same':8}  {one.opening.name} of {one.slug}"
            )
        return 0
    changes = build(top, args.names, check=args.check, prefer=args.prefer, force=args.force)
    for change in changes:
        if change.kind != "same":
            shown = change.path.is_relative_to(top.root)
            path = change.path.relative_to(top.root) if shown else change.path
            print(f"{change.kind:8}  {path}" + (f"  ({change.note})" if change.note else ""))
    same = sum(change.kind == "same" for change in changes)
    print(f"{len(changes)} notebooks, {same} unchanged.")
    return int(any(change.kind in ("stale", "conflict") for change in changes))
