"""`minilm run`: executes lessons and says where one fails."""

from __future__ import annotations

import argparse

HELP = "execute lessons; --save stores their outputs and verdicts"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("lessons", nargs="*", metavar="NN", help="lesson numbers; all by default")
    parser.add_argument("--save", action="store_true", help="store outputs and verdicts")
    parser.add_argument("--seconds", type=float, default=600, help="limit per cell (600)")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def run(args: argparse.Namespace) -> int:
    """Execute the lessons one after the other; status 1 if any fails."""
    import sys

    from minilm.course.build.lessons import find_lessons
    from minilm.course.build.run import LessonError, run_lesson, save
    from minilm.errors import InputError

    if args.seconds <= 0:
        raise InputError(f"--seconds is {args.seconds:g}; it must be more than 0.")
    failed = []
    for lesson in find_lessons(args.lessons):
        try:
            done = run_lesson(lesson, not args.quiet, args.seconds)
        except LessonError as error:
            failed.append(lesson.number)
            print(f"{error}\n", file=sys.stderr)
            continue
        cell, longest = done.slowest()
        said = [f"{len(done.cells)} cells", f"{done.seconds:.1f} s"]
        said.append(f"longest: cell {cell + 1}, {longest:.1f} s")
        if done.claims:
            said.append(f"{len(done.claims)} verdicts")
        print(f"{lesson.slug}: {', '.join(said)}", flush=True)
        if args.save:
            save(done)
    if failed:
        print(f"minilm: failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0
