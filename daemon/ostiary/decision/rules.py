"""Who may pass which door, and when: groups, rules, hours, and a person's first and last moment.

Whoever is in no group passes every door at any time, as it was before there were groups
(`ungrouped` says otherwise). Whoever is in a group passes where and when a rule of their groups
lets them, and nowhere else. Where several rules do, what the strictest of them asks is asked.

A door is named by its camera. Hours are what the clock on the wall shows: an hour that a clock
change leaves out does not come, and one that it repeats comes twice.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from types import MappingProxyType

from ostiary.messages.times import MINUTES_A_DAY, Hours
from ostiary.messages.words import WEEK, Day, Factor, Reason

_STRICTNESS = (Factor.CARD, Factor.PIN, Factor.FACE, Factor.FACE_AND_CARD, Factor.FACE_AND_PIN)
_FIRST = datetime.min.replace(tzinfo=UTC)
_LAST = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Calendar:
    """The site's time zone and its holidays, by local date."""

    zone: tzinfo
    holidays: frozenset[date] = frozenset()

    def day(self, on: date) -> Day:
        return Day.HOLIDAY if on in self.holidays else WEEK[on.weekday()]

    def place(self, moment: datetime) -> tuple[Day, Day, int]:
        """The day, the day before it, and the minute of the day that clocks show at `moment`."""
        local = moment.astimezone(self.zone)
        today = local.date()
        before = today - timedelta(days=1) if today > date.min else today
        return self.day(today), self.day(before), local.hour * 60 + local.minute


def moment_of(text: str, zone: tzinfo, *, is_end: bool = False) -> datetime:
    """The moment, aware and in UTC, that people write as RFC 3339 or, without an offset, by the
    clocks of `zone`. A date alone is its first moment, or as an end its last. ValueError for other
    texts."""
    text = text.strip()
    moment = datetime.fromisoformat(text)
    if "T" not in text.upper() and " " not in text:
        on = moment.date() + timedelta(days=1) if is_end else moment.date()
        return datetime.combine(on, time(), zone).astimezone(UTC)
    moment = moment.replace(tzinfo=zone) if moment.tzinfo is None else moment
    return moment.astimezone(UTC)


def text_of(moment: datetime, zone: tzinfo, *, is_end: bool = False) -> str:
    """The text by the clocks of `zone` that `moment_of` reads as `moment`: the date alone where
    that is enough, 2026-11-30 for an end at the midnight after it."""
    local = moment.astimezone(zone)
    on = local.date() - timedelta(days=1) if is_end else local.date()
    if moment_of(on.isoformat(), zone, is_end=is_end) == moment:
        return on.isoformat()
    return local.replace(tzinfo=None).isoformat(timespec="minutes")


def overlap(one: Hours, other: Hours) -> Day | None:
    """A day on which both hours hold at once, a holiday included; None where they never do.

    Of hours that go over midnight, the part after it counts as the next day of the week. Days
    before and after a holiday are not looked at.
    """
    taken = _minutes(one)
    for day, start, end in _minutes(other):
        if any(day is each and start < until and since < end for each, since, until in taken):
            return day
    return None


def _minutes(hours: Hours) -> list[tuple[Day, int, int]]:
    parts = []
    for day in hours.days:
        if not hours.is_overnight:
            parts.append((day, hours.start, hours.end))
            continue
        parts.append((day, hours.start, MINUTES_A_DAY))
        if day is not Day.HOLIDAY:
            parts.append((WEEK[(WEEK.index(day) + 1) % 7], 0, hours.end))
    return parts


@dataclass(frozen=True, slots=True)
class Ruling:
    """What the rules say of one person before one door.

    `reason` is GRANTED or why not. `needs` is what has to be shown; `alone` has PIN or card where
    these are enough without a face. `step_up`: a challenge is asked, too. `two_person`: another
    person who may pass has to follow. `anti_passback`: not in again before out.
    """

    reason: Reason = Reason.GRANTED
    needs: Factor = Factor.FACE
    alone: frozenset[Factor] = frozenset()
    step_up: bool = False
    two_person: bool = False
    anti_passback: bool = False

    @property
    def allowed(self) -> bool:
        return self.reason is Reason.GRANTED


