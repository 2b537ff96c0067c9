"""Where the course lies: the folder that holds lessons/, solutions/ and tests/exercises/."""

from pathlib import Path

from minilm.errors import InputError

MARKS = ("tests/exercises", "solutions", "lessons")


def find_root(start: Path | str | None = None) -> Path | None:
    """The nearest folder at or above `start` (default: here) that holds a course, or None.

    An editable install looks last into the clone it was installed from.
    """
    here = Path(start) if start is not None else Path.cwd()
    here = here.absolute()
    package = Path(__file__).resolve().parents[2]
    for folder in (here, *here.parents, package):
        # lessons/ alone is a common folder name, so one more sign is asked for
        if (folder / MARKS[0]).is_dir() or all((folder / mark).is_dir() for mark in MARKS[1:]):
            return folder
    return None


def root(start: Path | str | None = None) -> Path:
    """Like `find_root`, but a missing course is a mistake of the user.

    Raises:
        InputError: no folder above holds tests/exercises, or both lessons and solutions.
    """
    found = find_root(start)
    if found is None:
        where = Path(start) if start is not None else Path.cwd()
        raise InputError(
            f"no course was found at or above {where}; work inside a clone of the course, "
            "the folder that holds lessons/, solutions/ and tests/exercises/."
        )
    return found
