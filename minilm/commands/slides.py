"""`minilm slides`: lessons to slide decks."""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "turn lessons into slide decks that need no network"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("lessons", nargs="*", metavar="NN", help="lesson numbers; all by default")
    parser.add_argument(
        "--lessons", type=Path, dest="folder", metavar="DIR", help="folder of executed notebooks"
    )
    parser.add_argument("--out", type=Path, default=Path("decks"), help="folder to write into")
    parser.add_argument("--pdf", action="store_true", help="also print each deck to PDF (Chromium)")
    parser.add_argument(
        "--notes", action="store_true", help="with --pdf: a page of notes per slide"
    )
    parser.add_argument(
        "--minutes",
        type=float,
        metavar="N",
        help="keep what a lecture of N minutes has room for, such as 50 or 80",
    )


def run(args: argparse.Namespace) -> int:
    """Write the decks and say where they are."""
    from minilm.course.build.lessons import find_lessons
    from minilm.course.publish.slides import told, write_decks
    from minilm.course.publish.timing import paced
    from minilm.files import make_folder

    make_folder(args.out, "--out")
    lessons = find_lessons(args.lessons, args.folder)
    for path in write_decks(lessons, args.out, args.pdf, args.notes, args.minutes):
        print(f"{path}  {path.stat().st_size / 1e6:.1f} MB")
    for lesson in lessons:
        slides, left = told(lesson, args.minutes)
        total = sum(paced(slides, args.minutes))
        out = f"; left out: {', '.join(left)}" if left else ""
        print(f"{lesson.number}: about {total:.0f} minutes{out}")
    bare = [lesson.number for lesson in lessons if not lesson.executed]
    if bare:
        print(f"Without outputs: {', '.join(bare)}. Run `minilm run --save` for their figures.")
    print(f"Open {args.out / 'index.html'}")
    return 0