ALWAYS = Ruling()


@dataclass(frozen=True, slots=True)
class Rule:
    """These groups pass these doors (none named: every door) in these hours (none: at any time),
    from `valid_from` until before `valid_until`, both aware."""

    name: str
    groups: frozenset[str]
    doors: frozenset[str] = frozenset()
    hours: tuple[Hours, ...] = ()
    needs: Factor = Factor.FACE
    step_up: bool = False
    two_person: bool = False
    anti_passback: bool = False
    valid_from: datetime | None = None
    valid_until: datetime | None = None

    @property
    def asks_the_clock(self) -> bool:
        return bool(self.hours) or self.valid_from is not None or self.valid_until is not None

    def is_for(self, groups: frozenset[str], door: str | None) -> bool:
        """Whether it lets somebody of `groups` pass `door` (None: any door) at some time."""
        return not groups.isdisjoint(self.groups) and (
            door is None or not self.doors or door in self.doors
        )

    def holds(self, moment: datetime, calendar: Calendar) -> bool:
        if not _is_valid(self.valid_from, self.valid_until, moment):
            return False
        if not self.hours:
            return True
        place = calendar.place(moment)
        return any(hours.hold(*place) for hours in self.hours)


@dataclass(frozen=True, slots=True)
class PersonRights:
    """A person's groups. The person may pass from `valid_from` until before `valid_until`, both
    aware."""

    groups: frozenset[str] = frozenset()
    valid_from: datetime | None = None
    valid_until: datetime | None = None

    @property
    def asks_the_clock(self) -> bool:
        return self.valid_from is not None or self.valid_until is not None


NOBODY_SPECIAL = PersonRights()


@dataclass(frozen=True, slots=True)
class _Stretch:
    """A time in which the ruling stays, from `since` to before `until`."""

    since: datetime
    until: datetime
    ruling: Ruling


@dataclass(frozen=True)
class Rulebook:
    """All rules, groups and periods as they are now. `people` has only people with a group or a
    period.

    Rulings are remembered until they may change, so that `may` is mostly a look-up. A change of the
    rules makes a new book.
    """

    calendar: Calendar
    rules: tuple[Rule, ...] = ()
    people: Mapping[str, PersonRights] = field(default_factory=lambda: MappingProxyType({}))
    ungrouped: bool = True
    _known: dict[tuple[str, str | None], _Stretch] = field(
        default_factory=dict, compare=False, repr=False
    )

    def may(
        self, username: str, door: str | None, moment: datetime, *, clock_trusted: bool = True
    ) -> Ruling:
        """The ruling of `may` below, from memory where it still holds. `moment` is aware."""
        if not clock_trusted:
            return self._judged(username, door, moment, clock_trusted=False)
        known = self._known.get((username, door))
        if known is not None and known.since <= moment < known.until:
            return known.ruling
        ruling = self._judged(username, door, moment, clock_trusted=True)
        since, until = self._unchanging(username, door, moment)
        self._known[(username, door)] = _Stretch(since, until, ruling)
        return ruling

    def ever(self, username: str, door: str | None, now: datetime) -> bool:
        """Whether the person may pass at some time from `now` on."""
        person = self.people.get(username, NOBODY_SPECIAL)
        if person.valid_until is not None and person.valid_until <= now:
            return False
        if not person.groups:
            return self.ungrouped
        return any(
            rule.is_for(person.groups, door)
            and (rule.valid_until is None or rule.valid_until > now)
            for rule in self.rules
        )

    def _judged(
        self, username: str, door: str | None, moment: datetime, *, clock_trusted: bool
    ) -> Ruling:
        person = self.people.get(username, NOBODY_SPECIAL)
        return may(
            person,
            door,
            moment,
            self.rules,
            self.calendar,
            clock_trusted=clock_trusted,
            ungrouped=self.ungrouped,
        )

    def _unchanging(
        self, username: str, door: str | None, moment: datetime
    ) -> tuple[datetime, datetime]:
        """From when until before when the ruling stays as at `moment`; empty around a clock change,
        where judging anew is simpler."""
        person = self.people.get(username, NOBODY_SPECIAL)
        rules = [rule for rule in self.rules if rule.is_for(person.groups, door)]
        since, until = _FIRST, _LAST
        if any(rule.hours for rule in rules):
            since, until = self._same_hours(rules, moment)
        marks = [person.valid_from, person.valid_until]
        marks += [mark for rule in rules for mark in (rule.valid_from, rule.valid_until)]
        for mark in marks:
            if mark is not None and mark <= moment:
                since = max(since, mark)
            elif mark is not None:
                until = min(until, mark)
        return since, until

    def _same_hours(self, rules: Sequence[Rule], moment: datetime) -> tuple[datetime, datetime]:
        zone = self.calendar.zone
        local = moment.astimezone(zone)
        offset = local.utcoffset() or timedelta()
        turns = {0, MINUTES_A_DAY}
        turns.update(
            turn for rule in rules for each in rule.hours for turn in (each.start, each.end)
        )
        minute = local.hour * 60 + local.minute
        midnight = local.replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=UTC)
        try:
            since = midnight + timedelta(minutes=max(t for t in turns if t <= minute)) - offset
            until = midnight + timedelta(minutes=min(t for t in turns if t > minute)) - offset
            ends = (since, until - timedelta.resolution)
            if any(end.astimezone(zone).utcoffset() != offset for end in ends):
                return moment, moment
        except OverflowError:
            return moment, moment
        return since, until


