"""The console in Chinese says nothing in English: not the daemon's own sentences either."""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from ostiary import errors, settings
from ostiary.commands.commands import COMMANDS
from ostiary.errors import OstiaryError
from ostiary.http.problems import STATUS, problem_of, said_in
from ostiary.http.texts import LANGUAGES, LONGEST, Sayings, Texts
from ostiary.messages.people_list import read_list
from ostiary.messages.username import new_username
from ostiary.settings.overrides import adjusted

ROOM = Path(errors.__file__).parent
TEXTS = Texts()
SAYINGS = Sayings(TEXTS)
ELSEWHERE = ("cli/", "local/", "setup/", "http/legacy.py", "store/import")
"""Rooms whose words no page of the console shows."""
ITSELF_A_SENTENCE = {
    "error": "hours need a day",
    "what": "end",
    "day": "mon",
    "_in_words(until - now)": "12 seconds",
    "', '.join(instead)": "U+FF21: write 'A', U+FB01: write 'fi'",
    "known": "a, b",
    "who": "Ada's",
    "' or '.join(SEPARATORS)": "; or |",
}
"""What a blank of a sentence stands for, where that is a sentence."""
LATIN = re.compile(r"\b[A-Za-z]?[a-z]+ [a-z]+\b")


def foreign(text: str) -> list[str]:
    """What is two words of Latin letters in a row, and no command or value in quotes."""
    return LATIN.findall(re.sub(r"`[^`]*`|'[^']*'|“[^”]*”|\"[^\"]*\"", "", text))


def in_chinese(sentence: str) -> str:
    said = SAYINGS.said(sentence, "zh")
    assert said is not None, sentence
    assert re.search(r"[一-鿿]", said), said
    assert not foreign(said), said
    return said


def says_more() -> frozenset[str]:
    """The codes whose own words the console's pages show."""
    script = (ROOM / "http" / "static" / "api.js").read_text(encoding="utf-8")
    found = re.search(r"SAYS_MORE = new Set\(\[(.*?)\]\)", script, re.DOTALL)
    assert found is not None
    return frozenset(re.findall(r'"(\w+)"', found[1]))


def kinds() -> dict[str, type[OstiaryError]]:
    found = (kind for kind in vars(errors).values() if isinstance(kind, type))
    return {kind.__name__: kind for kind in found if issubclass(kind, OstiaryError)}


