"""What a learner has passed so far, in one small file that survives crashes and bad disks.

The file is `.minilm/progress.json` in the course's folder (or where MINILM_PROGRESS points). It is
replaced in one step and kept twice; one that cannot be read is put aside, never deleted. With every
pass it keeps the source that passed, so an overwritten cell is not lost work.
"""

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from minilm.course.checking.questions import ExerciseSet, Question, load_set
from minilm.course.places import Course
from minilm.files import write_text

VERSION = 1
PATIENCE = 2.0  # seconds to wait for another notebook that writes at the same moment


def progress_path(root: Path | None = None) -> Path:
    """Where progress is kept; in the home folder if the course's own cannot be written."""
    named = os.environ.get("MINILM_PROGRESS")
    if named:
        return Path(named)
    found = Course.find()
    root = root or (found.root if found else None)
    if root is not None and os.access(root, os.W_OK):
        return root / ".minilm" / "progress.json"
    return Path.home() / ".minilm" / "progress.json"


def load(path: Path) -> dict[str, dict[str, dict[str, Any]]]:
    """Progress as set -> question -> record; what cannot be read is put aside, and the copy used.

    A record has `points`, `max`, `passed`, `tries`, and `source`, the code that last passed.
    """
    for candidate in (path, _copy(path)):
        try:
            data = json.loads(candidate.read_text(encoding="utf-8"))
            return _clean(data["sets"])
        except FileNotFoundError:
            continue
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            _put_aside(candidate)
    return {}


def record(
    path: Path, set_name: str, question: str, points: float, most: float, source: str = ""
) -> dict[str, Any]:
    """Add one check to the file; the best result of a question stays. Returns its record."""
    with _lock(path):
        sets = load(path)
        mine = sets.setdefault(set_name, {}).setdefault(question, {})
        # a test that was added later makes an old pass incomplete, so the worth is part of it
        before = mine.get("points", 0) if mine.get("max") == most else 0
        mine |= {"points": max(before, points), "max": most, "tries": mine.get("tries", 0) + 1}
        mine["passed"] = mine["points"] >= most
        if points >= most and source:
            mine["source"] = source
        text = json.dumps({"version": VERSION, "sets": sets}, indent=1, sort_keys=True) + "\n"
        write_text(path, text)
        write_text(_copy(path), text)
    return mine


def ledger(
    sets: list[ExerciseSet], done: dict[str, dict[str, dict[str, Any]]]
) -> tuple[list[str], list[str]]:
    """The parts of minilm that run on the learner's code, and all that could."""
    ours, all_parts = [], []
    for one in sets:
        for question in one.questions:
            if question.plugs is None or question.plugs in all_parts:
                continue
            all_parts.append(question.plugs)
            if is_passed(one, question, done):
                ours.append(question.plugs)
    return ours, all_parts


def is_passed(one: ExerciseSet, question: Question, done: dict[str, Any]) -> bool:
    """Whether a question was passed as it stands today."""
    mine = done.get(one.name, {}).get(question.name, {})
    return bool(mine.get("passed")) and mine.get("max") == question.points


def course_sets(course: Course) -> list[ExerciseSet]:
    """All exercise sets of a course, in order."""
    return [load_set(one.tests) for one in course.sets.values()]


def _copy(path: Path) -> Path:
    return path.with_name(path.name + ".copy")


def _clean(sets: Any) -> dict[str, dict[str, dict[str, Any]]]:
    kept: dict[str, dict[str, dict[str, Any]]] = {}
    for name, questions in sets.items():
        for question, mine in questions.items():
            points, most = float(mine["points"]), float(mine["max"])
            entry = {"points": points, "max": most, "tries": int(mine.get("tries", 1))}
            entry |= {"passed": points >= most, "source": str(mine.get("source", ""))}
            kept.setdefault(name, {})[question] = entry
    return kept


def _put_aside(path: Path) -> None:
    number = 1
    while (aside := path.with_name(f"{path.name}.broken-{number}")).exists():
        number += 1
    with suppress(OSError):
        os.replace(path, aside)


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    """One writer at a time; a lock left behind by a crash is ignored after a moment."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = path.with_name(path.name + ".lock")
    until = time.monotonic() + PATIENCE
    while True:
        try:
            os.close(os.open(lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
            break
        except FileExistsError:
            if time.monotonic() > until:
                break
            time.sleep(0.01)
    try:
        yield
    finally:
        with suppress(OSError):
            lock.unlink()
