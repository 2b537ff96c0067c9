"""What was handed out: the tests of a set, the lecturer's own, the cells, the secret."""

import os
import secrets
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from minilm.course.build import notebook as nb
from minilm.course.checking.questions import ExerciseSet, Test, load_set
from minilm.course.places import LessonFolder
from minilm.errors import InputError


@dataclass(frozen=True)
class Assignment:
    """What the grader needs to know about one set: its tests, public and hidden, and the stubs.

    Attributes:
        exercise: the set.
        extra: the lecturer's own tests, by question.
        given: the cells that were handed out, so that a deleted import is no disaster.
        secret: what the seeds of hidden cases depend on.
        tests: the file of the set.
        own: the file of the lecturer's own tests, if there is one.
    """

    exercise: ExerciseSet
    extra: dict[str, list[Test]] = field(default_factory=dict)
    given: tuple[str, ...] = ()
    secret: str = ""
    tests: Path = Path()
    own: Path | None = None


def read_assignment(place: LessonFolder, hidden: Path | None) -> Assignment:
    """The assignment of a lesson's set.

    Args:
        place: the lesson.
        hidden: folder with the lecturer's own tests and secret.

    Raises:
        InputError: a file of tests cannot be used, or the secret cannot be kept.
    """
    own = hidden / f"{place.slug}.py" if hidden else None
    if own is not None and not own.exists():
        own = None
    exercise, extra = load_tests(place.tests, own)
    given = given_cells(place.exercise)
    return Assignment(exercise, extra, given, read_secret(hidden), place.tests, own)


def load_tests(tests: Path, own: Path | None) -> tuple[ExerciseSet, dict[str, list[Test]]]:
    """A set and the lecturer's own tests of it, by question.

    Raises:
        InputError: a file cannot be used, or the lecturer's names a question that is not asked.
    """
    exercise, extra = load_set(tests), {}
    if own is not None:
        for question in load_set(own).questions:
            exercise.question(question.name)  # refuses a name that the set does not ask
            extra[question.name] = question.tests
    return exercise, extra


def given_cells(path: Path) -> tuple[str, ...]:
    """The code that students were given with an exercise notebook."""
    if not path.exists():
        return ()
    return tuple(nb.source_of(c) for c in nb.read(path)["cells"] if c["cell_type"] == "code")


def read_secret(folder: Path | None) -> str:
    """What the seeds of hidden cases depend on, made once and kept: same secret, same grades.

    It lies in the lecturer's folder as `secret.txt`, else in the user's configuration.

    Raises:
        InputError: it can neither be read nor kept.
    """
    base = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "minilm"
    path = folder / "secret.txt" if folder else base / "grader-secret.txt"
    try:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            _keep(path, secrets.token_hex(16) + "\n")
        secret = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not text"
        advice = "" if folder else "; name a folder that can be written with --hidden"
        raise InputError(f"the secret {path} can neither be read nor kept: {why}{advice}") from None
    if not secret:
        raise InputError(f"the secret {path} is empty; delete it, and grading makes a new one")
    return secret


def _keep(path: Path, text: str) -> None:
    """Write a file in one step, unless somebody else has done so by now."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "w") as file:
            file.write(text)
        with suppress(FileExistsError):
            os.link(draft, path)
    finally:
        os.unlink(draft)
