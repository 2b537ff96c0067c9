"""`minilm run`: executes lessons and says where one fails."""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "execute lessons; --save stores their outputs and verdicts"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("lessons", nargs="*", metavar="NN", help="lesson numbers; all by default")
    parser.add_argument("--save", action="store_true", help="store outputs and verdicts")
    parser.add_argument(
        "--seeds",
        metavar="3,4,5",
        default="",
        help="other seeds for the experiments; says which verdicts they turn, and with --save "
        "stores that for the claims board",
    )
    parser.add_argument(
        "--budget",
        metavar="4",
        default="",
        help="so many times the lesson's own training, as 4 or 1/4; says which verdicts turn, and "
        "with --save stores that for the claims board",
    )
    parser.add_argument("--seconds", type=float, default=600, help="limit per cell (600)")
    parser.add_argument("--most", type=float, help="seconds a whole lesson may take; no limit")
    parser.add_argument(
        "--keep", type=Path, metavar="DIR", help="write the executed notebooks into a folder, too"
    )
    parser.add_argument(
        "--jobs",
        type=int,
        default=1,
        metavar="N",
        help="so many lessons side by side (1): sooner done, each slower, nothing stored",
    )
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def run(args: argparse.Namespace) -> int:
    """Execute the lessons; status 1 if any fails."""
    import sys

    from minilm.course.build.lessons import find_lessons
    from minilm.course.build.run import (
        LessonError,
        Run,
        keep,
        save,
        save_fresh,
        turned,
        verdicts_of,
    )
    from minilm.course.build.several import run_lessons
    from minilm.course.show.budget import parse_budget
    from minilm.course.show.seeds import parse_seeds
    from minilm.errors import InputError
    from minilm.files import make_folder

    if args.keep is not None:
        make_folder(args.keep, "--keep")
    if args.seconds <= 0:
        raise InputError(f"--seconds is {args.seconds:g}; it must be more than 0")
    if args.most is not None and args.most <= 0:
        raise InputError(f"--most is {args.most:g}; it must be more than 0")
    if args.jobs < 1:
        raise InputError(f"--jobs is {args.jobs}; it must be 1 or more")
    if args.jobs > 1 and args.save:
        raise InputError(
            f"--jobs is {args.jobs} with --save; lessons that are stored run one at a time, "
            "for what they measure must not wait for another"
        )
    seeds = ",".join(map(str, parse_seeds(args.seeds))) if args.seeds else ""
    budget = str(parse_budget(args.budget)) if args.budget else ""
    budget = "" if budget == "1" else budget
    other_run = " and ".join(
        filter(None, (seeds and f"seeds {seeds}", budget and f"{budget} x the training"))
    )

    def say(done: Run) -> None:
        ((cell, longest),) = done.slowest()
        said = [f"{len(done.cells)} cells", f"{done.seconds:.1f} s"]
        said.append(f"longest: cell {cell + 1}, {longest:.1f} s")
        if done.claims:
            said.append(f"{len(done.claims)} verdicts")
        print(f"{done.lesson.slug}: {', '.join(said)}", flush=True)
        if other_run:
            verdicts = verdicts_of(done, budget)
            other = save_fresh(done, seeds, budget) if args.save else turned(done.lesson, verdicts)
            for line in other or ["no verdict turned"]:
                print(f"  {other_run}: {line}", flush=True)

    failed = []
    options = {"seconds": args.seconds, "seeds": seeds, "budget": budget}
    for lesson, done in run_lessons(
        find_lessons(args.lessons), args.jobs, not args.quiet, **options
    ):
        if isinstance(done, LessonError):
            failed.append(lesson.number)
            print(f"{done}\n", file=sys.stderr)
            continue
        say(done)
        if args.save and not other_run:
            save(done)
        if args.keep is not None:
            keep(done, args.keep)
        if args.most is not None and done.seconds > args.most:
            failed.append(lesson.number)
            slow = ", ".join(f"cell {k + 1} {seconds:.1f} s" for k, seconds in done.slowest(3))
            print(
                f"minilm: {lesson.slug} took {done.seconds:.0f} s; it may take {args.most:g} s "
                f"(slowest: {slow})",
                file=sys.stderr,
            )
    if failed:
        print(f"minilm: failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0
