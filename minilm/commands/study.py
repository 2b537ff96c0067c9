"""`minilm study`: studies of your own from first word to report, and the recorded ones."""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "a study of your own: new, run, report, grade; or the recorded ones: list, run 02/scaling"
HOME = Path("studies")  # where studies of one's own lie, below the working directory


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `minilm study` takes."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    actions.add_parser("list", help="name every study and what it asks")
    new = actions.add_parser("new", help=f"write {HOME}/NAME.py, a study to be changed")
    new.add_argument("name", metavar="NAME")
    one = actions.add_parser("run", help="run a study, or go on with its file", add_help=False)
    one.add_argument("name", metavar="NAME", help="your own, or lesson and study, as in 02/scaling")
    one.add_argument("options", nargs=argparse.REMAINDER, help="the study's own; --help lists them")
    told = actions.add_parser("report", help="fit, judge and write one page: HTML, PDF, notebook")
    told.add_argument(
        "name", metavar="NAME", help="your own, a lesson's such as 10/gate, or a file"
    )
    told.add_argument("--out", type=Path, metavar="DIR", help="folder to write into")
    told.add_argument("--no-pdf", action="store_true", help="leave the PDF out")
    marks = actions.add_parser("grade", help="apply the rubric of 20 points to records")
    marks.add_argument("path", type=Path, metavar="FILE|DIR", help="a record, or a folder of them")


def run(args: argparse.Namespace) -> int:
    """Do what was asked."""
    actions = {"list": _list, "new": _new, "run": _run, "report": _report, "grade": _grade}
    return actions[args.action](args)


def _list(args: argparse.Namespace) -> int:
    from minilm.course.places import Course

    for path in sorted(HOME.glob("*.py")):
        print(f"{path.stem:15} {_about(path)}")
    for lesson in Course.here().lessons:
        for name in lesson.studies:
            about = (lesson.study(name).__doc__ or "").partition("\n")[0]
            print(f"{lesson.number}/{name:12} {about}")
    return 0


def _about(path: Path) -> str:
    import ast

    try:
        return (ast.get_docstring(ast.parse(path.read_text("utf-8"))) or "").partition("\n")[0]
    except (OSError, ValueError, SyntaxError) as error:
        return f"cannot be read: {error}"


def _own(name: str) -> Path:
    """The file of a study of one's own.

    Raises:
        InputError: a name that is none.
    """
    from minilm.errors import InputError

    if not name.isidentifier():
        raise InputError(
            f"NAME is {name!r}; it must be a word of letters, digits and _, or lesson/study"
        )
    return HOME / f"{name}.py"


def _new(args: argparse.Namespace) -> int:
    from minilm.errors import InputError
    from minilm.files import write_text
    from minilm.studies import template

    path = _own(args.name)
    if path.exists():
        raise InputError(f"{path} exists; choose another name or remove it")
    text = Path(template.__file__).read_text(encoding="utf-8").replace("NAME", args.name)
    write_text(path, text)
    print(f"{path} written: change the words, the grid and the model, then")
    print(f"  minilm study run {args.name} --jobs 2")
    print(f"  minilm study report {args.name}")
    return 0


def _run(args: argparse.Namespace) -> int:
    from minilm.studies.driver import from_command_line

    return from_command_line(args.name, _study(args.name), args.options)


def _study(name: str):
    """The function behind a name: a lesson's study, or a plan of one's own."""
    from minilm.course.places import lesson_folder
    from minilm.studies.carrying import study_of
    from minilm.studies.plan import read_plan

    lesson, slash, own = name.partition("/")
    if not slash:
        path = _own(name)
        return study_of(read_plan(path), str(path.with_suffix(".json")))
    folder = lesson_folder(lesson)
    module = folder.study(own)
    if hasattr(module, "study"):
        return module.study
    return study_of(read_plan(folder.folder / "studies" / f"{own}.py"))


def _report(args: argparse.Namespace) -> int:
    from minilm.course.places import lesson_folder
    from minilm.course.publish.study_report import write_report
    from minilm.studies.record import load

    path = Path(args.name)
    lesson, slash, own = args.name.partition("/")
    if path.suffix != ".json":
        path = lesson_folder(lesson).data / f"{own}.json" if slash else _own(own or lesson)
        path = path.with_suffix(".json")
    data = load(path)
    for written in write_report(data, args.out or path.parent, path, not args.no_pdf):
        print(written)
    return 0


def _grade(args: argparse.Namespace) -> int:
    from minilm.errors import InputError
    from minilm.studies import rubric
    from minilm.studies.record import load

    paths = sorted(args.path.glob("*.json")) if args.path.is_dir() else [args.path]
    if not paths:
        raise InputError(f"path is {str(args.path)!r}; there is no record (*.json) in it")
    for path in paths:
        marks = rubric.grade(load(path))
        most = sum(mark.most for mark in marks)
        print(f"{path}: {rubric.total(marks)} of {most} points")
        for mark in marks:
            print(f"  {mark.points}/{mark.most} {mark.part}: {mark.why}")
    return 0
