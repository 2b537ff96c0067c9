"""Writing files so that after a crash, a full disk or kill -9 the old or the new one is whole."""

import codecs
import contextlib
import json
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from minilm.errors import InputError


@contextlib.contextmanager
def atomic_file(path: str | os.PathLike) -> Iterator[IO[bytes]]:
    """A binary file that gets its name only once the block has ended without an error.

    It is written beside its final place, flushed to the disk, then renamed over the old file,
    which the operating system does in one step.

    Raises:
        InputError: the folder is missing, or the file cannot be written (a full disk, no right
            to write); the old file is untouched.
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise InputError(f"path is {str(path)!r}; its folder {str(path.parent)!r} does not exist")
    temporary = None
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        kept = path.stat().st_mode & 0o777 if path.exists() else 0o666 & ~_umask()
        os.chmod(temporary, kept)
        os.replace(temporary, path)
    except OSError as error:
        raise InputError(f"path {str(path)!r} cannot be written: {error.strerror}") from None
    finally:
        if temporary is not None:
            with contextlib.suppress(OSError):
                os.unlink(temporary)


def write_atomically(path: str | os.PathLike, content: bytes) -> None:
    """Replace a file's content in one step; see `atomic_file`."""
    with atomic_file(path) as file:
        file.write(content)


def write_text(path: str | os.PathLike, text: str) -> bool:
    """Replace a text file in one step, its folder made if missing; see `atomic_file`.

    Returns:
        Whether the file was written; False where it already held this text and was left alone.

    Raises:
        InputError: the file or its folder cannot be written.
    """
    path = Path(path)
    data = text.encode("utf-8", "surrogatepass")
    if path.is_file() and path.read_bytes() == data:
        return False
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"path {str(path)!r} cannot be written: {error.strerror}") from None
    write_atomically(path, data)
    return True


def make_folder(path: str | os.PathLike, name: str = "path") -> Path:
    """A folder to write into, made where it is missing; asked before the work and not after it.

    Args:
        name: what the sentence calls it, such as "--out".

    Raises:
        InputError: it is a file, or cannot be made or written to.
    """
    path = Path(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            return path
    except OSError as error:
        why = "it is a file" if isinstance(error, FileExistsError) else error.strerror
        raise InputError(
            f"{name} is {str(path)!r}; it must be a folder that can be written to ({why})"
        ) from None


def try_folder(path: str | os.PathLike, name: str = "path") -> None:
    """Refuse what `make_folder` would refuse, and leave nothing behind: for before a long work.

    Raises:
        InputError: as for `make_folder`.
    """
    path = Path(path)
    missing = [one for one in (path, *path.parents) if not os.path.lexists(one)]
    try:
        make_folder(path, name)
    finally:
        for one in missing:  # from the innermost out; some may not have been made
            with contextlib.suppress(OSError):
                one.rmdir()


def parse_json(content: bytes) -> Any:
    """What a JSON file holds.

    Raises:
        ValueError: it holds none; the text says what it is instead ("is not UTF-8", ...).
    """
    if content.startswith(codecs.BOM_UTF8):
        raise ValueError("begins with a byte-order mark; JSON is UTF-8 without one")
    try:
        return json.loads(content.decode())
    except UnicodeDecodeError:
        raise ValueError("is not JSON: it is not UTF-8") from None
    except RecursionError:
        raise ValueError("is not JSON that can be read: it nests too deeply") from None
    except ValueError:
        raise ValueError("is not JSON, or only the first part of it") from None


def replace_between(text: str, begin: str, end: str, content: str) -> str:
    """The text with a new content between two marks, which keep lines of their own.

    Raises:
        InputError: the text does not hold the two marks exactly once, in this order.
    """
    before, _, after = _parted(text, begin, end)
    return f"{before}{begin}\n{content}\n{end}{after}"


def between(text: str, begin: str, end: str) -> str:
    """What stands between two marks, without the white space around it.

    Raises:
        InputError: the text does not hold the two marks exactly once, in this order.
    """
    return _parted(text, begin, end)[1].strip()


def _parted(text: str, begin: str, end: str) -> tuple[str, str, str]:
    """What stands before two marks, between them and after them."""
    found = list(re.finditer(f"{re.escape(begin)}(.*?){re.escape(end)}", text, re.DOTALL))
    if len(found) != 1:
        raise InputError(
            f"text holds {begin} followed by {end} {len(found)} times; it must do so exactly once"
        )
    return text[: found[0].start()], found[0][1], text[found[0].end() :]


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask
