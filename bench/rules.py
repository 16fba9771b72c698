"""Measures how many rulings a second: who of 1,000 people may pass which of four doors now.

Twenty rules with hours in a time zone with summer time. The reference rules each time anew, without
remembering until when a ruling holds. A ruling must not take longer than a microsecond: a million a
second. As at a real door, time goes on, here by a quarter of a second each.
"""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from bench.harness import Line, Measure, compare
from ostiary.decision.rules import Calendar, PersonRights, Rule, Rulebook, may
from ostiary.messages.times import Hours
from ostiary.messages.words import WEEK

PEOPLE = 1_000
DOORS = ("front", "back", "server", "garage")
RULES = 20
ROUNDS = 20
A_CALL = 20_000
"""Rulings in one measured call."""
AT_MOST_US = 1.0
START = datetime(2026, 11, 25, 7, 59, tzinfo=UTC)


def run() -> Iterator[Line | Measure]:
    book, questions = of_a_house()
    moments = [START + timedelta(milliseconds=250 * each) for each in range(A_CALL)]
    names = [(name, door, book.people[name]) for name, door in questions]

    def ours() -> None:
        ask = book.may
        for (name, door), moment in zip(questions, moments, strict=True):
            ask(name, door, moment)

    def anew() -> None:
        for (_, door, person), moment in zip(names, moments, strict=True):
            may(person, door, moment, book.rules, book.calendar)

    wrong = sum(
        book.may(name, door, moment) != may(person, door, moment, book.rules, book.calendar)
        for (name, door, person), moment in zip(names, moments, strict=True)
    )
    line = compare("ruling_vs_anew", ours, anew, ROUNDS, float(wrong))
    yield line
    yield Measure("ruling", 1000 * line.ours_ms / A_CALL, "µs", AT_MOST_US)


def of_a_house() -> tuple[Rulebook, list[tuple[str, str]]]:
    """A house's rulebook, and `A_CALL` questions in no order."""
    chance = random.Random(11)
    groups = [f"group {number}" for number in range(RULES)]
    rules = []
    for group in groups:
        days = frozenset(chance.sample(WEEK, 5))
        start, end = chance.choice([(480, 1080), (360, 840), (1320, 360), (1080, 1200)])
        doors = frozenset(chance.sample(DOORS, 2))
        rules.append(Rule(group, frozenset({group}), doors, (Hours(days, start, end),)))
    people = {
        f"person {number}": PersonRights(frozenset(chance.sample(groups, 2)))
        for number in range(PEOPLE)
    }
    questions = [(chance.choice(list(people)), chance.choice(DOORS)) for _ in range(A_CALL)]
    return Rulebook(Calendar(ZoneInfo("Europe/Berlin")), tuple(rules), people), questions
