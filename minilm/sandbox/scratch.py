"""A grader's folder for the time of its run; what killed graders have left is removed first.

A folder is held by a lock that the kernel drops with the process. It is taken under another name
and then renamed, so a folder whose lock is free belongs to nobody any more, whatever process has
its number by now.
"""

import os
import shutil
import stat
import tempfile
import time
from contextlib import suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

PREFIX = "minilm-grade-"
LOCK = "lock"
OLD = 24 * 3600.0  # seconds after which a folder without a lock was left by its maker, too


class Scratch:
    """An empty folder that others may read, gone with `close`.

    Attributes:
        path: the folder.
    """

    def __init__(self) -> None:
        sweep(Path(tempfile.gettempdir()))
        self._folder = tempfile.TemporaryDirectory(prefix=f"{PREFIX}{os.getpid()}-")
        self.path = Path(self._folder.name)
        os.chmod(self.path, 0o755)  # the user that a worker turns into reads it
        self._lock = _hold(self.path)

    def close(self) -> None:
        """Remove the folder."""
        self._folder.cleanup()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _hold(folder: Path) -> int | None:
    """Lock a new folder; the open file, or None where there are no locks."""
    if fcntl is None:
        return None
    draft = folder / f".{LOCK}"
    handle = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        draft.rename(folder / LOCK)
    except OSError:  # a drive that knows no locks
        os.close(handle)
        draft.unlink(missing_ok=True)
        return None
    return handle


def sweep(place: Path) -> list[Path]:
    """Remove the folders of this user's graders that are no longer running; returns them."""
    if fcntl is None:
        return []
    gone = []
    with suppress(OSError):
        for path in sorted(place.glob(f"{PREFIX}*")):
            if _is_ours(path) and _is_left(path):
                shutil.rmtree(path, ignore_errors=True)
                gone.append(path)
    return gone


def _is_ours(path: Path) -> bool:
    """Whether it is a folder, and no link to one, of this user."""
    with suppress(OSError):
        facts = path.lstat()
        return stat.S_ISDIR(facts.st_mode) and facts.st_uid == os.geteuid()
    return False


def _is_left(path: Path) -> bool:
    """Whether nobody holds a folder; one without a lock may just be in the making."""
    try:
        handle = os.open(path / LOCK, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        with suppress(OSError):
            return time.time() - path.stat().st_mtime > OLD and not _runs(path)
        return False
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    except OSError:
        return False
    finally:
        os.close(handle)


def _runs(path: Path) -> bool:
    """Whether there is a process of the number that a folder's name holds."""
    number = path.name.removeprefix(PREFIX).split("-")[0]
    if not number.isdecimal():
        return False
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True
