"""Keeps the rules: the store, and the rulebook in force, which follows it."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import partial

import structlog

from ostiary.decision.rules import (
    Calendar,
    PersonRights,
    Rule,
    Rulebook,
    Ruling,
    moment_of,
    newly_shut,
    overlap,
)
from ostiary.errors import (
    CameraUnknown,
    GroupExists,
    GroupInUse,
    GroupUnknown,
    LocksEverybodyOut,
    OstiaryError,
    PeriodInvalid,
    RuleExists,
    RuleUnknown,
    ScheduleInvalid,
    ScheduleOverlaps,
)
from ostiary.messages.commands.rules import AccessRule, Allowance
from ostiary.messages.times import Hours, iso_moment
from ostiary.people.people import People
from ostiary.settings import Settings
from ostiary.store.rules import RuleStore, Stored, StoredPerson

log = structlog.get_logger(__name__)

EXPIRY = "expiry"
"""The source of a deletion because the person's period was over."""


@dataclass(frozen=True, slots=True)
class Kept:
    """Stored rules and the rulebook that they make. `rules`: by name, with their numbers."""

    stored: Stored
    rules: Mapping[str, tuple[int, AccessRule]]
    book: Rulebook

    def person(self, username: str) -> StoredPerson:
        return self.stored.people.get(username, StoredPerson())

    def by_name(self) -> tuple[AccessRule, ...]:
        return tuple(rule for _, (_, rule) in sorted(self.rules.items()))


