"""`minilm lab`: JupyterLab on the lessons, with nothing between the learner and the page."""

import argparse
import importlib.util
import os
import re
from pathlib import Path

from minilm.errors import InputError

HELP = "open the lessons in JupyterLab"

REPOSITORY = Path(__file__).resolve().parents[2]
SETTINGS = Path(__file__).parent / "lab_settings"  # turns off the pop-up that asks about news


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `minilm lab` takes."""
    parser.add_argument("lesson", nargs="?", help="number of the lesson to open, for example 01")
    parser.add_argument("--lessons", type=Path, metavar="DIR", help="another folder of lessons")
    parser.add_argument("--no-browser", action="store_true", help="only print the address")
    parser.add_argument("--port", type=int, default=8888, help="port to serve on (default: 8888)")


def run(args: argparse.Namespace) -> int:
    """Serve until Ctrl-C."""
    folder = lessons_folder(args.lessons)
    start = lesson_path(folder, args.lesson)
    if not 1 <= args.port <= 65535:
        raise InputError(f"--port is {args.port}; it must be from 1 to 65535.")
    if importlib.util.find_spec("jupyterlab") is None:
        raise InputError(
            "JupyterLab is not installed here; `make env` installs it, and so does "
            "`pip install -e '.[course]'` in the repository."
        )
    serve(folder.parent, start, args.port, browser=not args.no_browser)
    return 0


def lessons_folder(given: Path | None) -> Path:
    """The folder of lessons: the one given, the repository's, or ./lessons.

    Raises:
        InputError: there is no such folder, or it holds no lesson.
    """
    choices = [given] if given else [REPOSITORY / "lessons", Path("lessons")]
    for folder in choices:
        if folder.is_dir() and lesson_files(folder):
            return folder.resolve()
    raise InputError(
        f"--lessons is {given}; it must be a folder with notebooks such as 00_start_here.ipynb."
        if given
        else "there are no lessons here: run minilm lab in a clone of the repository, or say "
        "where they are with --lessons DIR."
    )


def lesson_files(folder: Path) -> list[Path]:
    """The built lessons of a folder, in order."""
    return sorted(path for path in folder.glob("*.ipynb") if re.match(r"\d", path.name))


def lesson_path(folder: Path, number: str | None) -> Path:
    """The notebook to open: that lesson, or the first.

    Raises:
        InputError: the folder has no lesson of that number.
    """
    lessons = lesson_files(folder)
    if number is None:
        return lessons[0]
    wanted = number.lower().split("_")[0].removesuffix(".ipynb")
    if wanted[:1].isdigit() and not wanted[1:2].isdigit():
        wanted = "0" + wanted  # 1 and 7a mean 01 and 07a
    for path in lessons:
        if path.stem.split("_")[0].lower() == wanted:
            return path
    known = ", ".join(path.stem.split("_")[0] for path in lessons)
    raise InputError(f"there is no lesson {number!r} in {folder}; it has {known}.")


def serve(root: Path, start: Path, port: int, browser: bool) -> None:
    """Run JupyterLab's server in this process, with `start` open."""
    folders = [str(SETTINGS), os.environ.get("JUPYTER_CONFIG_PATH", "")]
    os.environ["JUPYTER_CONFIG_PATH"] = os.pathsep.join(filter(None, folders))
    options = [
        f"--ServerApp.root_dir={root}",
        f"--LabApp.default_url=/lab/tree/{start.relative_to(root).as_posix()}",
        f"--ServerApp.port={port}",
        f"--ServerApp.open_browser={browser}",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
        "--LabApp.news_url=None",
    ]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        # The server listens on this machine alone, and in a container there is often only root.
        options.append("--ServerApp.allow_root=True")
    from jupyterlab.labapp import main

    main(options)
