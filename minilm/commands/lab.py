"""`minilm lab`: JupyterLab on the lessons, with nothing between the learner and the page."""

import argparse
import importlib.util
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from minilm.errors import InputError, install
from minilm.files import make_folder

HELP = "open the lessons in JupyterLab"

HOMES = (
    "JUPYTER_CONFIG_DIR",
    "JUPYTER_DATA_DIR",
    "JUPYTER_RUNTIME_DIR",
    "IPYTHONDIR",
    "JUPYTERLAB_SETTINGS_DIR",
    "JUPYTERLAB_WORKSPACES_DIR",
)
SETTINGS = Path(__file__).parent / "lab_settings"  # no pop-up about news; pages as pages


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `minilm lab` takes."""
    parser.add_argument(
        "lesson", nargs="?", help="number of the lesson to open; default: a map of the course"
    )
    parser.add_argument(
        "--lessons", type=Path, metavar="DIR", help="folder of lessons; default: the course's"
    )
    parser.add_argument("--no-browser", action="store_true", help="only print the address")
    parser.add_argument("--port", type=int, default=8888, help="port to serve on (default: 8888)")


def run(args: argparse.Namespace) -> int:
    """Serve until Ctrl-C."""
    if not 1 <= args.port <= 65535:
        raise InputError(f"--port is {args.port}; it must be from 1 to 65535")
    from minilm.course.build.lessons import find_lessons

    wanted = [args.lesson] if args.lesson else []
    lessons = find_lessons(wanted, args.lessons)
    lesson = lessons[0].path.resolve()
    if importlib.util.find_spec("jupyterlab") is None:
        raise InputError(
            "JupyterLab is not installed here; `make env` installs it, and so does "
            f"`{install('course')}`"
        )
    # One folder up, so that exercises/ beside lessons/ is within reach.
    root = lesson.parents[1]
    start = lesson if args.lesson else _overview(root, lessons)
    serve(root, start, args.port, browser=not args.no_browser)
    return 0


def _overview(root: Path, lessons: Sequence[Any]) -> Path:
    """The map of the course, or its first lesson where no map can be written."""
    from minilm.course.overview import write_page
    from minilm.course.places import Course

    try:
        return write_page(Course(root), lessons)
    except InputError as error:
        print(f"minilm: no map of the course: {error}", file=sys.stderr)
        return lessons[0].path.resolve()


def _settle() -> None:
    """Where the home folder cannot be written, what Jupyter keeps there lies in a temporary one."""
    try:
        make_folder(Path(os.environ.get("JUPYTER_DATA_DIR") or Path.home() / ".local" / "share"))
    except (InputError, RuntimeError):  # RuntimeError: no home at all
        folder = tempfile.mkdtemp(prefix="minilm-lab-")
        for name in HOMES:
            os.environ.setdefault(name, os.path.join(folder, name.lower()))


def serve(root: Path, start: Path, port: int, browser: bool) -> None:
    """Run JupyterLab's server in this process, with `start` open."""
    _settle()
    for name in ("JUPYTER_CONFIG_PATH", "JUPYTER_PATH"):  # settings; the course's kernel
        folders = [str(SETTINGS), os.environ.get(name, "")]
        os.environ[name] = os.pathsep.join(filter(None, folders))
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
