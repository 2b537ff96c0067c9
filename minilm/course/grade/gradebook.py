"""Tables of points that learning platforms import: `--format canvas|moodle|gradescope`.

    canvas       Student, ID, SIS User ID, SIS Login ID, Section, and the assignment's column
    moodle       the grading worksheet: Identifier, Grade, Feedback comments, ...
    gradescope   the columns of its own export; it takes scores from an autograder only

With the platform's own export as --roster, its columns come back as they were, ids and all.
Sources: Canvas's gradebook_importer.rb (a row of names, of which the Section is the last before the
assignments; "Points Possible" in the first column; students by ID, then by SIS ids), Moodle's
importgradeslib.php (columns found by their names) and Gradescope's autograder specification.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from minilm.course.grade.folder import Results
from minilm.course.grade.identity import cell
from minilm.course.grade.names import Person
from minilm.course.grade.roster import Entry, Roster
from minilm.course.grade.sheets import Sheet, safe_row
from minilm.course.grade.submissions import Submission
from minilm.course.grade.table import FIRST, LAST, Row
from minilm.errors import InputError
from minilm.files import write_text

FORMATS = ("canvas", "moodle", "gradescope")
_CANVAS = ("Student", "ID", "SIS User ID", "SIS Login ID", "Section")
_MOODLE = ("Identifier", "Full name", "Email address", "Status", "Grade", "Maximum Grade")
_MOODLE += ("Grade can be changed", "Last modified (grade)", "Feedback comments")
_GRADESCOPE = ("First Name", "Last Name", "SID", "Email", "Total Score", "Max Points")
# In a column of such a name Canvas takes nothing: it is one of its own.
_CANVAS_OWN = [f"{a} {b}" for a in ("Current", "Final") for b in ("Score", "Points", "Grade")]
_CANVAS_OWN += [f"Override {b}" for b in ("Score", "Grade", "Status")]
_ID = {"canvas": "ID", "moodle": "Identifier", "gradescope": "Email"}


def check_column(column: str, style: str) -> str:
    """The name of an assignment's column, if the platform takes points from it.

    Raises:
        InputError: Canvas calculates the columns of such names itself.
    """
    own = [name for name in _CANVAS_OWN if name in column]
    if style == "canvas" and (own or column in (*_CANVAS, "Integration ID", "Root Account")):
        raise InputError(
            f"--column is {column!r}, which Canvas takes for its own {(own or [column])[0]}; it "
            "must be the assignment's name, such as 'First steps (8812)'"
        )
    return column


def write_gradebook(
    results: Results, style: str, set_name: str, roster: Roster | None, column: str
) -> Iterator[str]:
    """Write one set's points for a platform; yields lines for the lecturer.

    Args:
        results: the folder, with its table.
        style: one of FORMATS.
        set_name: whose points are written.
        roster: the students, if there is a list.
        column: the name of the assignment.
    """
    rows = [row for row in results.table.sheet.rows if row["set"] == set_name]
    known = {
        (cell(record["student"]), record["set"]): [Person(**p) for p in record.get("people", [])]
        for record in results.place.records()
    }
    lines, without = [], []
    for row in rows:
        people = known.get((row["student"], row["set"]), ())
        for person, entry in _members(row, people, roster):
            line = {"canvas": _canvas, "moodle": _moodle, "gradescope": _gradescope}[style](
                person, entry.row if entry else {}, row, column
            )
            lines.append(line)
            if not line.get(_ID[style]):
                without.append(row["student"])
    columns = {"canvas": [*_CANVAS, column], "moodle": _MOODLE, "gradescope": _GRADESCOPE}[style]
    if style == "canvas":
        lines.insert(0, {"Student": "Points Possible", column: rows[0]["max"]})
    path = results.folder / f"{style}-{set_name}.csv"
    sheet = Sheet(list(columns))
    sheet.rows = [safe_row(columns, [line.get(name, "") for name in columns]) for line in lines]
    write_text(path, sheet.text())
    yield f"for {style.capitalize()}: {path}"
    if without:
        yield (
            f"no {_ID[style]} is known of {', '.join(without)}; give {style.capitalize()}'s own "
            "table as --roster"
        )
    other = sorted({line["Maximum Grade"] for line in lines if line.get("Maximum Grade")})
    if style == "moodle" and other and other != [rows[0]["max"]]:
        yield f"the worksheet's maximum is {', '.join(other)}; set it to {rows[0]['max']} in Moodle"


def _members(
    row: Row, people: Sequence[Person], roster: Roster | None
) -> list[tuple[Person, Entry | None]]:
    """Whose points a row gives: a student, or each member of a group."""
    submission = Submission(row["student"], Path(), row["set"], people=tuple(people))
    entries = roster.members(submission) if roster else []
    if entries and len(entries) >= len(people):
        return [(entry.person, entry) for entry in entries]
    return [(person, None) for person in people or (Person(row["student"]),)]


def _canvas(person: Person, own: Row, row: Row, column: str) -> Row:
    line = {name: own.get(name, "") for name in _CANVAS}
    line["Student"] = own.get("Student") or person.name
    line["ID"] = own.get("ID") or person.canvas
    line["SIS User ID"] = own.get("SIS User ID") or person.sid
    line["SIS Login ID"] = own.get("SIS Login ID") or person.login
    return {**line, column: row["points"]}


def _moodle(person: Person, own: Row, row: Row, column: str) -> Row:
    number = person.moodle.removeprefix("Participant ")
    line = {name: own.get(name, "") for name in _MOODLE}
    line["Identifier"] = own.get("Identifier") or (f"Participant {number}" if number else "")
    line["Full name"] = own.get("Full name") or person.name
    line["Email address"] = own.get("Email address") or person.email
    line["Maximum Grade"] = own.get("Maximum Grade") or own.get("Maximum grade") or row["max"]
    return {**line, "Grade": row["points"], "Feedback comments": _summary(row)}


def _gradescope(person: Person, own: Row, row: Row, column: str) -> Row:
    first, _, last = person.name.rpartition(" ")
    return {
        "First Name": own.get("First Name") or first or last,
        "Last Name": own.get("Last Name") or (last if first else ""),
        "SID": person.sid,
        "Email": person.email,
        "Total Score": row["points"],
        "Max Points": row["max"],
    }


def _summary(row: Row) -> str:
    """The points of every question in one line."""
    named = [(c, p) for c, p in row.items() if c not in (*FIRST, LAST) and p]
    return ", ".join(f"{column.rpartition('/')[2]} {points}" for column, points in named)
