"""What lies in a folder of submissions: files, folders and zip archives, all read alike.

They come from strangers, so no link is followed, nothing is waited for, and an archive is never
unpacked onto the disk: its files are read into memory, each up to a limit.
"""

import io
import os
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath

from minilm.course.build.notebook import LARGEST
from minilm.errors import InputError

MOST_FILES = 10_000  # of one folder or archive, with all below
DEEPEST = 20  # folders inside folders
LARGEST_INDEX = 4 << 20  # bytes of an archive's list of files; 10,000 files with long names
LARGEST_ARCHIVE = 256 << 20  # bytes of an archive that lies inside another
_END, _LOCATOR = b"PK\5\6", b"PK\6\7"


@dataclass(frozen=True)
class File:
    """One file, on the disk or in an archive; `trouble` says why it is not to be read."""

    name: str
    path: Path  # for an archive's file: that of the archive, then its place inside
    written: float  # seconds since 1970, as the file system or the archive says
    load: Callable[[int], bytes]  # at most so many bytes
    trouble: str = ""

    @property
    def suffix(self) -> str:
        """Such as ".ipynb", in lower case."""
        return PurePosixPath(self.name).suffix.lower()

    @property
    def stem(self) -> str:
        return PurePosixPath(self.name).stem

    def read(self, most: int = LARGEST) -> bytes:
        """The content.

        Raises:
            InputError: it is a link, a pipe, too large, damaged or locked.
        """
        if self.trouble:
            raise InputError(self.trouble)
        data = self.load(most + 1)
        if len(data) > most:
            raise InputError(_too_large(len(data), most))
        return data


@dataclass(frozen=True)
class Folder:
    """One folder, or an archive that stands for one; `trouble` says why it cannot be listed."""

    name: str
    path: Path
    entries: tuple["File | Folder", ...] = ()
    trouble: str = ""

    def files(self, depth: int = 0) -> Iterator[File]:
        """Every file below whose name and whose folders' names begin with no dot."""
        for entry in self.entries:
            if entry.name.startswith(".") or entry.name == "__MACOSX" or depth > DEEPEST:
                continue
            if isinstance(entry, Folder):
                yield from entry.files(depth + 1)
            else:
                yield entry


def open_entry(path: Path) -> File | Folder:
    """What lies at a path of the disk: a file, or a folder with all below it."""
    return _on_disk(path, [MOST_FILES], 0)


def _on_disk(path: Path, left: list[int], depth: int) -> File | Folder:
    if path.is_symlink():
        return File(
            path.name, path, 0.0, _no, "it is a link to another file; links are not followed"
        )
    if not path.is_dir():
        try:
            written = path.stat().st_mtime
        except OSError as error:
            return File(path.name, path, 0.0, _no, f"it cannot be read: {error.strerror}")
        return File(path.name, path, written, lambda most: read_plain_file(path, most))
    found = []
    try:
        names = sorted(os.listdir(path)) if depth <= DEEPEST else []
    except OSError as error:
        return Folder(path.name, path, (), f"it cannot be read: {error.strerror}")
    for name in names:
        left[0] -= 1
        if left[0] < 0:
            return Folder(path.name, path, (), f"it holds more than {MOST_FILES:,} files")
        if not name.startswith("."):  # a repository or an environment that came along
            found.append(_on_disk(path / name, left, depth + 1))
        else:
            found.append(File(name, path / name, 0.0, _no, "its name begins with a dot"))
    return Folder(path.name, path, tuple(found))


def _no(most: int) -> bytes:
    raise InputError("it is not to be read")


