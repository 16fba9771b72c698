"""What may be a name."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, TypeAdapter

from ostiary.errors import UsernameInvalid
from ostiary.messages.username import (
    LONGEST,
    Username,
    checked_username,
    looks_of,
    new_username,
    same_name,
)


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


@pytest.mark.parametrize(
    "name",
    [
        "a",
        "张三",
        "Zoë",
        "O'Brien",
        "O’Brien",
        "Anna Maria",
        "J. R. 2",
        "Ольга",
        "می\u200cخواهم",
        "नमस्ते",
    ],
)
def test_an_ordinary_name_may_be_given(name: str) -> None:
    assert new_username(name) == name


PASSPORTS = [
    *("Màrius Gal·la", "GAL·LA PARAL·LEL", "Gaŀla", "GAĿLA", "José Mª", "Nguyễn Thị Minh Khai"),
    *("Ğülşen İnönü-Ağa", "Łukasz Żółć", "Þórður Æsir", "Kaʻiulani", "O‘zbek", "D’Artagnan Jr."),
    *("Ελένη Παπαδοπούλου", "Ґалаґан Їжак", "Дмитрий Ёлкин", "Սևակ Հովհաննիսյան", "გიორგი"),
    *("迪丽热巴·迪力木拉提", "古力娜扎尔・拜合提亚尔", "王小明", "𠮷野家", "渡邉󠄐", "辻󠄁 太郎"),
    *("ジョン・スミス", "佐々木 ゆり", "장원영", "남궁 민", "ᄒᆞᆫ글", "하ᇹ"),
    *("محمد‌رضا علیزاده", "سید‌حسین", "شهریار", "عبد الله", "שרה צ'רצ׳יל", "נתב״ג"),
    *("ܣܘܪܝܝܐ", "ދިވެހި", "ߒߞߏ", "𞤀𞤣𞤤𞤢𞤥", "አማርኛ ኃይለ", "ⵜⴰⵎⴰⵣⵉⵖⵜ"),
    *("श्रीमती क्‍षमा", "র‍্যাচেল চৌধুরী", "ਗੁਰਪ੍ਰੀਤ", "ગુજરાતી", "ଓଡ଼ିଆ", "நாராயணன்"),
    *("తెలుగు", "ಕನ್ನಡ", "രാജന്‍ രാജ്‍കുമാർ", "ශ්‍රීමතී", "ไทย สำราญ", "ກຳແພງ ໜ່ອຍ"),
    *("မြန်မာ ဦး", "ភាសាខ្មែរ", "ཚེ་རིང", "ᠮᠣᠩᠭᠣᠯ ᠰᠠᠷᠠᠩᠭᠣᠣ\u180eᠠ", "ꦱꦸꦏꦂꦤ", "ᮞᮥᮔ᮪ᮓ"),
    *("ᏣᎳᎩ", "ᐃᓄᒃᑎᑐᑦ", "ꯃꯤꯇꯩ", "ᱥᱟᱱᱛᱟᱲᱤ", "ꆈꌠ", "ᜊᜌ᜔ᜊᜌᜒᜈ᜔"),
]


@pytest.mark.parametrize("name", PASSPORTS)
def test_names_of_all_writing_systems_are_taken_as_passports_have_them(name: str) -> None:
    assert new_username(name) == same_name(name)


@pytest.mark.parametrize(
    "name",
    [
        *("·", "・", "·Anna", "Anna·", "Anna··Bo", "An\u00b7 na"),
        *("Anna\u200dB", "ann\u200cb", "\u200cبت", "بت\u200c", "ب\u200c\u200cت", "א\u200cב"),
        *("Ann\u180e", "a\ufe0f", "Ann\U000e0100", "ᄀᄀ", "ᆞ", "\u1160", "\u3131"),
    ],
)
def test_what_belongs_to_another_script_deceives(name: str) -> None:
    with pytest.raises(UsernameInvalid):
        new_username(name)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Anna\u00a0B", "U+00A0: write ' '"),
        ("Ａnna", "U+FF21: write 'A'"),
        ("ﬁnn", "U+FB01: write 'fi'"),
        ("\u3131", "U+3131"),
        ("Anna  B", "single spaces between its parts"),
    ],
)
def test_what_to_write_is_told_so_that_it_differs_from_what_was_typed(name: str, said: str) -> None:
    with pytest.raises(UsernameInvalid) as refused:
        new_username(name)
    assert said in refused.value.message
    assert name not in refused.value.message


@pytest.mark.parametrize(
    "name",
    [
        *("ann\u200ba", "Ａnna", "Anna\u00a0B", "Anna  B", "ﬁnn", "①"),
        *("\u3164", "\u2800", "Anna\u2800", "\u115f", "\u00ad", "--", "🙂"),
        *(".", "..", "ostiary/+/#", "a/b", "a\\b", "a#", "a+b"),
    ],
)
def test_a_name_that_deceives_or_means_something_elsewhere_may_not_be_given(name: str) -> None:
    with pytest.raises(UsernameInvalid):
        new_username(name)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Anna", "Аnna"),  # Cyrillic А
        ("Olga", "\u041elga"),
        ("Bo", "Bο"),  # Greek omicron
        ("anna", "Anna"),
        ("Bill", "BiIl"),
        ("José", "Jose\u0301"),
        ("迪丽·迪力", "迪丽・迪力"),
        ("迪丽·迪力", "迪丽•迪力"),
        ("Gaŀla", "Gal·la"),
        ("سیدحسین", "سید\u200cحسین"),
        ("渡邉", "渡邉\U000e0110"),
        ("ᠰᠠᠷᠠᠩᠭᠣᠣᠠ", "ᠰᠠᠷᠠᠩᠭᠣᠣ\u180eᠠ"),
        ("O'Brien", "O’Brien"),
        ("Mª", "Ma"),
        ("Ann-Marie", "Ann‐Marie"),
    ],
)
def test_names_that_look_alike_have_one_look(one: str, other: str) -> None:
    assert looks_of(one) & looks_of(other)


@pytest.mark.parametrize(
    ("one", "other"), [("Anna", "Hanna"), ("张三", "张二"), ("user2", "user3"), ("José", "Jose")]
)
def test_names_that_are_told_apart_have_two_looks(one: str, other: str) -> None:
    assert not looks_of(one) & looks_of(other)
