"""The list of people, a page at a time: whoever is not on the page costs no look into the store."""

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode

from ostiary.errors import UserUnknown
from ostiary.http.parts import ConsoleParts
from ostiary.store.users import User

A_PAGE = 60
NO_GROUP = ";"
"""Stands for those who are in no group: it may be in no group's name."""


@dataclass(frozen=True, slots=True)
class PeopleWanted:
    """Who is looked for: part of a name, a group or `NO_GROUP`, people with one template only. An
    empty one asks nothing."""

    q: str = ""
    group: str = ""
    one: bool = False

    @property
    def everybody(self) -> bool:
        return self == PeopleWanted()

    def url(self, page: int) -> str:
        asked = {"q": self.q, "group": self.group, "one": "1" if self.one else ""}
        kept = {key: value for key, value in asked.items() if value}
        return f"./people?{urlencode({**kept, 'page': page})}"


@dataclass(frozen=True, slots=True)
class PersonCard:
    """One card. `is_over`: their time is."""

    user: User
    groups: tuple[str, ...]
    valid_until: datetime | None
    is_over: bool


@dataclass(frozen=True, slots=True)
class PeoplePage:
    """`found` of `count` people are wanted; those on this page are the `first` and following."""

    people: tuple[PersonCard, ...]
    first: int
    found: int
    count: int
    page: int

    @property
    def last(self) -> int:
        return min(self.first + A_PAGE - 1, self.found)

    @property
    def pages(self) -> int:
        return max(1, -(-self.found // A_PAGE))


def people_page(parts: ConsoleParts, wanted: PeopleWanted, page: int) -> PeoplePage:
    """The page of that number, from 1, or the last one where there are fewer."""
    everybody = parts.people.names()
    text, stored, roster = wanted.q.casefold(), parts.rules.stored.people, parts.people.roster

    def in_group(name: str) -> bool:
        own = stored[name].groups if name in stored else frozenset[str]()
        return not own if wanted.group == NO_GROUP else wanted.group in own

    found = [
        name
        for name in everybody
        if text in name.casefold()
        and (not wanted.group or in_group(name))
        and (not wanted.one or roster.has_one_template(name))
    ]
    number = max(1, min(page, -(-len(found) // A_PAGE)))
    start = (number - 1) * A_PAGE
    people = []
    for name in found[start : start + A_PAGE]:
        with suppress(UserUnknown):  # deleted meanwhile
            people.append(_listed(parts, parts.people.get(name)))
    return PeoplePage(tuple(people), start + 1, len(found), len(everybody), number)


def _listed(parts: ConsoleParts, user: User) -> PersonCard:
    own = parts.rules.person(user.username)
    until = own.valid_until
    over = until is not None and until <= parts.clock()
    return PersonCard(user, tuple(sorted(own.groups)), until, over)
