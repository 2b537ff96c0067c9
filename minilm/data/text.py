"""A user's own text: a file, a folder or a pattern of file names."""

import glob
import os
from pathlib import Path

from minilm.data.corpora import SEPARATOR
from minilm.errors import InputError


def load_text(path: str | os.PathLike) -> str:
    """The text of a file, or of all text files of a folder or pattern; see `load_documents`."""
    return SEPARATOR.join(load_documents(path))


def load_documents(path: str | os.PathLike) -> list[str]:
    """The texts of a file, a folder (all below it) or a pattern such as `"notes/*.md"`.

    Args:
        path: the file, folder or pattern. Hidden files are not read; in a folder or pattern, files
            that are empty or binary are skipped.

    Returns:
        One text per file, in the order of their paths, with line ends as "\\n".

    Raises:
        InputError: there is nothing, or nothing that is text: a file that is empty or binary (it
            holds NUL bytes or is not UTF-8).
    """
    given = str(path)
    if os.path.isfile(given):
        return [_read(Path(given))]
    if os.path.isdir(given):
        files = [Path(folder, f) for folder, _, names in os.walk(given) for f in names]
        files = [f for f in files if not _hidden(f.relative_to(given)) and f.is_file()]
    else:
        files = [Path(f) for f in glob.glob(given, recursive=True) if os.path.isfile(f)]
    if not files:
        raise InputError(f"path is {given!r}; there is no such file, nor a folder with files")
    texts = []
    for file in sorted(files, key=lambda f: f.as_posix()):
        try:
            texts.append(_read(file))
        except InputError:
            continue
    if not texts:
        raise InputError(f"path is {given!r}; none of its {len(files)} files is UTF-8 text")
    return texts


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _read(path: Path) -> str:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"path {str(path)!r} cannot be read: {error.strerror}") from None
    if not content.strip():
        raise InputError(f"path {str(path)!r} is empty; it must hold text")
    if b"\0" in content:
        raise InputError(
            f"path {str(path)!r} is binary (a NUL at byte {content.index(0)}); it must be text"
        )
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(
            f"path {str(path)!r} is not UTF-8 text (see byte {error.start}); save it as UTF-8"
        ) from None
    return text.replace("\r\n", "\n").replace("\r", "\n")
