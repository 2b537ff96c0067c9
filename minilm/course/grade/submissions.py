"""Finding and reading submissions: files from strangers, so nothing is followed and nothing waits.

What counts as one submission: a notebook given by name, each notebook in a folder, and each folder
in a folder (as learning platforms export them: one folder per student).
"""

import hashlib
import os
import re
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from minilm.course.build import notebook as nb
from minilm.course.places import fits
from minilm.errors import InputError


@dataclass(frozen=True)
class Submission:
    """One student's notebook; `trouble` says why there is none to run."""

    student: str
    path: Path
    set_name: str | None
    cells: tuple[str, ...] = ()
    trouble: str = ""

    @property
    def slug(self) -> str:
        """The student's id as a file name; ids that differ give names that differ."""
        plain = re.sub(r"[^A-Za-z0-9._-]+", "_", self.student).strip("._")[:60]
        if plain == self.student:
            return plain
        digest = hashlib.sha256(self.student.encode("utf-8", "surrogatepass")).hexdigest()[:8]
        return f"{plain or 'student'}-{digest}"


def find_submissions(paths: Sequence[Path], sets: Sequence[str]) -> list[Submission]:
    """All submissions at these paths, sorted by student.

    Args:
        paths: notebooks, folders of notebooks, or folders of folders.
        sets: names of the exercise sets that a notebook can belong to.

    Raises:
        InputError: a path does not exist, or nothing was found.
    """
    found: list[tuple[str, Path]] = []
    for path in paths:
        if not path.exists() and not path.is_symlink():
            raise InputError(f"PATH {path} does not exist")
        found += _in(path, sets)
    if not found:
        where = ", ".join(map(str, paths))
        raise InputError(f"no notebook (.ipynb) was found in {where}")
    named: dict[str, int] = {}
    submissions = []
    for student, path in sorted(dict.fromkeys(found), key=lambda pair: (pair[0], str(pair[1]))):
        named[student] = named.get(student, 0) + 1
        unique = student if named[student] == 1 else f"{student} ({named[student]})"
        submissions.append(read_submission(unique, path, sets))
    return submissions


def _in(path: Path, sets: Sequence[str]) -> list[tuple[str, Path]]:
    if not path.is_dir():
        student = path.stem
        if any(path.stem == name for name in sets):  # everybody's file has the set's name
            student = path.absolute().parent.name
        return [(student, path)]
    found = []
    for entry in sorted(path.iterdir()):
        if entry.name.startswith("."):
            continue
        if entry.is_symlink() or not entry.is_dir():
            if entry.suffix == ".ipynb":
                found.append((entry.stem, entry))
            continue
        found += [(entry.name, notebook) for notebook in _of_one_student(entry, sets)]
    return found


def _of_one_student(folder: Path, sets: Sequence[str]) -> list[Path]:
    """The notebooks of one student: for each set the one named after it, else the first."""
    notebooks = []
    for top, folders, files in os.walk(folder, followlinks=False):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        notebooks += [Path(top, name) for name in sorted(files) if name.endswith(".ipynb")]
    chosen: dict[str | None, Path] = {}
    for path in notebooks:
        name = next((one for one in sets if path.stem == one), None)
        name = name or _set_in_name(path.stem, sets)
        if name not in chosen or (path.stem == name and chosen[name].stem != name):
            chosen[name] = path
    if len(chosen) > 1:
        chosen.pop(None, None)  # a scratch notebook beside the one that was asked for
    return list(chosen.values())


def _set_in_name(stem: str, sets: Sequence[str]) -> str | None:
    return next((one for one in sets if one in stem), None)


def read_submission(student: str, path: Path, sets: Sequence[str]) -> Submission:
    """Read one notebook; whatever is wrong with it becomes its `trouble`."""
    try:
        notebook = nb.parse(_read_plain_file(path), "it")
    except InputError as error:
        return Submission(student, path, _set_in_name(path.stem, sets), (), str(error))
    except OSError as error:
        trouble = f"it cannot be read: {error.strerror}."
        return Submission(student, path, _set_in_name(path.stem, sets), (), trouble)
    record = notebook["metadata"].get("minilm")
    named = record.get("name") if isinstance(record, dict) else None
    name = named if named in sets else _set_in_name(path.stem, sets)
    cells = tuple(nb.source_of(c) for c in notebook["cells"] if c["cell_type"] == "code")
    return Submission(student, path, name, cells)


def _read_plain_file(path: Path) -> bytes:
    """The bytes of a file that is a file: no link, no pipe, no device, and not endless."""
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    flags |= getattr(os, "O_BINARY", 0)
    if path.is_symlink():
        raise InputError("it is a link to another file; links are not followed")
    handle = os.open(path, flags)
    with os.fdopen(handle, "rb") as file:
        facts = os.fstat(file.fileno())
        if not stat.S_ISREG(facts.st_mode):
            raise InputError("it is not a file")
        if facts.st_size > nb.LARGEST:
            raise InputError(
                f"it has {facts.st_size / 1e6:.0f} MB; a submission has at most "
                f"{nb.LARGEST / 1e6:.0f} MB (clear the outputs)"
            )
        return file.read(nb.LARGEST + 1)


def choose_set(name: str | None, sets: Sequence[str]) -> str | None:
    """The set that was asked for with --set, by name or number.

    Raises:
        InputError: there is no such set.
    """
    if name is None:
        return None
    for one in sets:
        if fits(one, name):
            return one
    raise InputError(f"--set is {name!r}; the sets here are: {', '.join(sets) or 'none'}")
