"""`minilm release`: a copy of the course for students, without what would spoil it.

exercises/NN_slug.ipynb      built afresh from questions.py, so nobody's answers are in it
lessons/NN_slug/tests.py     without the cases that only the grader runs
left out                     solutions/, questions.py, wrong.py, the package's own tests, and
                             everything that this module does not name: secrets, submissions
"""

import ast
import shutil
import tempfile
from pathlib import Path

from minilm.course.build import notebook as nb
from minilm.course.build.sources import exercise
from minilm.course.places import Course, LessonFolder
from minilm.errors import InputError
from minilm.files import write_text

PAGES = ("README.md", "CLAIMS.md", "BENCHMARKS.md", "LICENSE", "THIRD_PARTY_NOTICES.md")
PAGES += ("Makefile", "environment.yml", "pyproject.toml", "requirements.lock", ".gitignore")
SPOILERS = ("questions.py", "wrong.py", "tests.py")
KINDS = (".py", ".json", ".png", ".svg", ".csv", ".txt", ".md", ".npz")  # of a lesson's folder


def write_release(course: Course, out: Path) -> list[Path]:
    """Write what students get into a new folder; returns its files.

    Raises:
        InputError: the folder is not empty or cannot be written, or a set's tests hide their
            cases in a way that cannot be taken out.
    """
    if not course.lessons:
        raise InputError(f"{course.root} holds no lesson")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"--out {out} is there already; give a folder that is new or empty")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.") as made:
            target = Path(made, "course")
            for one in course.lessons:
                _lesson(one, target)
            for name in PAGES:
                _copy(course.root / name, target / name)
            _package(course.root / "minilm", target / "minilm")
            if out.exists():
                out.rmdir()
            target.rename(out)
    except OSError as error:
        raise InputError(f"--out {out} cannot be written: {error.strerror}") from None
    return sorted(path for path in out.rglob("*") if path.is_file())


def _lesson(one: LessonFolder, target: Path) -> None:
    given = LessonFolder(target, one.slug)
    _copy(one.notebook, given.notebook)
    for path in sorted(one.folder.rglob("*")):
        inside = path.relative_to(one.folder)
        plain = not any(part.startswith((".", "_")) for part in inside.parts[:-1])
        spoils = inside.as_posix() in SPOILERS or path.name.startswith(".")
        if path.is_file() and path.suffix in KINDS and plain and not spoils:
            _copy(path, given.folder / inside)
    if one.tests.is_file():
        write_text(given.tests, without_hidden(one.tests.read_text(encoding="utf-8"), one.tests))
    if one.questions.is_file():
        given.exercise.parent.mkdir(parents=True, exist_ok=True)
        nb.write(given.exercise, exercise(one.questions, one.slug))


def _package(source: Path, target: Path) -> None:
    for path in sorted(source.rglob("*")) if source.is_dir() else ():
        inside = path.relative_to(source)
        if path.is_file() and not any(p.startswith((".", "__pycache__")) for p in inside.parts):
            _copy(path, target / inside)


def _copy(source: Path, target: Path) -> None:
    if source.is_file() and not source.is_symlink():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)


def without_hidden(text: str, path: Path) -> str:
    """The source of a set's tests without the cases under `if level == "hidden":`.

    Raises:
        InputError: the level is asked for in another way, which nobody could take out safely.
    """
    lines = text.splitlines(keepends=True)
    tree = ast.parse(text)
    for parent in ast.walk(tree):
        body = getattr(parent, "body", None)
        for node in body if isinstance(body, list) else ():
            if not _asks_level(node):
                continue
            alone = len([n for n in body if not _asks_level(n)]) == 0
            indent = " " * node.col_offset
            lines[node.lineno - 1 : node.end_lineno] = [
                f"{indent}yield from ()\n" if alone else "",
                *[""] * (node.end_lineno - node.lineno),
            ]
    kept = "".join(lines)
    for node in ast.walk(ast.parse(kept)):
        if isinstance(node, ast.Compare) and "level" in {
            one.id for one in ast.walk(node) if isinstance(one, ast.Name)
        }:
            raise InputError(
                f"{path} asks for the level in {ast.unparse(node)!r}; hidden cases must stand "
                'alone under `if level == "hidden":` so that a release can leave them out'
            )
    return kept


def _asks_level(node: ast.stmt) -> bool:
    """Whether a statement is `if level == "hidden":` without an else."""
    return (
        isinstance(node, ast.If)
        and not node.orelse
        and ast.unparse(node.test) == "level == 'hidden'"
    )
