"""Who somebody of the site is at this door: name, templates and rules."""

import json
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from pydantic import ValidationError

from ostiary.crypto.identity import from_text, to_text
from ostiary.errors import DescriptorInvalid
from ostiary.messages.username import LONGEST, new_username
from ostiary.messages.words import RECOGNIZERS
from ostiary.people.people import People
from ostiary.site.envelope import AHEAD_MS
from ostiary.site.members import Refused
from ostiary.site.person import (
    RULES_FORMAT,
    PersonAccess,
    PersonRules,
    PersonTemplate,
    SitePerson,
)
from ostiary.site.versions import Version
from ostiary.store.descriptor import Descriptor, from_bytes, to_float32_bytes
from ostiary.store.rules import RuleStore, StoredPerson
from ostiary.store.site import SiteStore
from ostiary.store.users import StoredTemplate

SOURCE = "site"
_MARK = 4
"""Digits of the id that tell apart two people of one name."""

ReadStored = Callable[[str], SitePerson]


class LocalPeople:
    """Call it inside `People.changing()`."""

    def __init__(self, store: SiteStore, people: People, read_stored: ReadStored) -> None:
        self._store = store
        self._people = people
        self._read_stored = read_stored
        self._rules = RuleStore(store.database)
        self._marked: dict[str, set[str]] = {}  # who has digits behind the name, by the name
        for person, username in store.usernames():
            if username.endswith(f" {person[:_MARK]}"):
                self._marked.setdefault(username[: -_MARK - 1], set()).add(person)

    def templates_of(
        self, username: str, also: Iterable[PersonTemplate] = ()
    ) -> tuple[PersonTemplate, ...]:
        """What other doors are to know; of `also` those of recognisers unknown here are kept."""
        own = tuple(
            PersonTemplate(
                recognizer=each.recognizer,
                descriptor=to_text(to_float32_bytes(each.descriptor)),
                quality=each.quality,
            )
            for each in self._people.templates_of(username)
        )
        return own + tuple(each for each in also if each.recognizer not in RECOGNIZERS)

    def rules_of(self, username: str) -> PersonRules | None:
        """Groups and period; None: nothing is ruled."""
        person = self._rules.person(username)
        if person == StoredPerson():
            return None
        access = PersonAccess(
            groups=tuple(sorted(person.groups)),
            valid_from=person.valid_from,
            valid_until=person.valid_until,
        )
        return PersonRules(format=RULES_FORMAT, content=access.model_dump(mode="json"))

    def place(self, person: str, content: SitePerson, now: datetime) -> str | None:
        """Register or change somebody; their name here, None where no template can be kept, or
        where it cannot be told when they may pass.

        Of two people of the site with one name the one who was enrolled first has it, and the other
        one has a few digits of their id behind it: so at every door. This door's own people keep
        theirs. Raises UsernameInvalid, DescriptorInvalid, DatabaseUnwritable.
        """
        templates = [
            StoredTemplate(each.recognizer, _descriptor(each), SOURCE, each.quality)
            for each in content.templates
            if each.recognizer in RECOGNIZERS
        ]
        before = self._store.username_of(person)
        rules = _stored_rules(content.rules)
        if not templates or rules is None:
            self.remove(person)
            return None
        name = self._free_name(person, content, before, now)
        self._people.import_from_site(name, templates, now, known_as=before)
        if rules != (StoredPerson() if before is None else self._rules.person(name)):
            for group in rules.groups:
                self._rules.add_group(group)
            self._rules.put_person(name, rules)
            self._people.refresh_followers()
        if before is not None and name != before:
            self.name_is_free(before)
        return name

    def remove(self, person: str) -> None:
        """Nothing happens for somebody who is not here."""
        name = self._store.username_of(person)
        if name is not None:
            self._people.forget(name)
            self.name_is_free(name)

    def name_for_all(self, person: str, username: str, before: SitePerson) -> str:
        """The name to tell others: without the digits, where somebody has them only here."""
        return before.name if username == _marked(before.name, person) else username

    def drop_unplaced(self) -> None:
        """Of whom there is no template here, or who was left out of a backup: they come again."""
        self._store.remove_unplaced()

    def _is_late(self, rival: str, content: SitePerson, now: datetime) -> bool:
        """Whether somebody is said to have been enrolled long ago, of whom nobody knew while the
        other one was here."""
        heard_at, enough = self._store.heard_of(rival), timedelta(milliseconds=AHEAD_MS)
        if heard_at is None or now - heard_at < enough:
            return False
        return Version.parse(content.enrolled).millis < int((now - enough).timestamp() * 1000)

    def _free_name(
        self, person: str, content: SitePerson, before: str | None, now: datetime
    ) -> str:
        name = new_username(content.name)
        if before == name or not self._people.has(name):
            return name
        rival = self._store.person_of(name)
        if (
            rival is None
            or self._age(rival) < (content.enrolled, person)
            or self._is_late(rival, content, now)
        ):
            return self._mark(name, person)
        self._people.set_name(name, self._mark(name, rival))
        return name

    def _mark(self, name: str, person: str) -> str:
        self._marked.setdefault(_base(name), set()).add(person)
        return _marked(name, person)

    def name_is_free(self, name: str) -> None:
        """Whoever had to have digits behind it has the name now: the one enrolled first."""
        waiting = [
            person
            for person in self._marked.get(_base(name), ())
            if self._store.username_of(person) == _marked(name, person)
        ]
        if waiting and not self._people.has(name):
            first = min(waiting, key=self._age)
            self._people.set_name(_marked(name, first), name)

    def _age(self, person: str) -> tuple[str, str]:
        """Who sorts first was enrolled first; last, of whom that cannot be read."""
        try:
            return self._read_stored(person).enrolled, person
        except Refused:
            return "~", person


def _stored_rules(rules: PersonRules | None) -> StoredPerson | None:
    """None: this version does not know what is meant."""
    if rules is None:
        return StoredPerson()
    if rules.format != RULES_FORMAT:
        return None
    try:
        access = PersonAccess.model_validate_json(json.dumps(rules.content))
    except ValidationError:
        return None
    return StoredPerson(frozenset(access.groups), access.valid_from, access.valid_until)


def _descriptor(template: PersonTemplate) -> Descriptor:
    try:
        return from_bytes(from_text(template.descriptor))
    except ValueError as error:
        raise DescriptorInvalid("The descriptor is not in base64.") from error


def _base(name: str) -> str:
    return name[: LONGEST - _MARK - 1].rstrip()


def _marked(name: str, person: str) -> str:
    return f"{_base(name)} {person[:_MARK]}"