class RuleService:
    """Keeps and applies the rules. Changes go to the store first, and into force once committed;
    call them in a transaction of `People.changing`. Every method may be called from any thread."""

    def __init__(
        self,
        people: People,
        settings: Settings,
        clock: Callable[[], datetime],
        clock_trusted: Callable[[], bool],
    ) -> None:
        self._people = people
        self._settings = settings.rules
        self._clock = clock
        self._always_trusted = settings.clock.trust == "always"
        self._synchronised = clock_trusted
        self._store = RuleStore(people.database)
        self.zone = settings.rules.zone
        self.doors = tuple(camera.name for camera in settings.cameras)
        self._kept = self._read()
        people.follow(self._read_anew)

    @property
    def kept(self) -> Kept:
        """The rules in force."""
        return self._kept

    @property
    def stored(self) -> Stored:
        return self._kept.stored

    @property
    def book(self) -> Rulebook:
        return self._kept.book

    @property
    def timezone(self) -> str:
        return self.zone.key

    @property
    def without_group(self) -> str:
        return self._settings.without_group

    def rules(self) -> tuple[AccessRule, ...]:
        """All rules, sorted by name."""
        return self._kept.by_name()

    def clock_trusted(self) -> bool:
        return self._always_trusted or self._synchronised()

    def ruling(self, username: str, door: str | None, book: Rulebook | None = None) -> Ruling:
        """The ruling at this moment. `door` None: of any door; `book` None: by the one in force."""
        trusted = self.clock_trusted()
        return (book or self.book).may(username, door, self._clock(), clock_trusted=trusted)

    def person(self, username: str) -> StoredPerson:
        return self._kept.person(username)

    def changed(self, person: StoredPerson, asked: Allowance) -> StoredPerson:
        """`person` with the fields that are asked for; the others stay. Raises GroupUnknown,
        PeriodInvalid."""
        said = asked.model_fields_set
        since, until = self.period(asked.valid_from, asked.valid_until)
        groups = frozenset(asked.groups) if "groups" in said else person.groups
        since = since if "valid_from" in said else person.valid_from
        until = until if "valid_until" in said else person.valid_until
        self.check_groups(groups)
        _check_order(since, until)
        return StoredPerson(groups, since, until)

    def local(self, moment: datetime | None) -> str | None:
        """A moment by the site's clocks, as people read it; None stays None."""
        if moment is None:
            return None
        return moment.astimezone(self.zone).isoformat(timespec="minutes")

    def period(
        self, since: str | None, until: str | None
    ) -> tuple[datetime | None, datetime | None]:
        """The beginning and end of a period, as people write them. Raises PeriodInvalid."""
        first = self._moment(since, "beginning")
        last = self._moment(until, "end")
        _check_order(first, last)
        return first, last

    # changes; each in the caller's transaction

    def set_group(self, name: str, new_name: str | None) -> str:
        """Add a group, or rename one; its name now. Raises GroupUnknown, GroupExists."""
        groups = self.stored.groups
        if new_name is None:
            self._store.add_group(name)
            self._changed(confirm=True)
            return name
        self.check_groups([name])
        if new_name != name and new_name in groups:
            raise GroupExists(f"There is a group {new_name} already.")
        self._store.rename_group(name, new_name)
        self._changed(confirm=True)
        return new_name

    def delete_group(self, name: str) -> None:
        """Delete a group. Raises GroupUnknown, GroupInUse."""
        self.check_groups([name])
        members = sum(name in person.groups for person in self.stored.people.values())
        rules = [rule.name for rule in self.rules() if name in rule.groups]
        if members or rules:
            raise GroupInUse(
                f"{members} people are in {name}, and {len(rules)} rules are about it"
                f"{': ' if rules else ''}{', '.join(rules)}. Change them first."
            )
        self._store.delete_group(name)
        self._changed(confirm=True)

    def set_rule(self, rule: AccessRule, replaces: str | None, *, confirm: bool) -> AccessRule:
        """Add a rule, or put it in place of `replaces`; the rule as it is kept. Raises
        GroupUnknown, CameraUnknown, RuleUnknown, RuleExists, ScheduleInvalid, ScheduleOverlaps,
        PeriodInvalid, LocksEverybodyOut."""
        self.check_groups(rule.groups)
        if unknown := set(rule.doors or ()) - set(self.doors):
            raise CameraUnknown(
                f"There is no camera {min(unknown)}. There are: {', '.join(self.doors)}."
            )
        since, until = self.period(rule.valid_from, rule.valid_until)
        hours_of(rule)
        rule = rule.model_copy(
            update={
                "groups": tuple(sorted(set(rule.groups))),
                "valid_from": self.local(since),
                "valid_until": self.local(until),
            }
        )
        known = self._kept.rules
        if replaces is not None and replaces not in known:
            raise RuleUnknown(f"There is no rule {replaces}.")
        if replaces not in (None, rule.name) and rule.name in known:
            raise RuleExists(f"There is a rule {rule.name} already.")
        number, _ = known.get(replaces or rule.name, (None, rule))
        self._store.put_rule(number, _content(rule, since, until), rule.groups)
        self._changed(confirm=confirm)
        return rule

    def delete_rule(self, name: str, *, confirm: bool) -> None:
        """Delete a rule. Raises RuleUnknown, LocksEverybodyOut."""
        if name not in self._kept.rules:
            raise RuleUnknown(f"There is no rule {name}.")
        number, _ = self._kept.rules[name]
        self._store.delete_rule(number)
        self._changed(confirm=confirm)

    def set_holidays(self, holidays: Mapping[date, str]) -> None:
        self._store.put_holidays(holidays)
        self._changed(confirm=True)

    def set_person(
        self,
        username: str,
        asked: Allowance,
        source: str,
        *,
        confirm: bool,
    ) -> Kept:
        """Change a person's groups and period; the rules in force after the commit. Raises
        UserUnknown, GroupUnknown, PeriodInvalid, LocksEverybodyOut."""
        name = self._people.get(username).username
        self._store.put_person(name, self.changed(self._store.person(name), asked))
        self._people.updated(name, self._clock(), source=source)
        return self._changed(confirm=confirm)

    def remove_ended(self) -> int:
        """Delete people whose period was over long enough ago, where this door may change them; how
        many. While the clock is not trusted, nobody is deleted."""
        if not self.clock_trusted():
            return 0
        now = self._clock()
        over = now - timedelta(days=self._settings.remove_ended_after_days)
        ended = [
            name
            for name, person in self.stored.people.items()
            if person.valid_until is not None and person.valid_until <= over
            if self._people.has(name) and self._people.may_change(name)
        ]
        for name in ended:
            self._people.delete(name, now, source=EXPIRY)
        return len(ended)

    def _moment(self, text: str | None, what: str) -> datetime | None:
        if text is None:
            return None
        try:
            written = iso_moment(text)
        except ValueError as error:
            raise PeriodInvalid(f"The {what}: {error}") from None
        try:
            return moment_of(written, self.zone, is_end=what == "end")
        except (ValueError, OverflowError):
            raise PeriodInvalid(
                f"The {what} is no moment: write 2026-12-24, 2026-12-24T18:00 or with an offset."
            ) from None

    def check_groups(self, names: Iterable[str]) -> None:
        """Raise GroupUnknown for a name that is no group."""
        unknown = sorted(set(names) - self.stored.groups)
        if unknown:
            known = ", ".join(sorted(self.stored.groups)) or "none yet"
            raise GroupUnknown(f"There is no group {unknown[0]}. There are: {known}.")

    def _changed(self, *, confirm: bool) -> Kept:
        """Put into force, with the commit, what this transaction wrote. Raises
        LocksEverybodyOut."""
        after = self._read()
        if not confirm:
            everybody = [user.username for user in self._people.list()]
            shut = newly_shut(self.book, after.book, everybody, self.doors, self._clock())
            if shut:
                raise LocksEverybodyOut(
                    f"Then nobody could pass {', '.join(shut)} any more. If that is meant, "
                    "confirm it."
                )
        self._people.after_commit(partial(self._use, after))
        return after

    def _use(self, kept: Kept) -> None:
        self._kept = kept

    def _read_anew(self) -> None:
        self._kept = self._read()

    def _read(self) -> Kept:
        stored = self._store.read()
        rules: dict[str, tuple[int, AccessRule]] = {}
        made = []
        for each in stored.rules:
            try:
                content = json.loads(each.content)
                rule = AccessRule.model_validate({**content, "groups": sorted(each.groups)})
                made.append(_rule(rule))
            except (ValueError, TypeError, OstiaryError) as error:  # it lets nobody pass then
                log.error("rule_not_read", rule=each.id, error=type(error).__name__)
                continue
            local = {
                end: self.local(datetime.fromisoformat(text))
                for end in ("valid_from", "valid_until")
                if (text := content.get(end)) is not None
            }
            rules[rule.name] = (each.id, rule.model_copy(update=local))
        people = {
            name: PersonRights(person.groups, person.valid_from, person.valid_until)
            for name, person in stored.people.items()
        }
        calendar = Calendar(self.zone, frozenset(stored.holidays))
        ungrouped = self._settings.without_group == "always"
        return Kept(stored, rules, Rulebook(calendar, tuple(made), people, ungrouped))


