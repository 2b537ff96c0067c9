"""Who handed in a file: the names that Canvas, Moodle and Gradescope give to what they export.

    Canvas       doejane_LATE_4711_98765_00_start_here-1.ipynb     4711 is the student's id
    Moodle       Jane Doe_4711_assignsubmission_file_/...          4711 numbers the participant
    Gradescope   submission_98765/ with submission_metadata.yml    which names the submitters

Any other name is the student's own: `ann.ipynb`, or a folder `ann`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from minilm.errors import InputError

METADATA = "submission_metadata.yml"
_CANVAS = re.compile(r"(?P<name>[^_]+)_(?P<late>LATE_)?(?P<id>\d+)_(?P<order>\d+)_(?P<rest>.+)")
_MOODLE = re.compile(
    r"(?P<name>.+)_(?P<id>\d+)_assignsubmission_(file|onlinetext)(_(?P<rest>.*))?", re.DOTALL
)
_COPY = re.compile(r"[- _(]+(?:Copy)?(\d+)\)?$", re.IGNORECASE)


@dataclass(frozen=True)
class Person:
    """A student as a learning platform knows one; what it does not say is "".

    Attributes:
        name: as the platform writes it.
        canvas: the id of Canvas.
        moodle: the number of the participant in Moodle.
        email: the address.
        sid: the number that the school gave.
        login: the name used to log in.
    """

    name: str
    canvas: str = ""
    moodle: str = ""
    email: str = ""
    sid: str = ""
    login: str = ""


@dataclass(frozen=True)
class Owner:
    """Whose an entry is: one key per student, and what its name says beside."""

    student: str  # differs where the platform's ids differ
    people: tuple[Person, ...] = ()  # empty for a plain name
    late: bool = False
    order: int = 0  # grows with each upload, where the platform says so
    stem: str = ""  # the file's own name, without what the platform put before it


def owner_of(name: str, groups: Mapping[str, tuple[Person, ...]]) -> Owner:
    """Whose an entry is, by its name without suffix; `groups` is what `read_metadata` gave."""
    if name in groups:
        people = groups[name]
        keys = [f"{one.name}_{one.sid or one.email}".rstrip("_") for one in people]
        return Owner(" + ".join(keys), people, order=_number(name), stem=name)
    found = _CANVAS.fullmatch(name)
    if found:
        person = Person(found["name"], canvas=found["id"])
        late, order = bool(found["late"]), int(found["order"][:18])
        return Owner(f"{found['name']}_{found['id']}", (person,), late, order, found["rest"])
    found = _MOODLE.fullmatch(name)
    if found:
        person = Person(found["name"], moodle=found["id"])
        stem = found["rest"] or found["name"]
        return Owner(f"{found['name']}_{found['id']}", (person,), stem=stem)
    return Owner(name, stem=name)


def _number(name: str) -> int:
    digits = re.search(r"\d{1,18}$", name)
    return int(digits[0]) if digits else 0


def copy_number(stem: str) -> int:
    """The number in `name-2`, `name (2)` or `name-Copy2`, which saving under a taken name adds."""
    found = _COPY.search(stem)
    return int(found[1][:9]) if found else 0


def read_metadata(data: bytes) -> dict[str, tuple[Person, ...]]:
    """The submitters of each `submission_...` folder of an export of Gradescope.

    Raises:
        InputError: the file is not what Gradescope writes.
    """
    try:
        import yaml
    except ImportError:
        raise InputError(f"{METADATA} needs a reader of YAML; pip install pyyaml") from None

    try:
        content: Any = yaml.safe_load(data.decode("utf-8-sig"))
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, RecursionError):
        raise InputError(f"{METADATA} cannot be read; it is not as Gradescope writes it") from None
    groups = {}
    for name, facts in content.items() if isinstance(content, dict) else ():
        people = facts.get(":submitters") if isinstance(facts, dict) else None
        found = [
            Person(_text(one, "name"), email=_text(one, "email"), sid=_text(one, "sid"))
            for one in (people if isinstance(people, list) else ())
            if isinstance(one, dict)
        ]
        found = [one for one in found if one.name or one.email]
        if found:
            groups[str(name)] = tuple(found)
    if not groups:
        raise InputError(f"{METADATA} names no submitters; it is not as Gradescope writes it")
    return groups


def _text(facts: dict, key: str) -> str:
    value = facts.get(f":{key}", facts.get(key))
    return "" if value is None else str(value)
