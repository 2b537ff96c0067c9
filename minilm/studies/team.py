"""Processes that share the runs of one study: who is free takes the next, and none is lost.

There is no boss. Every process goes through the same list of pieces (a tuned rate, a run). A piece
that is being made is held by a lock that the system drops with the process, also after kill -9; a
finished one is a file of its own, which gets its name in one step. So any process may be killed at
any moment: the others go on, and the next start finds what is finished.

The pieces lie in a folder beside the record, `FILE.pieces`, which the first process empties when
all of them are in the record. Processes are this one alone, those that `--jobs` starts, or the
ranks of an MPI job; on several machines the record must lie on a drive that all of them see.
"""

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from minilm.files import parse_json, write_atomically

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None
    import msvcrt

WORKER = "MINILM_STUDY_WORKER"  # rank/size/parent of a process that --jobs started


@dataclass(frozen=True)
class Team:
    """The place of this process among those that share a study.

    Attributes:
        rank: from 0; the first one writes the record.
        size: how many processes there are.
        parent: the process that started this one and without which it ends; None for the others.
    """

    rank: int = 0
    size: int = 1
    parent: int | None = None

    def check_parent(self) -> None:
        """Go no further where the process that started this one has ended.

        Raises:
            KeyboardInterrupt: it has.
        """
        if self.parent is not None and os.getppid() != self.parent:
            raise KeyboardInterrupt


_team = Team()


def team() -> Team:
    """The place of this process."""
    return _team


@contextlib.contextmanager
def working_as(place: Team) -> Iterator[None]:
    """Inside, studies share their runs with the other processes of a team."""
    global _team
    before, _team = _team, place
    try:
        yield
    finally:
        _team = before


def started_by_jobs() -> Team | None:
    """The place that `--jobs` gave this process; None for one that a person started."""
    words = os.environ.get(WORKER, "").split("/")
    if len(words) != 3:
        return None
    rank, size, parent = map(int, words)
    return Team(rank, size, parent if os.name == "posix" else None)


class Shelf:
    """The finished pieces of a study, as files of a folder.

    Args:
        record: the study's file; the folder lies beside it.
        version: only pieces that were put with the same words are found.
        place: a team of one keeps no pieces, and only takes those that an earlier one has left.
    """

    def __init__(self, record: Path, version: str, place: Team) -> None:
        self.folder, self.version = record.with_name(record.name + ".pieces"), version
        self.shared = place.size > 1
        if self.shared:
            self.folder.mkdir(parents=True, exist_ok=True)

    def _path(self, name: str, ending: str) -> Path:
        words = f"{self.version}\0{name}".encode("utf-8", "surrogatepass")
        return self.folder / f"{hashlib.sha256(words).hexdigest()[:24]}.{ending}"

    def get(self, name: str) -> dict[str, Any] | None:
        """A finished piece, or None."""
        try:
            found = parse_json(self._path(name, "json").read_bytes())
        except (OSError, ValueError):
            return None
        return found if isinstance(found, dict) else None

    def put(self, name: str, piece: dict[str, Any]) -> None:
        """Keep a finished piece for everybody."""
        if self.shared:
            write_atomically(self._path(name, "json"), json.dumps(piece).encode())

    @contextlib.contextmanager
    def claim(self, name: str) -> Iterator[bool]:
        """Whether this process may make a piece: inside, nobody else may."""
        if not self.shared:
            yield True
            return
        try:
            handle = open(self._path(name, "lock"), "ab")  # noqa: SIM115, closed below
        except OSError:  # the first process has put everything into the record
            yield False
            return
        with handle:
            yield _locked(handle)

    def empty(self) -> None:
        """Remove the folder: all pieces are in the record."""
        shutil.rmtree(self.folder, ignore_errors=True)


def _locked(handle: IO[bytes]) -> bool:
    """Take the lock of an open file, where nobody has it."""
    try:
        if fcntl is not None:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        else:
            handle.seek(0)
            msvcrt.locking(handle.fileno(), msvcrt.LK_NBLCK, 1)
    except OSError:
        return False
    return True
