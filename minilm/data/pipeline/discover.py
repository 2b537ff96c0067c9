"""The first stage: which files below the roots are source or text that somebody wrote.

What `.gitignore` files name is left out, as are hidden files, other people's code copied in,
what programs made, and kinds of file that hold no text. Links are not followed, so none can lead in
a circle. Everything left out is counted with its reason.
"""

import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from minilm.data.clean.ignore import Rule, is_ignored, parse_rules
from minilm.data.clean.licences import FILE_NAME, find_licence
from minilm.data.clean.origin import is_built, is_vendored, language_of
from minilm.data.pipeline.settings import Settings
from minilm.data.pipeline.store import Store
from minilm.data.pipeline.tally import Tally

_LARGEST_RULES = 1 << 20  # bytes of an ignore or licence file that are read


def discover(store: Store, settings: Settings) -> None:
    """Write the list of files, cut into parts of about equal size, and what was left out."""
    tally = Tally()
    part, rows, size = 0, [], 0
    for row in find_files(settings, tally, store.root):
        rows.append(row)
        size += row["size"]
        if size >= settings.part:
            store.write_lines("discover", part, rows)
            part, rows, size = part + 1, [], 0
    if rows:
        store.write_lines("discover", part, rows)
        part += 1
    store.write_json("discover", "done", {"parts": part, "tally": tally.to_dict()})


def find_files(settings: Settings, tally: Tally, out: Path) -> Iterator[dict]:
    """The files to read, in the order of their paths, as {root, file, path, language, ...}.

    The folder `out`, which is being written, is not entered.
    """
    roots = sorted(set(settings.roots))
    names = _root_names(roots)
    for place, root in enumerate(roots):
        for row in _walk(Path(root), settings, tally, names[place], out):
            yield {"root": root, **row, "path": f"{names[place]}/{row['file']}"}


def _root_names(roots: list[str]) -> list[str]:
    """A short name for each root, different from the others'."""
    names: list[str] = []
    for root in roots:
        name = PurePosixPath(Path(root).as_posix()).name or "root"
        number, unique = 2, name
        while unique in names:
            unique, number = f"{name}-{number}", number + 1
        names.append(unique)
    return names


def _walk(root: Path, settings: Settings, tally: Tally, label: str, out: Path) -> Iterator[dict]:
    """The files below one root, deepest folders in their place, without recursion."""
    seen = {_identity(os.stat(out))}
    # folder relative to the root, rules of the ignore files above, licence found above
    waiting: list[tuple[str, tuple[tuple[str, list[Rule]], ...], str | None]] = [("", (), None)]
    while waiting:
        folder, rules, licence = waiting.pop()
        try:
            identity = _identity(os.stat(root / folder))
            if identity in seen and identity[1]:
                tally.count("folder seen before, or of the corpus", 0)
                continue
            seen.add(identity)
            with os.scandir(root / folder) as found:
                entries = sorted(found, key=lambda entry: entry.name)
        except OSError as error:
            tally.count("folder that cannot be read", 0)
            tally.sample("folder that cannot be read", f"{label}/{folder}", error.strerror or "")
            continue
        rules += _rules_of(root, folder, {entry.name for entry in entries})
        licence = _licence_of(root, folder, entries) or licence
        below = []
        for entry in entries:
            path = f"{folder}/{entry.name}" if folder else entry.name
            why, size = _verdict(entry, path, rules, settings)
            if why == "folder":
                below.append((path, rules, licence))
            elif why:
                tally.count(why, size)
                tally.sample(why, _shown(f"{label}/{path}"), "")
            else:
                yield {
                    "file": path,
                    "size": size,
                    "language": language_of(entry.name),
                    "licence": licence,
                }
        waiting += reversed(below)


def _identity(about: os.stat_result) -> tuple[int, int]:
    """What two paths to one folder have in common; the second number is 0 where unknown."""
    return about.st_dev, about.st_ino


def _verdict(
    entry: os.DirEntry, path: str, rules: tuple[tuple[str, list[Rule]], ...], settings: Settings
) -> tuple[str, int]:
    """Why an entry is left out, "folder" for one to enter or "" for a file to read; its size."""
    try:
        about = entry.stat(follow_symlinks=False)
    except OSError:
        return "cannot be read", 0
    folder = stat.S_ISDIR(about.st_mode)
    size = 0 if folder else about.st_size
    if stat.S_ISLNK(about.st_mode):
        return "symbolic link", 0
    try:
        entry.name.encode()
    except UnicodeEncodeError:
        return "name that is not UTF-8", size
    if entry.name.startswith("."):
        return ("hidden folder" if folder else "hidden"), size
    if is_ignored(rules, path, folder):
        return ("ignored folder" if folder else "ignored by .gitignore"), size
    if folder:
        if is_vendored(entry.name):
            return "vendored folder", 0
        if is_built(entry.name) or os.path.isfile(os.path.join(entry.path, "pyvenv.cfg")):
            return "folder of built files", 0
        return "folder", 0
    if not stat.S_ISREG(about.st_mode):
        return "not a regular file", 0
    language = language_of(entry.name)
    if language is None:
        return "no known kind of text", size
    if settings.languages and language not in settings.languages:
        return "another language", size
    if size > settings.largest:
        return f"larger than {settings.largest:,} bytes", size
    return "", size


def _shown(path: str) -> str:
    return path.encode("utf-8", "replace").decode()


def _read(path: Path) -> str:
    try:
        with open(path, "rb") as file:
            return file.read(_LARGEST_RULES).decode("utf-8", "replace")
    except OSError:
        return ""


def _rules_of(root: Path, folder: str, names: set[str]) -> tuple[tuple[str, list[Rule]], ...]:
    """The rules that begin to hold in a folder: its own, and those of its repository."""
    found = []
    if ".git" in names and (text := _read(root / folder / ".git" / "info" / "exclude")):
        found.append((folder, parse_rules(text)))
    if ".gitignore" in names and not os.path.islink(root / folder / ".gitignore"):
        found.append((folder, parse_rules(_read(root / folder / ".gitignore"))))
    return tuple((place, rules) for place, rules in found if rules)


def _licence_of(root: Path, folder: str, entries: list[os.DirEntry]) -> str | None:
    """The licence that a folder's licence files name; several hold together."""
    found = []
    for entry in entries:
        if FILE_NAME.fullmatch(entry.name) and not re.search(r"\.(py|c|h|js)$", entry.name):
            if entry.is_file(follow_symlinks=False):
                licence = find_licence(_read(root / folder / entry.name))
                if licence and licence not in found:
                    found.append(licence)
    return " AND ".join(found) or None
