"""A real device behind the lamp: a file that gets 1 or 0, or a command that is run with it.

No shell reads the command, so nothing in it means anything but words.
"""

import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path

from minilm.errors import InputError

SECONDS = 5  # that a command may take


def switch(target: str) -> Callable[[bool], None]:
    """What sets a device: called with True for lit.

    Args:
        target: a path without spaces, whose file gets "1" or "0" and a line's end; or a command.
            In a command {} stands for 1 or 0; without one it is the last word.

    Returns:
        A function that raises InputError where the device does not answer.

    Raises:
        InputError: an empty target, quotes that do not close, a path whose folder does not exist.
    """
    try:
        words = shlex.split(target)
    except ValueError as error:
        raise InputError(
            f"device is {target!r}; it must be a path or a command ({error})"
        ) from None
    if not words:
        raise InputError("device is empty; it must be a path or a command")
    if len(words) > 1 or "{}" in target:
        return lambda lit: _run(words, lit)
    path = Path(words[0])
    if not path.parent.is_dir() or path.is_dir():
        raise InputError(f"device is {target!r}; it must be a file in a folder that exists")
    return lambda lit: _write(path, lit)


def _write(path: Path, lit: bool) -> None:
    try:
        with path.open("w") as file:  # a pin of the kernel must be written in place
            file.write(f"{int(lit)}\n")
    except OSError as error:
        raise InputError(f"device is {str(path)!r}; {error.strerror}") from None


def _run(words: list[str], lit: bool) -> None:
    digit = str(int(lit))
    filled = [word.replace("{}", digit) for word in words]
    command = filled if filled != words else [*words, digit]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=SECONDS, check=False
        )
    except OSError as error:
        raise InputError(f"device is {words[0]!r}; {error.strerror}") from None
    except subprocess.TimeoutExpired:
        raise InputError(f"device is {words[0]!r}; it took more than {SECONDS} seconds") from None
    if done.returncode:
        raise InputError(f"device is {words[0]!r}; it ended with status {done.returncode}")
