"""`minilm study`: the recorded studies of the lessons."""

from __future__ import annotations

import argparse

HELP = "list the recorded studies, or run one: minilm study run 02/scaling --out FILE"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `minilm study` takes."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    actions.add_parser("list", help="name every study and what it asks")
    one = actions.add_parser("run", help="run a study, or go on with its file", add_help=False)
    one.add_argument("name", metavar="NN/NAME", help="lesson and study, as in 02/scaling")
    one.add_argument("options", nargs=argparse.REMAINDER, help="the study's own; --help lists them")


def run(args: argparse.Namespace) -> int:
    """List the studies, or hand one its options."""
    from minilm.course.places import Course, lesson_folder
    from minilm.errors import InputError

    if args.action == "list":
        for lesson in Course.here().lessons:
            for name in lesson.studies:
                about = (lesson.study(name).__doc__ or "").partition("\n")[0]
                print(f"{lesson.number}/{name:12} {about}")
        return 0
    lesson, slash, name = args.name.partition("/")
    if not slash:
        raise InputError(f"study is {args.name!r}; it must be lesson/name, as in 02/scaling")
    from minilm.studies.driver import from_command_line

    return from_command_line(args.name, lesson_folder(lesson).study(name).study, args.options)
