"""Tables as spreadsheets and learning platforms write them: read whatever the separator."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from minilm.course.grade.identity import cell
from minilm.errors import InputError

LARGEST = 16 << 20  # bytes of a table


@dataclass
class Sheet:
    """A table with named columns; every row has a text for each of them."""

    columns: list[str]
    rows: list[dict[str, str]] = field(default_factory=list)

    def text(self) -> str:
        """The table as CSV with commas; every text is made safe for a spreadsheet."""
        file = io.StringIO()
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(cell(name) for name in self.columns)
        for row in self.rows:
            writer.writerow(row.get(name, "") for name in self.columns)
        return file.getvalue()


def safe_row(columns: Sequence[str], values: Sequence[str]) -> dict[str, str]:
    """A row of texts that no spreadsheet takes for formulas."""
    return {name: cell(value) for name, value in zip(columns, values)}


def read_sheet(path: Path, what: str) -> Sheet:
    """Read a table with a row of column names, separated by commas, semicolons or tabs.

    Args:
        path: a UTF-8 or UTF-16 file.
        what: how an error calls it, such as "--roster".

    Raises:
        InputError: it cannot be read, is not text, or has no row of names.
    """
    try:
        if path.stat().st_size > LARGEST:
            raise InputError(
                f"{what} {path} has more than {LARGEST >> 20} MB; that is too large for a table"
            )
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{what} {path} cannot be read: {error.strerror}") from None
    wide = data[:2] in (b"\xff\xfe", b"\xfe\xff")
    try:
        text = data.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f"{what} {path} is not UTF-8 text; save it as CSV in UTF-8") from None
    lines = text.splitlines()
    first = next((line for line in lines if line.strip()), "")
    separator = max(",;\t", key=first.count)
    try:
        rows = [
            row for row in csv.reader(io.StringIO(text, newline=""), delimiter=separator) if row
        ]
    except csv.Error as error:
        raise InputError(f"{what} {path} is not a table: {error}") from None
    if not rows or not any(name.strip() for name in rows[0]):
        raise InputError(f"{what} {path} is empty; its first row must name the columns")
    columns = [name.strip() for name in rows[0]]
    filled = [row + [""] * (len(columns) - len(row)) for row in rows[1:] if any(row)]
    return Sheet(columns, [dict(zip(columns, row)) for row in filled])
