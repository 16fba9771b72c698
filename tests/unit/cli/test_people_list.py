"""A list of people as spreadsheets write and read it."""

import base64
import csv
import io
import unicodedata
from datetime import UTC
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ostiary.cli.people_list import photo_of
from ostiary.cli.rules import week_hours
from ostiary.decision.rules import moment_of
from ostiary.errors import ImageInvalid, PeopleListInvalid, PhotoMissing, ScheduleInvalid
from ostiary.messages.people_list import MOST_BYTES, Line, read_list, write_list
from ostiary.messages.username import same_name


def test_a_list_with_commas_is_read() -> None:
    text = (
        "name,groups,from,until,photo\r\n"
        'Ann,"Staff; Lab",2026-12-01,2026-12-24T18:00,ann.jpg\r\n'
        "\r\n"
        "张三,,,,\r\n"
    )
    assert read_list(text.encode()) == (
        Line(2, "Ann", ("Staff", "Lab"), "2026-12-01", "2026-12-24T18:00", "ann.jpg"),
        Line(4, "张三", (), "", ""),
    )


def test_a_list_that_a_spreadsheet_wrote_is_read() -> None:
    text = "\ufeffName;Groups;Until\r\nAnn;Staff|Lab;2026-12-24\r\n"
    assert read_list(text.encode()) == (Line(2, "Ann", ("Staff", "Lab"), None, "2026-12-24"),)


@pytest.mark.parametrize(
    "written",
    [
        "sep=;\r\nname;groups;until\r\nZoë;Staff;2027-01-31\r\n",
        '"sep=;"\r\nname;groups;until\r\nZoë;Staff;2027-01-31\r\n',
        "SEP=\t\r\nname\tgroups\tuntil\r\nZoë\tStaff\t2027-01-31\r\n",
        "sep=|;;\nname|groups|until\nZoë|Staff|2027-01-31\n",
        "name;groups;until;;\r\nZoë;Staff;2027-01-31;;\r\n",
        "name,groups,until\rZoë,Staff,2027-01-31\r",
        "name\tgroups\tuntil\nZoë\tStaff\t2027-01-31\n",
        "\n;;\nname;groups;until\nZoë;Staff;31.01.2027;;;\n;;;;;\n",
        "name;groups;until\nZoe\u0308;Staff;31.1.2027\n",
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_list_is_read_as_any_spreadsheet_writes_it(written: str, encoding: str) -> None:
    (line,) = read_list(written.encode(encoding))
    assert same_name(line.name) == "Zoë"
    assert (line.groups, line.valid_from, line.valid_until) == (("Staff",), None, "2027-01-31")
    assert line.problem is None


def test_a_list_in_another_encoding_is_read_where_it_is_named_and_never_guessed() -> None:
    data = "name;groups\nAnn;Staff\nŽofie Müller;Staff\n".encode("windows-1252")
    with pytest.raises(PeopleListInvalid, match=r"Line 3 is not UTF-8.*windows-1252"):
        read_list(data)
    with pytest.raises(PeopleListInvalid, match="Line 3 is not UTF-8"):  # as a browser reads it
        read_list(data.decode("utf-8", errors="replace").encode())
    assert [line.name for line in read_list(data, "windows-1252")] == ["Ann", "Žofie Müller"]
    with pytest.raises(PeopleListInvalid, match="no encoding latin-99"):
        read_list(data, "latin-99")


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("2027-01-31", "2027-01-31"),
        ("2027-1-31", "2027-01-31"),
        ("2027/01/31", "2027-01-31"),
        ("2027. 01. 31.", "2027-01-31"),
        ("31.01.2027", "2027-01-31"),
        ("1.2.2027", "2027-02-01"),
        ("1/31/2027", "2027-01-31"),
        ("31/1/2027", "2027-01-31"),
        ("31-01-2027", "2027-01-31"),
        ("2/2/2027", "2027-02-02"),
        ("31.01.2027 18:00", "2027-01-31T18:00"),
        ("31.01.2027 18:00:00", "2027-01-31T18:00"),
        ("1/31/2027 6:05 PM", "2027-01-31T18:05"),
        ("1/31/2027 12:05 am", "2027-01-31T00:05"),
        ("2027-01-31T18:00+01:00", "2027-01-31T18:00+01:00"),
    ],
)
def test_a_date_is_read_as_spreadsheets_of_many_countries_write_it(written: str, read: str) -> None:
    (line,) = read_list(f"name;until\nAnn;{written}\n".encode())
    assert (line.valid_until, line.problem) == (read, None)
    assert moment_of(read, UTC).year == 2027


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("2/3/2027", "until: 2/3/2027 may be 2027-03-02 or 2027-02-03; write that."),
        ("03-02-2027", "2027-02-03 or 2027-03-02"),
        ("31.01.27", "four digits"),
        ("1/31/27", "four digits"),
        ("31/31/2027", "no such day"),
        ("30.02.2027", "no such day"),
        ("1.31.2027", "no such day"),
        ("31.01.2027 25:00", "write the time"),
        ("31.01.2027 13:00 PM", "write the time"),
    ],
)
def test_a_date_that_may_be_two_or_none_is_refused_with_its_line(written: str, said: str) -> None:
    bo, ann = read_list(f"name;until\nBo;2027-01-31\nAnn;{written}\n".encode())
    assert bo.problem is None
    assert ann.number == 3
    assert ann.problem is not None
    assert said in ann.problem


