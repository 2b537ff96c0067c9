"""Which set a notebook belongs to, found without running every set."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from minilm.course.checking.questions import ExerciseSet, load_set
from minilm.course.checking.words import no_question
from minilm.course.places import Course
from minilm.errors import InputError


def count_passed(course: Course, done: dict[str, Any]) -> tuple[int, int]:
    """Questions passed and asked in the whole course, without loading every set."""
    passed = total = 0
    for name, one in course.sets.items():
        asked = _asked(one.tests)
        mine = done.get(name, {})
        total += len(asked)
        passed += sum(bool(mine.get(name, {}).get("passed")) for name in asked)
    return passed, total


def _asked(path: Path) -> list[str]:
    """The names of the questions in a file, read without running it."""
    text = path.read_text(encoding="utf-8", errors="replace")
    return re.findall(r"""^\w+\s*=\s*Question\(\s*["'](\w+)["']""", text, re.MULTILINE)


def find_set(question: str | None, name: str | None, names: Mapping[str, Any]) -> ExerciseSet:
    """The set that a notebook belongs to: as told, by the notebook's file, or by the question."""
    course = Course.find()
    if course is None or not course.sets:
        raise InputError(
            f"no exercise set was found at or above {Path.cwd()}; "
            "open the notebook inside a clone of the course"
        )
    paths = {name: one.tests for name, one in course.sets.items()}
    name = name or names.get("EXERCISE")
    if name is None:
        opened = os.environ.get("JPY_SESSION_NAME") or names.get("__vsc_ipynb_file__") or ""
        stem = Path(str(opened)).stem
        name = next((known for known in paths if stem.startswith(known)), None)
    if name is not None and name not in paths:
        raise InputError(f"set is {name!r}; the sets here are: {', '.join(paths) or 'none'}")
    if name is not None:
        return load_set(paths[name])
    if question is None:
        raise InputError('which set? Say check(set="NN_slug"), or name a question')
    holders = [name for name, path in paths.items() if question in _asked(path)]
    if len(holders) == 1:
        return load_set(paths[holders[0]])
    if holders:
        sets = ", ".join(holders)
        raise InputError(f"several sets ask for {question!r} ({sets}); add set=... to the check")
    known = [name for path in paths.values() for name in _asked(path)]
    raise InputError(no_question(question, known, "the course"))