def sentence_of(node: ast.expr) -> str | None:
    """A text as it is raised, with something in each blank; None for what is made elsewhere."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if not isinstance(node, ast.JoinedStr):
        return None
    parts = []
    for part in node.values:
        if isinstance(part, ast.Constant):
            parts.append(str(part.value))
        elif isinstance(part, ast.FormattedValue):
            if isinstance(part.value, ast.IfExp):  # a piece that may be there
                return None
            parts.append(ITSELF_A_SENTENCE.get(ast.unparse(part.value), "X7"))
    return "".join(parts)


def class_of(tree: ast.Module, name: str) -> ast.AST | None:
    found = (node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == name)
    return next(found, None)


def raised() -> Iterator[tuple[str, str]]:
    """Each sentence that a page may show, with where it is said."""
    shown = says_more() | {"password_weak", "locks_everybody_out"}
    named = {name for name, kind in kinds().items() if kind.code in shown} | {"Wait"}
    for path in sorted(ROOM.rglob("*.py")):
        place = str(path.relative_to(ROOM))
        if place.startswith(ELSEWHERE):
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        values = tree if place.startswith("messages/") else class_of(tree, "AccessSettings")
        checks = set(ast.walk(values)) if values else set()
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call) or not node.args:
                continue
            called = ast.unparse(node.func)
            told = node in checks and called in ("ValueError", "problems.append")
            wanted = called in named or told
            sentence = sentence_of(node.args[0]) if wanted else None
            if sentence is not None:
                yield f"{place}:{node.lineno}", sentence


SENTENCES = tuple(raised())


def test_there_are_sentences_to_look_at() -> None:
    assert len(SENTENCES) > 60


@pytest.mark.parametrize(("place", "sentence"), SENTENCES)
def test_every_sentence_that_a_page_shows_is_said_in_chinese(place: str, sentence: str) -> None:
    assert in_chinese(sentence), place


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_error_has_words_of_its_own(language: str) -> None:
    for code in {kind.code for kind in kinds().values()} | STATUS.keys():
        words = TEXTS.find(language, f"problem.{code}")
        assert words, code
        assert language == "en" or not foreign(words), words


def test_no_text_in_chinese_is_an_english_sentence() -> None:
    for key in TEXTS.keys("zh"):
        assert not foreign(re.sub(r"\{\w+\}", "", TEXTS.raw("zh", key))), key


def test_a_sentence_is_found_by_its_own_words_and_by_no_other() -> None:
    english = TEXTS.under("en", "said")
    for key, text in english.items():
        if re.search(r"\{(what|why)\}", text):
            continue
        sentence = re.sub(r"\{\w+\}", "X7", text)
        expected = re.sub(r"\{\w+\}", "X7", TEXTS.raw("zh", f"said.{key}"))
        assert SAYINGS.said(sentence, "zh") == expected, key


@pytest.mark.parametrize(
    ("sentence", "said"),
    [
        (
            "The end: 1/2/2027 may be 2027-02-01 or 2027-01-02; write that.",
            "结束：1/2/2027 可能是 2027-02-01，也可能是 2027-01-02，请写清楚。",
        ),
        (
            "There is no group guests. There are: night, staff.",
            "没有组“guests”，现有：night, staff。",
        ),
        (
            "body.username: is missing; body.allow_twin: must be true or false",
            "body.username：没有填写；body.allow_twin：必须是 true 或 false",
        ),
        ("08:00 to 08:00: hours need a day.", "08:00 至 08:00：时段要有日子。"),
        ("Too many wrong tries. Wait 12 seconds.", "错误次数过多，请等待 12 秒。"),
    ],
)
def test_sentences_keep_their_names_and_numbers(sentence: str, said: str) -> None:
    assert in_chinese(sentence) == said
    assert SAYINGS.said(sentence, "en") == sentence


@pytest.mark.parametrize(
    "sentence", ["", "Nobody ever said that.", "The end: no such thing", "x: " * LONGEST]
)
def test_what_is_not_known_in_a_language_is_not_said_in_it(sentence: str) -> None:
    assert SAYINGS.said(sentence, "zh") is None
    problem = problem_of(errors.PeriodInvalid(sentence))
    assert said_in(problem, "zh", SAYINGS) is None


MANY = ["x" * 99] * 999
WRONG: tuple[Any, ...] = ({}, [], 1.5, -1, 10**9, "", "x" * 9999, None, True, [{}], MANY)


def test_how_long_a_sentence_is_looked_for_grows_with_its_length_only() -> None:
    """`{start} to {end} and …` could be tried in billions of ways."""
    long = " to and" * (LONGEST // 7) + " both hold on x. Make one of them."
    assert SAYINGS.said(long[-LONGEST:], "zh") is None
    nested = "The end: a to b: " * (LONGEST // 20) + "x" + "." * 50
    assert SAYINGS.said(nested, "zh") is None


def wrong_requests(model: type[BaseModel]) -> Iterator[ValidationError]:
    """What pydantic says of each field with each wrong value, as JSON brings it."""
    for data in (*({name: wrong} for name in model.model_fields for wrong in WRONG), {"other": 1}):
        try:
            model.model_validate_json(json.dumps(data))
        except ValidationError as error:
            yield error
        except OstiaryError as error:
            in_chinese(error.message)


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_whatever_is_wrong_with_a_command_is_said_in_chinese(name: str) -> None:
    for error in wrong_requests(COMMANDS[name].request):
        for problem in error.errors(include_input=False, include_url=False):
            in_chinese(settings.in_words(problem))


@pytest.mark.parametrize("name", ["Ａnna", "a​b", "x" * 65, "", "a/b", "☺", "Anna  B", "a\tb"])
def test_what_is_wrong_with_a_name_is_said_in_chinese(name: str) -> None:
    with pytest.raises(OstiaryError) as refused:
        new_username(name)
    in_chinese(refused.value.message)


@pytest.mark.parametrize(
    "text",
    [
        "name\na\na\n",
        "name,until\na,1/2/2027\n",
        "name,until\na,2027-13-01\n",
        "name\na,b\n",
        "nom\na\n",
        "name,name\na,b\n",
        "name,colour\na,b\n",
        "name\n\0",
        "name\n\ufffd",
        "name\n" + "a" * 200_000,
    ],
)
def test_what_is_wrong_with_a_list_is_said_in_chinese(text: str) -> None:
    try:
        problem = read_list(text.encode())[-1].problem
    except OstiaryError as error:
        problem = error.message
    in_chinese(problem or "")


@pytest.mark.parametrize(
    "values",
    [
        {"votes": 7, "window": 5},
        {"live_threshold": 0.1},
        {"votes": 0},
        {"false_accept": 2.0, "attack_threshold": 9.0},
    ],
)
def test_what_is_wrong_with_thresholds_is_said_in_chinese(values: dict[str, float]) -> None:
    with pytest.raises(OstiaryError) as refused:
        adjusted(settings.AccessSettings(), values)
    in_chinese(refused.value.message)