def may(
    person: PersonRights,
    door: str | None,
    moment: datetime,
    rules: Iterable[Rule],
    calendar: Calendar,
    *,
    clock_trusted: bool = True,
    ungrouped: bool = True,
) -> Ruling:
    """Whether `person` may pass `door` (None: any door) at `moment`, which is aware, and what has
    to be shown. By a clock that is not trusted, people with certain times only do not pass."""
    if person.asks_the_clock and not clock_trusted:
        return Ruling(Reason.CLOCK_UNTRUSTED)
    if person.valid_until is not None and moment >= person.valid_until:
        return Ruling(Reason.EXPIRED)
    if person.valid_from is not None and moment < person.valid_from:
        return Ruling(Reason.NOT_YET_VALID)
    if not person.groups:
        return ALWAYS if ungrouped else Ruling(Reason.NOT_ALLOWED_HERE)
    here = [rule for rule in rules if rule.is_for(person.groups, door)]
    if not here:
        return Ruling(Reason.NOT_ALLOWED_HERE)
    if not clock_trusted:
        if all(rule.asks_the_clock for rule in here):
            return Ruling(Reason.CLOCK_UNTRUSTED)
        return _strictest(here)  # whatever hour it is, no rule's demand is left out
    holding = [rule for rule in here if rule.holds(moment, calendar)]
    return _strictest(holding) if holding else Ruling(Reason.OUTSIDE_SCHEDULE)


def newly_shut(
    before: Rulebook, after: Rulebook, everybody: Iterable[str], doors: Iterable[str], now: datetime
) -> tuple[str, ...]:
    """Doors that somebody of `everybody` may pass, now or later, by the book `before`, and nobody
    by the book `after`."""
    names = tuple(everybody)

    def is_open(book: Rulebook, door: str) -> bool:
        return any(book.ever(name, door, now) for name in names)

    return tuple(door for door in doors if is_open(before, door) and not is_open(after, door))


def _strictest(rules: Sequence[Rule]) -> Ruling:
    factors = {rule.needs for rule in rules}
    return Ruling(
        needs=max(factors, key=_STRICTNESS.index),
        alone=frozenset(each for each in factors if not each.has_face),
        step_up=any(rule.step_up for rule in rules),
        two_person=any(rule.two_person for rule in rules),
        anti_passback=any(rule.anti_passback for rule in rules),
    )


def _is_valid(since: datetime | None, until: datetime | None, moment: datetime) -> bool:
    return (since is None or since <= moment) and (until is None or moment < until)
