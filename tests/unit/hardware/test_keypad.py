"""Keys become entries: PINs of people, numbers of cards."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ostiary.hardware.keypad import LONGEST, Entry, Keypad, Kind, printed_number


def typed(text: str, pace_s: float = 0.4, keypad: Keypad | None = None) -> list[Entry]:
    keypad, now, entries = keypad or Keypad(), 100.0, []
    for key in text:
        now += pace_s
        keypad, entry = keypad.pressed(key, now)
        if entry is not None:
            entries.append(entry)
    return entries


def test_a_pin_ends_with_enter_or_with_the_hash_key() -> None:
    assert typed("4711\n") == [Entry("pin", "4711")]
    assert typed("4711#") == [Entry("pin", "4711")]


def test_the_star_and_escape_begin_anew() -> None:
    assert typed("47*0815\n") == [Entry("pin", "0815")]
    assert typed("47\x1b0815\n") == [Entry("pin", "0815")]


def test_nothing_typed_is_nothing_presented() -> None:
    assert typed("\n#\n*\n") == []


def test_a_reader_types_faster_than_anybody_can() -> None:
    assert typed("0012345678\n", pace_s=0.004) == [Entry("card", "0012345678")]
    assert typed("0012345678\n", pace_s=0.3) == [Entry("pin", "0012345678")]


def test_a_short_burst_is_still_a_pin() -> None:
    assert typed("1234\n", pace_s=0.004) == [Entry("pin", "1234")]


def test_a_device_that_is_set_to_be_one_of_them_is_that() -> None:
    assert typed("1234\n", keypad=Keypad(kind="card")) == [Entry("card", "1234")]
    assert typed("12345678\n", 0.001, Keypad(kind="pin")) == [Entry("pin", "12345678")]


def test_what_somebody_left_behind_is_not_the_beginning_of_the_next_ones_pin() -> None:
    keypad, now = Keypad(), 0.0
    for key in "47":
        keypad, _ = keypad.pressed(key, now)
    for key in "0815":
        keypad, _ = keypad.pressed(key, 60.0)
    _, entry = keypad.pressed("\n", 60.5)
    assert entry == Entry("pin", "0815")


def test_a_keypad_that_was_pulled_out_in_the_middle_forgets_what_was_typed() -> None:
    keypad, _ = Keypad().pressed("4", 0)
    _, entry = keypad.emptied().pressed("\n", 1)
    assert entry is None


def test_two_people_at_two_devices_do_not_mix() -> None:
    one, other = Keypad(), Keypad()
    for mine, yours in zip("1111", "2222", strict=True):
        one, _ = one.pressed(mine, 1)
        other, _ = other.pressed(yours, 1)
    assert one.pressed("\n", 2)[1] == Entry("pin", "1111")
    assert other.pressed("\n", 2)[1] == Entry("pin", "2222")


def test_a_leaned_on_key_is_no_pin_and_fills_no_memory() -> None:
    keypad = Keypad()
    for _ in range(10_000):
        keypad, _ = keypad.pressed("1", 1.0)
    assert len(keypad.typed) <= LONGEST
    assert keypad.pressed("\n", 1.0)[1] is None


def test_neither_shows_its_secret_where_it_is_printed() -> None:
    keypad, _ = Keypad().pressed("4", 0)
    assert "4" not in repr(keypad)
    assert "4711" not in repr(Entry("pin", "4711"))


@given(
    st.text("0123456789", min_size=1, max_size=LONGEST),
    st.sampled_from(["pin", "card"]),
)
def test_what_is_typed_is_what_is_presented(text: str, kind: Kind) -> None:
    assert typed(f"{text}\n", keypad=Keypad(kind=kind)) == [Entry(kind, text)]


def silent_after(text: str, pace_s: float, kind: Kind | None = None) -> Entry | None:
    keypad, now = Keypad(kind), 100.0
    for key in text:
        now += pace_s
        keypad, _ = keypad.pressed(key, now)
    return keypad.fell_silent()[1]


def test_a_reader_that_ends_with_nothing_has_ended_when_it_falls_silent() -> None:
    assert silent_after("0012345678", 0.004) == Entry("card", "0012345678")
    assert silent_after("0012345678", 0.004, "card") == Entry("card", "0012345678")
    for unfinished in (("4711", 0.4), ("12345678", 0.3), ("", 0.0)):
        assert silent_after(*unfinished) is None
    assert silent_after("12345678", 0.001, "pin") is None
    assert silent_after("1" * (LONGEST + 1), 0.004) is None


@pytest.mark.parametrize(
    ("printed", "number"),
    [
        ("0008154711", "8154711"),
        ("123,45678", str(123 << 16 | 45678)),
        ("018,54919", str(18 << 16 | 54919)),
        ("123/45678", str(123 << 16 | 45678)),
        ("04:A1:B2:C3", "4A1B2C3"),
        ("04-a1-b2-c3", "4A1B2C3"),
        ("04 A1 B2 C3 D4 E5 F6", "4A1B2C3D4E5F6"),
        ("04A1B2C3", "4A1B2C3"),
        (" 42 ", "42"),
        ("123,65536", None),
        ("1,2,3", None),
        ("12.5", None),
        ("04:A1-B2", None),
        ("Ann", None),
        ("", None),
    ],
)
def test_a_card_may_be_given_by_the_number_that_is_printed_on_it(
    printed: str, number: str | None
) -> None:
    assert printed_number(printed) == number
