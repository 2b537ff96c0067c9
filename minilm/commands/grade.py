"""`minilm grade`: grade a notebook, or a folder of submissions."""

import argparse
from pathlib import Path

HELP = "grade submissions in a sandbox: points, feedback pages, a class report"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `minilm grade` takes."""
    parser.add_argument(
        "paths", nargs="+", type=Path, metavar="PATH", help="notebook, script, zip or folder"
    )
    parser.add_argument("--set", help="exercise set, by number or name; default: as notebooks say")
    parser.add_argument("--hidden", type=Path, metavar="DIR", help="your own tests, NN_slug.py")
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="default: grades/NN_slug; rows there are merged"
    )
    parser.add_argument(
        "--roster", type=Path, metavar="FILE", help="your students: a table of Canvas, Moodle, ..."
    )
    parser.add_argument(
        "--format", choices=("canvas", "moodle", "gradescope"), help="also a table to import there"
    )
    parser.add_argument("--column", metavar="NAME", help="the assignment's column in that table")
    parser.add_argument("--student", metavar="NAME", help="who handed in all that lies at PATH")
    parser.add_argument(
        "--again", action="store_true", help="grade anew what has not changed since last time"
    )
    parser.add_argument("--jobs", type=int, metavar="N", help="default: one per processor")
    parser.add_argument(
        "--seconds", type=float, default=10.0, metavar="S", help="per question and cell; default 10"
    )
    parser.add_argument(
        "--memory", type=float, default=2.0, metavar="GB", help="per submission; default 2"
    )
    parser.add_argument("--unsafe", action="store_true", help="run even where nothing isolates")
    parser.add_argument(
        "--isolation",
        default="auto",
        choices=("auto", "bwrap", "bwrap-user", "landlock", "none"),
        help="default: the best that works here",
    )
    parser.add_argument("--root", type=Path, help="folder of the course; default: found from here")


def run(args: argparse.Namespace) -> int:
    """Grade, and say what came out."""
    import sys

    from minilm.course.grade.identity import scrub
    from minilm.course.grade.run import grade_paths
    from minilm.course.places import Course

    later: list[str] = []
    grades, wall, folder = grade_paths(
        args.paths,
        course=Course(args.root) if args.root else None,
        set_name=args.set,
        hidden=args.hidden,
        out=args.out,
        roster=args.roster,
        formats=(args.format,) if args.format else (),
        column=args.column,
        student=args.student,
        again=args.again,
        jobs=args.jobs,
        seconds=args.seconds,
        memory=args.memory,
        unsafe=args.unsafe,
        isolation=args.isolation,
        say=later.append,
    )
    if wall == "none":
        print(
            "minilm: WARNING: the submissions ran without isolation: they could read your files.",
            file=sys.stderr,
        )
    width = max(len(grade.submission.student) for grade in grades)
    for grade in grades:
        notes = [*grade.submission.notes, *grade.notes]
        remark = f"  {scrub(notes[0])}" if notes else ""
        _print(f"{grade.submission.student:{width}}  {grade.points:g}/{grade.most:g}{remark}")
    for line in later:
        _print(line)
    print(f"{len(grades)} submissions graded ({wall}); see {folder / 'grades.csv'}")
    return 0


def _print(line: str) -> None:
    """Print a line that may hold what a student wrote."""
    print("".join(c if c.isprintable() else "?" for c in line))