def _check_order(since: datetime | None, until: datetime | None) -> None:
    if since is not None and until is not None and until <= since:
        raise PeriodInvalid("The end has to come after the beginning.")


def hours_of(rule: AccessRule) -> tuple[Hours, ...]:
    """The hours of a rule. Raises ScheduleInvalid, ScheduleOverlaps."""
    if rule.hours is None:
        return ()
    if not rule.hours:
        raise ScheduleInvalid("A rule without hours lets nobody pass; null means at any time.")
    hours = []
    for each in rule.hours:
        try:
            hours.append(Hours.between(each.days, each.start, each.end))
        except ValueError as error:
            raise ScheduleInvalid(f"{each.start} to {each.end}: {error}.") from None
    for index, one in enumerate(hours):
        for other, said in zip(hours[:index], rule.hours, strict=False):
            day = overlap(one, other)
            if day is not None:
                raise ScheduleOverlaps(
                    f"{rule.hours[index].start} to {rule.hours[index].end} and {said.start} to "
                    f"{said.end} both hold on {day}. Make one of them."
                )
    return tuple(hours)


def _content(rule: AccessRule, since: datetime | None, until: datetime | None) -> str:
    content = rule.model_dump(mode="json", exclude={"groups"})
    for name, at in (("valid_from", since), ("valid_until", until)):
        content[name] = None if at is None else at.astimezone(UTC).isoformat()
    return json.dumps(content, ensure_ascii=False)


def _rule(rule: AccessRule) -> Rule:
    """`rule` as it is stored, with its moments in UTC."""
    since, until = (
        None if at is None else datetime.fromisoformat(at)
        for at in (rule.valid_from, rule.valid_until)
    )
    return Rule(
        name=rule.name,
        groups=frozenset(rule.groups),
        doors=frozenset(rule.doors or ()),
        hours=hours_of(rule),
        needs=rule.needs,
        step_up=rule.step_up,
        two_person=rule.two_person,
        anti_passback=rule.anti_passback,
        valid_from=since,
        valid_until=until,
    )
