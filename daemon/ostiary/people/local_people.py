"""People of the site at this door: their names, templates and rules."""

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
"""How many digits of the site's id tell two people of one name apart."""

ReadStored = Callable[[str], SitePerson]


class LocalPeople:
    """Registers, changes and removes people of the site here. Call it inside
    `People.changing()`."""

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
        """A person's templates for other doors, with those of `also` whose recogniser is unknown
        here."""
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
        """A person's groups and period for other doors; None where there are none."""
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
        """Register or change a person; their name here. None, and the person is removed, where no
        template can be kept or this version does not know their rules.

        Of two people of the site with one name the one enrolled first has it, and the other has
        some digits of their id behind it, at every door. This door's own people keep their names.
        Raises UsernameInvalid, DescriptorInvalid, DatabaseUnwritable.
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
        """Remove a person; nothing happens for one who is not here."""
        name = self._store.username_of(person)
        if name is not None:
            self._people.forget(name)
            self.name_is_free(name)

    def name_for_all(self, person: str, username: str, before: SitePerson) -> str:
        """The name for other doors: without the digits, where a person has them only here."""
        return before.name if username == _marked(before.name, person) else username

    def drop_unplaced(self) -> None:
        """Forget people of the site without a template here, so that they are read again."""
        self._store.remove_unplaced()

    def _is_late(self, rival: str, content: SitePerson, now: datetime) -> bool:
        """Whether `content` is dated before the rival was heard of, though it came long after."""
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
        """Give a free name to the person who was enrolled first of those with digits behind it."""
        waiting = [
            person
            for person in self._marked.get(_base(name), ())
            if self._store.username_of(person) == _marked(name, person)
        ]
        if waiting and not self._people.has(name):
            first = min(waiting, key=self._age)
            self._people.set_name(_marked(name, first), name)

    def _age(self, person: str) -> tuple[str, str]:
        """A key that sorts people by when they were enrolled; unreadable ones come last."""
        try:
            return self._read_stored(person).enrolled, person
        except Refused:
            return "~", person


def _stored_rules(rules: PersonRules | None) -> StoredPerson | None:
    """The rules as they are stored; None where this version does not know their format."""
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