def read_plain_file(path: Path, most: int) -> bytes:
    """The bytes of a file that is a file: no link, no pipe, no device, and not endless."""
    with open_plain_file(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > most:
            raise InputError(_too_large(size, most))
        return file.read(most)


def open_plain_file(path: Path) -> io.BufferedReader:
    """Open a file that is a file, without following a link or waiting for a pipe.

    Raises:
        InputError: it is something else, or cannot be opened.
    """
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    try:
        file = os.fdopen(os.open(path, flags | getattr(os, "O_BINARY", 0)), "rb")
    except OSError as error:
        raise InputError(f"it cannot be read: {error.strerror}") from None
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise InputError("it is not a file")
    return file


def _too_large(size: int, most: int) -> str:
    size, most = size / 1e6, most / 1e6
    return f"it has {size:.0f} MB; a submission has at most {most:.0f} MB (clear the outputs)"


def as_folder(file: File) -> Folder:
    """The folder that a zip archive stands for; what is wrong with it becomes its `trouble`."""
    name = file.stem
    try:
        if file.trouble:
            raise InputError(file.trouble)
        source = _stream(file)
        _refuse_long_index(source)
        with source, zipfile.ZipFile(source) as archive:
            members = archive.infolist()
            if len(members) > MOST_FILES:
                raise InputError(f"it holds more than {MOST_FILES:,} files")
            return _from_members(file, members)
    except InputError as error:
        return Folder(name, file.path, (), str(error))
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, struct.error):
        return Folder(name, file.path, (), "it is not a zip archive, or it is damaged")


def _stream(file: File) -> io.BufferedIOBase:
    """An archive to seek in: on the disk where it lies there, else its bytes."""
    if file.path.is_file():
        return open_plain_file(file.path)
    return io.BytesIO(file.read(LARGEST_ARCHIVE))


def _refuse_long_index(source: io.BufferedIOBase) -> None:
    """Refuse an archive whose list of files is too long before `zipfile` reads it into memory."""
    size = source.seek(0, os.SEEK_END)
    source.seek(max(0, size - 65_600))
    tail = source.read()
    at = tail.rfind(_END)
    if at < 0 or len(tail) < at + 22:
        raise InputError("it is not a zip archive, or it is damaged")
    (index,) = struct.unpack("<I", tail[at + 12 : at + 16])
    if index > LARGEST_INDEX or tail[max(0, at - 20) : at].startswith(_LOCATOR):
        raise InputError(
            f"it is an archive of more than {MOST_FILES:,} files or of 4 GB; unpack it"
        )


def _from_members(file: File, members: list[zipfile.ZipInfo]) -> Folder:
    """The tree of an archive's files; of two with one name, the last counts."""
    root: dict = {}
    for member in members:
        parts = [p for p in member.filename.replace("\\", "/").split("/") if p not in ("", ".")]
        if member.is_dir() or not parts or ".." in parts or len(parts) > DEEPEST:
            continue  # nothing is written anywhere, so a name that leads out only has no place
        place = root
        for part in parts[:-1]:
            below = place.setdefault(part, {})
            place = below if isinstance(below, dict) else place.setdefault(part + "/", {})
        place[parts[-1]] = File(
            parts[-1],
            file.path.joinpath(*parts),
            _time_of(member),
            _loader(file, member),
            _trouble_of(member),
        )
    return _made(file.stem, file.path, root)


def _made(name: str, path: Path, tree: dict) -> Folder:
    entries = [
        _made(key, path / key, below) if isinstance(below, dict) else below
        for key, below in sorted(tree.items())
    ]
    return Folder(name, path, tuple(entries))


def _trouble_of(member: zipfile.ZipInfo) -> str:
    if member.flag_bits & 0x1:
        return "it is locked with a password"
    if stat.S_ISLNK(member.external_attr >> 16):
        return "it is a link to another file; links are not followed"
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return "it is packed by a method other than deflate"
    return ""


def _loader(file: File, member: zipfile.ZipInfo) -> Callable[[int], bytes]:
    def load(most: int) -> bytes:
        try:
            with _stream(file) as source, zipfile.ZipFile(source) as archive:
                with archive.open(member) as content:  # unpacks no more than it is asked for
                    return content.read(most)
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError) as error:
            raise InputError(f"it is damaged inside its archive: {error}") from None

    return load


def _time_of(member: zipfile.ZipInfo) -> float:
    try:
        return datetime(*member.date_time).timestamp()
    except (ValueError, OverflowError, OSError):
        return 0.0
