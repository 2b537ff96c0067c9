"""`--roster FILE`: the students of a class, as a platform exports them or as a lecturer lists them.

It may be Canvas's gradebook, Moodle's grading worksheet, Gradescope's roster, or any table with a
column of names and one of ids or addresses. A submission belongs to a student of the roster if
an id, an address, a login or else the name says so, and only one student fits.
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from minilm.course.grade.identity import cell
from minilm.course.grade.names import Person
from minilm.course.grade.sheets import read_sheet
from minilm.course.grade.submissions import Submission
from minilm.errors import InputError

# what the columns are called: in Canvas, Moodle, Gradescope, and in a list of one's own
COLUMNS = {
    "name": ("student", "full name", "fullname", "name", "student name"),
    "first": ("first name", "firstname", "given name"),
    "last": ("last name", "lastname", "surname", "family name"),
    "canvas": ("id", "canvas id"),
    "moodle": ("identifier",),
    "email": ("email", "email address", "e-mail", "mail"),
    "sid": ("sid", "student id", "id number", "sis user id", "matriculation number"),
    "login": ("sis login id", "login", "login id", "username", "user"),
}
_NO_STUDENT = ("points possible", "student, test")  # rows of Canvas's gradebook


@dataclass(frozen=True)
class Entry:
    """One student of the roster, with the row as it stands there."""

    student: str  # unlike all others of the roster
    person: Person
    row: dict[str, str]


@dataclass
class Roster:
    """The students of a class; `found` says whose each submission is."""

    columns: list[str]
    entries: list[Entry]
    keys: dict[tuple[str, str], list[Entry]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for entry in self.entries:
            keys = {("text", entry.student.casefold()), *_keys(entry.person)}
            for key in keys | {("name", name) for name in _orders(entry.person.name)}:
                self.keys.setdefault(key, []).append(entry)

    def find(self, person: Person) -> Entry | None:
        """The one student that fits best, or None; an id says more than a name."""
        for key in _keys(person):
            entries = self.keys.get(key, [])
            if len(entries) == 1:
                return entries[0]
        return None

    def members(self, submission: Submission) -> list[Entry]:
        """Whose a submission is: one student, the members of a group, or nobody known."""
        text = submission.student
        people = submission.people or (
            Person(text, email=text, sid=text, login=text, canvas=text, moodle=text),
        )
        same = self.keys.get(("text", text.casefold()), [])
        found = same if len(same) == 1 else [self.find(person) for person in people]
        return list({e.student: e for e in found if e is not None}.values())

    def knows(self, submission: Submission) -> bool:
        return bool(self.members(submission))

    def named(self, submission: Submission) -> Submission:
        """The submission under the names of the roster."""
        members = self.members(submission)
        if not members or len(members) < len(submission.people):
            return submission
        return replace(submission, student=" + ".join(entry.student for entry in members))

    def without(self, submissions: Sequence[Submission]) -> list[Person]:
        """Who handed in none of these."""
        seen = {entry.student for one in submissions for entry in self.members(one)}
        return [entry.person for entry in self.entries if entry.student not in seen]


def _keys(person: Person) -> list[tuple[str, str]]:
    """What a person can be found by, the surest first; kinds of ids are kept apart."""
    keys = [("canvas", person.canvas), ("moodle", person.moodle.removeprefix("Participant "))]
    keys += [("email", person.email.casefold()), ("sid", person.sid)]
    login = person.login or person.email.partition("@")[0]
    keys += [("login", login.casefold()), ("name", squeezed(person.name))]
    return [(kind, text.strip()) for kind, text in keys if text.strip()]


def squeezed(name: str) -> str:
    """A name as Canvas writes it into files: "Doe, Jane" and "doejane" are the same."""
    text = unicodedata.normalize("NFKC", name).casefold()
    return "".join(c for c in text if c.isalnum())


def _orders(name: str) -> set[str]:
    """A name with the last word or what stands before a comma first, and the other way round."""
    last, comma, first = name.partition(",")
    if not comma:
        *rest, last = name.split() or [""]
        first = " ".join(rest)
    return {squeezed(last + first), squeezed(first + last)} - {""}


def read_roster(path: Path) -> Roster:
    """Read a table of students.

    Raises:
        InputError: it cannot be read, or no column of it says who the students are.
    """
    sheet = read_sheet(path, "--roster")
    named = {name.casefold(): name for name in reversed(sheet.columns)}
    columns = {
        kind: next((named[one] for one in names if one in named), None)
        for kind, names in COLUMNS.items()
    }
    canvas = "sis login id" in named  # elsewhere a column "id" is the school's number
    if not canvas:
        columns["sid"], columns["canvas"] = columns["sid"] or columns["canvas"], None
    if not (columns["name"] or columns["first"] or columns["email"]):
        raise InputError(
            f"--roster {path} has the columns {', '.join(sheet.columns[:8])}; it must have one "
            "called Student, Name, Full name, First name or Email"
        )
    people = [_person(row, columns) for row in sheet.rows]
    role = named.get("role")  # of Gradescope, whose roster has instructors too
    kept = [
        (person, row)
        for person, row in zip(people, sheet.rows)
        if person.name
        and not person.name.casefold().startswith(_NO_STUDENT)
        and (role is None or row[role].strip().casefold() in ("", "student"))
    ]
    if not kept:
        raise InputError(f"--roster {path} names no student below its row of columns")
    count = {}
    for person, _ in kept:
        count[cell(person.name)] = count.get(cell(person.name), 0) + 1
    return Roster(
        sheet.columns,
        [
            Entry(_unlike(p) if count[cell(p.name)] > 1 else p.name, p, row)  # namesakes
            for p, row in kept
        ],
    )


def _person(row: dict[str, str], columns: dict[str, str | None]) -> Person:
    def take(kind: str) -> str:
        return row.get(columns[kind] or "", "").strip()

    name = take("name") or " ".join(filter(None, (take("first"), take("last")))) or take("email")
    ids = {kind: take(kind) for kind in ("canvas", "moodle", "email", "sid", "login")}
    return Person(name, **ids)


def _unlike(person: Person) -> str:
    mark = person.email or person.sid or person.login or person.canvas or person.moodle
    return f"{person.name} ({mark})" if mark else person.name