def test_a_column_that_is_not_there_says_nothing_and_an_empty_cell_clears() -> None:
    (only_name,) = read_list(b"name\nAnn\n")
    assert only_name.access == {}
    (with_photo,) = read_list(b"name,photo\nAnn,ann.jpg\n")
    assert with_photo.access == {}
    (cleared,) = read_list(b"name;groups;until\nAnn;;\n")
    assert cleared.access == {"groups": (), "valid_until": None}
    (short,) = read_list(b"name;groups;until\nAnn;Staff\n")  # Excel leaves out what is empty
    assert short.access == {"groups": ("Staff",), "valid_until": None}


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", 'no column "name"'),
        (b"groups,until\nStaff,2026-12-24\n", 'no column "name"'),
        (b"name,salary\nAnn,1\n", "salary"),
        (b"name,name\nAnn,Ann\n", "once at most"),
        ("name\nZoë\n".encode("latin-1"), "Line 2 is not UTF-8"),
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
    assert [(line.name, list(line.groups or ())) for line in read] == people


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


def test_a_photo_is_found_by_a_name_as_another_system_writes_it(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    for name in ("EVE.JPG", "Zoë.jpg", "Bo.jpg", "bo.jpg", "a\\b.jpg"):
        (tmp_path / "photos" / name).write_bytes(name.encode())

    def found(name: str) -> str:
        return base64.b64decode(photo_of(name, tmp_path)).decode()

    assert found(r"photos\EVE.JPG") == "EVE.JPG"
    assert found("photos/eve.jpg") == "EVE.JPG"
    assert found(r".\PHOTOS\eve.JPG") == "EVE.JPG"
    assert found(unicodedata.normalize("NFD", "photos/zoë.JPG")) == "Zoë.jpg"
    assert found("photos/bo.jpg") == "bo.jpg"
    assert found(r"photos/a\b.jpg") == r"a\b.jpg"
    with pytest.raises(PhotoMissing, match=r"one of Bo\.jpg, bo\.jpg"):
        photo_of("photos/BO.JPG", tmp_path)
    for nowhere in (r"..\secret", r"C:\photos\EVE.JPG", r"photos\nobody.jpg"):
        with pytest.raises(PhotoMissing):
            photo_of(nowhere, tmp_path)


def test_a_photo_that_is_empty_is_no_image(tmp_path: Path) -> None:
    (tmp_path / "ann.jpg").touch()
    with pytest.raises(ImageInvalid, match="empty"):
        photo_of("ann.jpg", tmp_path)


def test_hours_on_the_command_line_are_days_and_times() -> None:
    hours = week_hours("mon-fri,holiday 08:00-18:00")
    assert [day.value for day in hours.days] == ["mon", "tue", "wed", "thu", "fri", "holiday"]
    assert (hours.start, hours.end) == ("08:00", "18:00")
    assert [day.value for day in week_hours("sat-mon 22:00-06:00").days] == ["sat", "sun", "mon"]
    for text in ("", "mon", "mon 8-18", "moon 08:00-18:00", "mon 08:00-25:00", "holiday-mon 1-2"):
        with pytest.raises(ScheduleInvalid, match=r"write it as|days are|no such time"):
            week_hours(text)
