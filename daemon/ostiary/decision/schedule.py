"""Weekly hours and holidays, by the clock on the wall."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo

from ostiary.messages.times import MINUTES_A_DAY, Hours
from ostiary.messages.words import WEEK, Day

__all__ = ["MINUTES_A_DAY", "WEEK", "Calendar", "Day", "Hours", "moment_of", "overlap", "text_of"]


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
    """A moment as people write it, aware: RFC 3339, or without an offset by the clocks of `zone`; a
    date alone is its first moment, or as an end its last. ValueError for what is none."""
    text = text.strip()
    moment = datetime.fromisoformat(text)
    if "T" not in text.upper() and " " not in text:
        on = moment.date() + timedelta(days=1) if is_end else moment.date()
        return datetime.combine(on, time(), zone).astimezone(UTC)
    moment = moment.replace(tzinfo=zone) if moment.tzinfo is None else moment
    return moment.astimezone(UTC)


def text_of(moment: datetime, zone: tzinfo, *, is_end: bool = False) -> str:
    """What `moment_of` takes, as people write it by the clocks of `zone`: the date alone where that
    is what it means, 2026-11-30 for an end at the midnight after it."""
    local = moment.astimezone(zone)
    on = local.date() - timedelta(days=1) if is_end else local.date()
    if moment_of(on.isoformat(), zone, is_end=is_end) == moment:
        return on.isoformat()
    return local.replace(tzinfo=None).isoformat(timespec="minutes")


def overlap(one: Hours, other: Hours) -> Day | None:
    """A day of the week, or the holiday, on which both hold at once; None where they never do.

    Of hours that go over midnight, the part after it counts as the next day of the week; what a
    holiday brings before or after it is not looked at.
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
