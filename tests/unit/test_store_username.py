"""What may be a name."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, TypeAdapter

from ostiary.errors import UsernameInvalid
from ostiary.messages.username import LONGEST, Username, checked_username, same_name


@pytest.mark.parametrize(
    "name", ["a", "张三", "Zoë", "O'Brien", "Anna Maria", "x" * 64, "می\u200cخواهم"]
)
def test_an_ordinary_name_is_taken_as_it_is(name: str) -> None:
    assert checked_username(name) == name


@pytest.mark.parametrize(
    "name",
    [
        *("", "   ", "\u3000"),
        *("x" * 65, "张" * 65, "x" * 100_000),
        *("a\nb", "a\x00b", "a\x7fb", "a\x85b", "line\u2028end", "\ud800"),
        *("\u202eevil", "zero\u200bwidth"),
    ],
)
def test_a_name_that_is_empty_long_or_has_invisible_characters_is_refused(name: str) -> None:
    with pytest.raises(UsernameInvalid):
        checked_username(name)


def test_two_ways_to_write_a_name_are_one_name() -> None:
    assert checked_username("Zoe\u0308") == checked_username("Zo\u00eb") == "Zo\u00eb"
    assert checked_username(" Anna ") == "Anna"


@given(st.text(max_size=80))
def test_a_taken_name_is_normal_short_visible_and_stays_the_same(text: str) -> None:
    try:
        name = checked_username(text)
    except UsernameInvalid:
        return
    assert 1 <= len(name) <= LONGEST
    assert unicodedata.is_normalized("NFC", name)
    assert not any(unicodedata.category(character) in {"Cc", "Cs"} for character in name)
    assert checked_username(name) == name == same_name(text)


def test_a_command_field_answers_a_bad_name_with_its_own_code() -> None:
    class Command(BaseModel):
        username: Username

    assert Command.model_validate_json('{"username": "Zoe\\u0308"}').username == "Zo\u00eb"
    with pytest.raises(UsernameInvalid):
        Command.model_validate({"username": "a\nb"})
    assert TypeAdapter(Username).json_schema()["maxLength"] == LONGEST
