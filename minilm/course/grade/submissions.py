"""Finding and reading submissions: every entry becomes a submission, or a line that says why not.

What counts as one submission: a notebook, or a script as jupytext writes it, given by name; each of
them in a folder; and each folder or zip archive in a folder (as learning platforms export them).
A folder to be looked through may be a zip archive itself. Of several drafts the newest is taken.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from minilm.course.grade.entries import File, Folder, as_folder, open_entry
from minilm.course.grade.identity import cell, tell_apart
from minilm.course.grade.names import METADATA, Owner, Person, copy_number, owner_of, read_metadata
from minilm.course.grade.reading import SCRIPT, Submission, read_submission
from minilm.course.places import fits
from minilm.errors import InputError

NOTEBOOK, ARCHIVE = ".ipynb", ".zip"
MOST_DRAFTS = 20  # notebooks of one student that are looked into
OWN_RESULTS = "records"  # the folder by which the results of a run are known


class NothingFound(InputError):
    """Nobody handed in anything that could be graded."""


@dataclass(frozen=True)
class Skipped:
    """An entry that nobody is graded for, and why."""

    path: Path
    why: str


@dataclass(frozen=True)
class Found:
    """Everything at the paths that were given."""

    submissions: list[Submission]
    skipped: list[Skipped]


def find_submissions(
    paths: Sequence[Path],
    sets: Sequence[str],
    wanted: str | None = None,
    student: str | None = None,
) -> Found:
    """All submissions at these paths, sorted by student, and every entry that is none.

    Args:
        paths: notebooks, scripts, folders of them, folders of folders or archives, archives.
        sets: names of the exercise sets that a notebook can belong to.
        wanted: the set that is asked for; default: each says it itself.
        student: who handed in all of it; default: the names of files and folders say who.

    Raises:
        InputError: a path does not exist, or nothing was found.
    """
    skipped: list[Skipped] = []
    owners: list[tuple[Owner, list[File]]] = []
    for path in dict.fromkeys(paths):
        if not path.exists() and not path.is_symlink():
            raise InputError(f"PATH {path} does not exist")
        if student is None:
            owners += _in(path, sets, skipped)
            continue
        entry = open_entry(path)
        files, why = _of_one_student(
            entry if isinstance(entry, Folder) else Folder(path.name, path, (entry,))
        )
        skipped += [Skipped(path, why)] if why else []
        owners += [(Owner(student), files)] if files else []
    submissions = []
    for owner, files in owners:
        submissions += _submissions(owner, files, sets, wanted)
    if not submissions:
        where = ", ".join(map(str, paths))
        why = "".join(f"; {one.path.name}: {one.why}" for one in skipped[:3])
        raise NothingFound(f"no notebook (.ipynb) or script (.py) was found in {where}{why}")
    submissions.sort(key=lambda one: (one.student, str(one.path)))
    return Found(submissions, skipped)


def apart(submissions: Sequence[Submission]) -> list[Submission]:
    """The submissions with students told apart: one name for each (student, set)."""
    names: dict[str | None, list[int]] = {}
    for number, one in enumerate(submissions):
        names.setdefault(one.set_name, []).append(number)
    out = list(submissions)
    for numbers in names.values():
        for number, name in zip(numbers, tell_apart(out[n].student for n in numbers)):
            out[number] = replace(out[number], student=name)
    return out


# --- which entries are whose ----------------------------------------------------------------------


def _in(path: Path, sets: Sequence[str], skipped: list[Skipped]) -> list[tuple[Owner, list[File]]]:
    if path.is_dir():
        try:
            entries = [open_entry(path / name) for name in sorted(os.listdir(path))]
        except OSError as error:
            raise InputError(f"PATH {path} cannot be read: {error.strerror}") from None
        return _owners(Folder(path.absolute().name, path, tuple(entries)), sets, skipped)
    file = open_entry(path)
    if file.suffix == ARCHIVE:
        folder = as_folder(file)
        shown = [one for one in folder.entries if not _noise(one)]
        while len(shown) == 1 and isinstance(shown[0], Folder):  # archives often hold one folder
            folder = shown[0]
            shown = [one for one in folder.entries if not _noise(one)]
        if folder.trouble:
            raise InputError(f"PATH {path} cannot be used: {folder.trouble}")
        return _owners(folder, sets, skipped)
    owner = owner_of(file.stem, {})
    if file.stem in sets:  # everybody's file has the set's name
        owner = Owner(path.absolute().parent.name, stem=file.stem)
    return [(owner, [file])]


def _noise(entry: File | Folder) -> str:
    if entry.name == "__MACOSX":
        return "it holds what macOS notes about files"
    return "its name begins with a dot" if entry.name.startswith(".") else ""


def _owners(
    folder: Folder, sets: Sequence[str], skipped: list[Skipped]
) -> list[tuple[Owner, list[File]]]:
    """The students of a folder with their files; what is nobody's goes to `skipped`."""
    groups: Mapping[str, tuple[Person, ...]] = {}
    plain: list[tuple[Owner, list[File]]] = []
    known: dict[str, tuple[Owner, list[File]]] = {}  # of a learning platform: one key, one student
    for entry in folder.entries:
        if entry.name == METADATA and isinstance(entry, File):
            groups = read_metadata(entry.read())
    for entry in folder.entries:
        if entry.name == METADATA and groups:
            continue
        why = _noise(entry) or _no_submission(entry)
        if why:
            skipped.append(Skipped(entry.path, why))
            continue
        archive = isinstance(entry, File) and entry.suffix == ARCHIVE
        inside = as_folder(entry) if archive else entry
        name = inside.name if isinstance(inside, Folder) else inside.stem
        owner = owner_of(name, groups)
        if isinstance(inside, Folder):
            files, why = _of_one_student(inside)
        else:
            files, why = [inside], ""
            if owner.stem in sets and not owner.people:
                owner = Owner(folder.name, stem=owner.stem)
        if why:
            skipped.append(Skipped(entry.path, why))
        elif owner.people:
            known.setdefault(owner.student, (owner, []))[1].extend(files)
        else:
            plain.append((owner, files))
    return plain + list(known.values())


