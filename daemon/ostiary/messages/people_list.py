"""A list of people as CSV: name, groups, from, until, photo.

What spreadsheets write is taken: UTF-8 with or without a mark, commas or semicolons. A cell that a
spreadsheet would take for a formula is written with an apostrophe before it, and read without.
"""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ostiary.errors import PeopleListInvalid
from ostiary.messages.commands.labels import SEPARATORS
from ostiary.messages.commands.people import UserRecord

COLUMNS = ("name", "groups", "from", "until", "photo")
MOST_LINES = 10_000
MOST_BYTES = 4 * 1024 * 1024
_FORMULA = "=+-@\t\r"
_QUOTE = "'"


@dataclass(frozen=True, slots=True)
class Line:
    """One person. `number` is the line's in the file; `problem`: what is wrong with it by itself.
    Empty cells are None."""

    number: int
    name: str
    groups: tuple[str, ...] = ()
    valid_from: str | None = None
    valid_until: str | None = None
    photo: str | None = None
    problem: str | None = None


def read_list(data: bytes) -> tuple[Line, ...]:
    """Every line of a list, in order. Raises PeopleListInvalid for what is none."""
    if len(data) > MOST_BYTES:
        raise PeopleListInvalid(f"The list is larger than {MOST_BYTES // 2**20} MiB; split it.")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise PeopleListInvalid("The list is not UTF-8: save it as “CSV UTF-8”.") from None
    if "\0" in text:
        raise PeopleListInvalid("The list has NUL characters; it is no text.")
    head = text.partition("\n")[0]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=";" if ";" in head else ",")
    lines: list[Line] = []
    names: set[str] = set()
    try:
        columns = _columns(next(reader, []))
        for cells in reader:
            if any(cell.strip() for cell in cells):
                lines.append(_line(reader.line_num, columns, cells, names))
                names.add(lines[-1].name)
            if len(lines) > MOST_LINES:
                raise PeopleListInvalid(f"More than {MOST_LINES:,} people; split the list.")
    except csv.Error as error:
        raise PeopleListInvalid(f"Line {reader.line_num}: {error}.") from None
    return tuple(lines)


def line_of(user: UserRecord) -> Line:
    """Somebody who is registered, as in a list that is written."""
    return Line(
        0,
        user.username,
        user.groups,
        None if user.valid_from is None else user.valid_from.isoformat(),
        None if user.valid_until is None else user.valid_until.isoformat(),
    )


def write_list(people: Iterable[Line]) -> str:
    """As CSV with commas; photos are not kept, and so not named."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for each in people:
        groups = "; ".join(each.groups)
        cells = (each.name, groups, each.valid_from or "", each.valid_until or "", "")
        writer.writerow([_quoted(cell) for cell in cells])
    return text.getvalue()


def _columns(head: Sequence[str]) -> tuple[str, ...]:
    columns = tuple(cell.strip().casefold() for cell in head)
    if "name" not in columns:
        raise PeopleListInvalid(
            f'The first line has no column "name". The columns are {", ".join(COLUMNS)}.'
        )
    unknown = [column for column in columns if column and column not in COLUMNS]
    if unknown or len(set(columns)) < len(columns):
        raise PeopleListInvalid(
            f"The columns are {', '.join(COLUMNS)}, each once at most"
            f"{f'; {unknown[0][:40]!r} is none' if unknown else ''}."
        )
    return columns


def _line(number: int, columns: Sequence[str], cells: Sequence[str], before: set[str]) -> Line:
    values = {
        column: _unquoted(cell.strip())
        for column, cell in zip(columns, cells, strict=False)
        if column
    }
    groups = values.get("groups", "")
    for separator in SEPARATORS[1:]:
        groups = groups.replace(separator, SEPARATORS[0])
    name = values["name"] if len(cells) > columns.index("name") else ""
    problem = None
    if len(cells) > len(columns):
        problem = f"{len(cells)} cells where {len(columns)} are named; quote what has a comma."
    elif name in before:
        problem = f"{name} is in the list twice."
    return Line(
        number,
        name,
        tuple(dict.fromkeys(each.strip() for each in groups.split(";") if each.strip())),
        values.get("from") or None,
        values.get("until") or None,
        values.get("photo") or None,
        problem,
    )


def as_cell(value: object) -> str:
    """A value for a spreadsheet, in which no text is a formula."""
    return _quoted(value) if isinstance(value, str) else "" if value is None else str(value)


def _quoted(cell: str) -> str:
    return _QUOTE + cell if cell.startswith((*_FORMULA, _QUOTE)) else cell


def _unquoted(cell: str) -> str:
    return cell[1:] if cell.startswith(_QUOTE) and cell[1:2] in (*_FORMULA, _QUOTE) else cell
