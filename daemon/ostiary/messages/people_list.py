"""Lists of people as CSV, with the columns name, groups, from, until, photo and templates. The
number of templates is written, and never read.

A list is read as spreadsheets write it: UTF-8 with or without a mark, UTF-16 with one, any line
ends; commas, semicolons or tabs, also where the first line says so (`sep=;`); empty cells and
columns at the end. A missing column changes nothing; an empty cell clears the value. A cell that a
spreadsheet would take for a formula is written with an apostrophe before it, and read without.
"""

import codecs
import csv
import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ostiary.errors import PeopleListInvalid
from ostiary.messages.commands.people import UserRecord
from ostiary.messages.commands.rules import SEPARATORS
from ostiary.messages.times import iso_moment
from ostiary.messages.username import same_name

COLUMNS = ("name", "groups", "from", "until", "photo", "templates")
MOST_LINES = 10_000
MOST_BYTES = 4 * 1024 * 1024
_FORMULA = "=+-@\t\r"
_QUOTE = "'"
_DELIMITERS = ",;\t"
_SEPARATOR_LINE = re.compile(r'"?sep=([^"\w\s]|\t)"?[;,\t]*', re.IGNORECASE)
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a list: one person. `number` is the line's number in the file. `problem` says what
    is wrong with the line by itself. None stands for a missing column, an empty value for an empty
    cell; a photo is None in both cases."""

    number: int
    name: str
    groups: tuple[str, ...] | None = None
    valid_from: str | None = None
    valid_until: str | None = None
    photo: str | None = None
    problem: str | None = None
    templates: int | None = None

    @property
    def access(self) -> dict[str, object]:
        """Groups and ends that the list gives, as `set_access` and `put_person` take them."""
        said: dict[str, object] = {} if self.groups is None else {"groups": self.groups}
        for end, text in (("valid_from", self.valid_from), ("valid_until", self.valid_until)):
            if text is not None:
                said[end] = text or None
        return said


def read_list(data: bytes, encoding: str | None = None) -> tuple[Line, ...]:
    """Read every line of a list, in order. `encoding` None: a Unicode one. Raises
    PeopleListInvalid."""
    if len(data) > MOST_BYTES:
        raise PeopleListInvalid(f"The list is larger than {MOST_BYTES // 2**20} MiB; split it.")
    text = _text(data, encoding)
    first = re.split(r"[\r\n]", text, maxsplit=1)[0]
    says = _SEPARATOR_LINE.fullmatch(first)
    delimiter = says[1] if says else max(_DELIMITERS, key=_head(text).count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    lines: list[Line] = []
    names: set[str] = set()
    try:
        if says:
            next(reader)
        columns = _columns(next(filter(_is_written, reader), []))
        for cells in filter(_is_written, reader):
            lines.append(_line(reader.line_num, columns, cells, names))
            names.add(same_name(lines[-1].name))
            if len(lines) > MOST_LINES:
                raise PeopleListInvalid(f"More than {MOST_LINES:,} people; split the list.")
    except csv.Error as error:
        raise PeopleListInvalid(f"Line {reader.line_num}: {error}.") from None
    return tuple(lines)


def _text(data: bytes, encoding: str | None) -> str:
    """Decode a list. No other encoding is guessed. Raises PeopleListInvalid."""
    try:
        text = data.decode(encoding or ("utf-16" if data.startswith(_UTF_16) else "utf-8-sig"))
    except LookupError:
        raise PeopleListInvalid(f"There is no encoding {encoding}.") from None
    except UnicodeDecodeError as error:
        raise _not_utf8(data[: error.start].count(b"\n") + 1) from None
    if "\0" in text:
        raise PeopleListInvalid("The list has NUL characters; it is no text.")
    if "\ufffd" in text:  # what a program puts for bytes that it could not read
        raise _not_utf8(text[: text.index("\ufffd")].count("\n") + 1)
    return text


def _not_utf8(line: int) -> PeopleListInvalid:
    return PeopleListInvalid(
        f"Line {line} is not UTF-8: save the list as “CSV UTF-8”, or say what it is, as in "
        "`ostiary users import --encoding windows-1252`."
    )


def _head(text: str) -> str:
    """The first line that has something in it."""
    return re.split(r"[\r\n]", text.lstrip(), maxsplit=1)[0]


def _is_written(cells: Sequence[str]) -> bool:
    return any(cell.strip() for cell in cells)


def line_of(user: UserRecord) -> Line:
    """The line of a registered person, to be written."""
    return Line(
        0,
        user.username,
        user.groups,
        None if user.valid_from is None else user.valid_from.isoformat(),
        None if user.valid_until is None else user.valid_until.isoformat(),
        templates=user.templates,
    )


def write_list(people: Iterable[Line]) -> str:
    """Write a list as CSV with commas. Photos are not kept, and so not named."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for each in people:
        groups = "; ".join(each.groups or ())
        count = "" if each.templates is None else str(each.templates)
        cells = (each.name, groups, each.valid_from or "", each.valid_until or "", "", count)
        writer.writerow([_quoted(cell) for cell in cells])
    return text.getvalue()


def _columns(head: Sequence[str]) -> tuple[str, ...]:
    columns = tuple(cell.strip().casefold() for cell in head)
    if "name" not in columns:
        raise PeopleListInvalid(
            f'The first line has no column "name". The columns are {", ".join(COLUMNS)}.'
        )
    named = [column for column in columns if column]
    unknown = [column for column in named if column not in COLUMNS]
    if unknown or len(set(named)) < len(named):
        raise PeopleListInvalid(
            f"The columns are {', '.join(COLUMNS)}, each once at most"
            f"{f'; {unknown[0][:40]!r} is none' if unknown else ''}."
        )
    return columns


def _line(number: int, columns: Sequence[str], cells: Sequence[str], before: set[str]) -> Line:
    given = [_unquoted(cell.strip()) for cell in cells]
    given += [""] * (len(columns) - len(given))  # some spreadsheets leave out the last empty ones
    values = dict(zip(columns, given, strict=False))
    unnamed = [cell for at, cell in enumerate(given) if not any(columns[at : at + 1])]
    name = values["name"]
    problems = []
    if any(unnamed):
        named = sum(map(bool, columns))
        problems.append(f"More cells than the {named} columns named; quote what has a comma.")
    if same_name(name) in before:
        problems.append(f"{name} is in the list twice.")
    ends = {}
    for column in ("from", "until"):
        text = values.get(column)
        try:
            ends[column] = text and iso_moment(text)
        except ValueError as error:
            ends[column] = text
            problems.append(f"{column}: {error}")
    return Line(
        number,
        name,
        _groups(values["groups"]) if "groups" in values else None,
        ends["from"],
        ends["until"],
        values.get("photo") or None,
        problems[0] if problems else None,
    )


def _groups(cell: str) -> tuple[str, ...]:
    for separator in SEPARATORS[1:]:
        cell = cell.replace(separator, SEPARATORS[0])
    named = (each.strip() for each in cell.split(SEPARATORS[0]))
    return tuple(dict.fromkeys(each for each in named if each))


def as_cell(value: object) -> str:
    """Write a value for a spreadsheet, so that no text is a formula."""
    return _quoted(value) if isinstance(value, str) else "" if value is None else str(value)


def _quoted(cell: str) -> str:
    return _QUOTE + cell if cell.startswith((*_FORMULA, _QUOTE)) else cell


def _unquoted(cell: str) -> str:
    return cell[1:] if cell.startswith(_QUOTE) and cell[1:2] in (*_FORMULA, _QUOTE) else cell
