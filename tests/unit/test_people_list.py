"""A list of people as spreadsheets write and read it."""

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ostiary.client.people_list import photo_of
from ostiary.client.rules import hours_of
from ostiary.errors import PeopleListInvalid, PhotoMissing, ScheduleInvalid
from ostiary.messages.people_list import MOST_BYTES, Line, read_list, write_list


def test_a_list_with_commas_is_read() -> None:
    text = (
        "name,groups,from,until,photo\r\n"
        'Ann,"Staff; Lab",2026-12-01,2026-12-24T18:00,ann.jpg\r\n'
        "\r\n"
        "张三,,,,\r\n"
    )
    assert read_list(text.encode()) == (
        Line(2, "Ann", ("Staff", "Lab"), "2026-12-01", "2026-12-24T18:00", "ann.jpg"),
        Line(4, "张三"),
    )


def test_a_list_that_a_spreadsheet_wrote_is_read() -> None:
    text = "\ufeffName;Groups;Until\r\nAnn;Staff|Lab;2026-12-24\r\n"
    assert read_list(text.encode()) == (Line(2, "Ann", ("Staff", "Lab"), None, "2026-12-24"),)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", 'no column "name"'),
        (b"groups,until\nStaff,2026-12-24\n", 'no column "name"'),
        (b"name,salary\nAnn,1\n", "salary"),
        (b"name,name\nAnn,Ann\n", "once at most"),
        ("name\nZoë\n".encode("latin-1"), "UTF-8"),
        (b"name\nAnn\0\n", "NUL"),
        (b"PK\x03\x04\x14\x00\x06\x00\x08\x00", "no text"),
        (b"name\n" + b"x" * 200_000, "field larger"),
        (b"name\n" + b"".join(b"p%d\n" % each for each in range(10_001)), "10,000"),
        (b"name\n" + b"\n" * MOST_BYTES, "larger than"),
    ],
)
def test_what_is_no_list_is_refused_in_words(data: bytes, said: str) -> None:
    with pytest.raises(PeopleListInvalid, match=said):
        read_list(data)


def test_a_line_that_is_wrong_by_itself_is_told_and_the_others_are_read() -> None:
    lines = read_list(b"name,groups\nAnn,Staff,Lab\nBo,Staff\nBo,Lab\n")
    assert [(line.number, line.name) for line in lines] == [(2, "Ann"), (3, "Bo"), (4, "Bo")]
    assert lines[0].problem is not None
    assert lines[1].problem is None
    assert lines[2].problem is not None
    assert "twice" in lines[2].problem


@pytest.mark.parametrize("name", ["=1+1", "+49", "-x", "@sum", "'=1", "'", "''x"])
def test_a_name_is_no_formula_in_a_spreadsheet_and_comes_back_as_it_was(name: str) -> None:
    text = write_list([Line(0, name)])
    (_, (cell, *_)) = csv.reader(io.StringIO(text))
    assert not cell.startswith(("=", "+", "-", "@"))
    assert [line.name for line in read_list(text.encode())] == [name]


PRINTABLE = st.text(
    st.characters(blacklist_categories=("Cc", "Cf", "Cs", "Zs", "Zl", "Zp")), min_size=1
)
GROUP = PRINTABLE.filter(lambda name: not {";", "|"} & set(name))


@given(st.lists(st.tuples(PRINTABLE, st.lists(GROUP, unique=True)), unique_by=lambda e: e[0]))
def test_what_was_written_is_read_again(people: list[tuple[str, list[str]]]) -> None:
    text = write_list(Line(0, name, tuple(groups)) for name, groups in people)
    read = read_list(text.encode("utf-8-sig"))
    assert [(line.name, list(line.groups)) for line in read] == people


@given(st.binary(max_size=300) | st.text(max_size=300).map(str.encode))
def test_nothing_but_a_refusal_comes_of_any_bytes(data: bytes) -> None:
    try:
        lines = read_list(b"name," + data)
    except PeopleListInvalid:
        return
    assert all(line.number > 1 for line in lines)


def test_photos_lie_beside_the_list_or_below_it_and_nowhere_else(tmp_path: Path) -> None:
    folder = tmp_path / "list"
    (folder / "photos").mkdir(parents=True)
    (tmp_path / "secret").write_bytes(b"secret")
    (folder / "photos" / "ann.jpg").write_bytes(b"picture")
    (folder / "link.jpg").symlink_to(tmp_path / "secret")
    (folder / "round.jpg").symlink_to(folder / "round.jpg")
    assert photo_of("photos/ann.jpg", folder) == "cGljdHVyZQ=="
    for name in (
        "../secret",
        str(tmp_path / "secret"),
        "link.jpg",
        "round.jpg",
        "photos",
        "nobody.jpg",
        "a\0b",
        "x" * 5000,
        ".",
        "/etc/passwd",
    ):
        with pytest.raises(PhotoMissing):
            photo_of(name, folder)


def test_hours_on_the_command_line_are_days_and_times() -> None:
    hours = hours_of("mon-fri,holiday 08:00-18:00")
    assert [day.value for day in hours.days] == ["mon", "tue", "wed", "thu", "fri", "holiday"]
    assert (hours.start, hours.end) == ("08:00", "18:00")
    assert [day.value for day in hours_of("sat-mon 22:00-06:00").days] == ["sat", "sun", "mon"]
    for text in ("", "mon", "mon 8-18", "moon 08:00-18:00", "mon 08:00-25:00", "holiday-mon 1-2"):
        with pytest.raises(ScheduleInvalid, match="write it as"):
            hours_of(text)
