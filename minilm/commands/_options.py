"""A mistake in what was typed names the option, whatever the function below calls its argument."""

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from minilm.errors import InputError


@contextlib.contextmanager
def naming(**options: str) -> Iterator[None]:
    """Inside, an InputError about an argument speaks of an option: `naming(path="--text")`.

    Args:
        options: argument -> option. A sentence that begins "path is ..." or "path '...' ..." then
            begins with the option.

    Raises:
        InputError: the one that was raised, with the option's name.
    """
    try:
        yield
    except InputError as error:
        name, rest = re.match(r"(\w*)(.*)", str(error), re.DOTALL).groups()
        if name in options and re.match(r" (is\b|')", rest):
            raise type(error)(options[name] + rest) from None
        raise


def course_at(root: Path | None) -> Any:
    """The course that `--root` names, or the one around here.

    Raises:
        InputError: there is none.
    """
    from minilm.course.places import Course

    if root is None:
        return Course.here()
    if not Course(root).lessons:
        raise InputError(f"--root is {str(root)!r}; it must be a folder with lessons/ in it")
    return Course(root)