def _no_submission(entry: File | Folder) -> str:
    """Why an entry is no submission by its kind, or ""."""
    if isinstance(entry, Folder):
        own = {one.name for one in entry.entries}
        if {OWN_RESULTS, "grades.csv"} <= own:
            return "it holds the results of an earlier grading"
        return entry.trouble
    if entry.suffix in (NOTEBOOK, SCRIPT, ARCHIVE):
        return ""  # a link or a pipe with the name of a notebook gets its owner a row that says so
    return (
        entry.trouble or "it is not a notebook (.ipynb), a script (.py), a zip archive or a folder"
    )


def _of_one_student(folder: Folder) -> tuple[list[File], str]:
    """The notebooks of one student's folder, else the scripts; or why there are none."""
    if folder.trouble:
        return [], folder.trouble
    everything = []
    for file in folder.files():
        archive = file.suffix == ARCHIVE and not file.trouble
        everything += as_folder(file).files() if archive else [file]
    for suffix in (NOTEBOOK, SCRIPT):  # beside a notebook a script is its helper
        files = [f for f in everything if f.suffix == suffix]
        readable = [f for f in files if not f.trouble]
        if readable:
            return readable, ""
    names = sorted({cell(file.name) for file in everything})
    if not names:
        return [], "it holds no file"
    shown = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
    return [], f"it holds no notebook (.ipynb) or script (.py), but: {shown}"


# --- one student's drafts -------------------------------------------------------------------------


def _submissions(
    owner: Owner, files: list[File], sets: Sequence[str], wanted: str | None
) -> list[Submission]:
    """The newest draft of each set that a student handed in, the others named in its notes."""
    by_set: dict[str | None, list[tuple[File, Submission]]] = {}
    for file in sorted(files, key=_age, reverse=True)[:MOST_DRAFTS]:
        read = read_submission(owner.student, file, sets)
        before = by_set.setdefault(read.set_name, [])
        if any(not one.trouble for _, one in before):
            read = replace(read, cells=())  # an older draft: only its name will be needed
        before.append((file, read))
    if wanted is not None and (wanted in by_set or None in by_set):
        meant = [wanted] if wanted in by_set else [None]
    elif wanted is not None:  # whatever it says it is
        by_set = {wanted: [pair for pairs in by_set.values() for pair in pairs]}
        meant = [wanted]
    else:
        meant = [name for name in by_set if name is not None] or [None]
    out = []
    for name in meant:
        drafts = sorted(by_set[name], key=lambda pair: (not pair[1].trouble, *_age(pair[0])))
        file, chosen = drafts[-1]
        left = [cell(one.name) for one, _ in reversed(drafts[:-1])]
        notes = (
            [f"the newest of {len(drafts)} drafts was graded: {cell(file.name)}"] if left else []
        )
        if len(meant) == 1:  # a scratch notebook, or another set's, beside the one that was meant
            left += [cell(one.name) for key in by_set if key != name for one, _ in by_set[key]]
        if left:
            notes.append(f"not graded: {', '.join(left)}")
        if owner.late:
            notes.append("it was handed in late")
        out.append(replace(chosen, notes=tuple(notes), people=owner.people))
    return out


def _age(file: File) -> tuple[int, float, int, int, str]:
    """What grows with a newer draft: the platform's count, the time, the number of a copy."""
    owner = owner_of(file.stem, {})
    number = copy_number(owner.stem)
    return owner.order, file.written, number, -len(file.stem), file.name


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
