"""Dates and weekly hours as people write them.

Dates come as spreadsheets of many countries write them. A year comes first or last and has four
digits. With the year first, month and day follow. With dots the day comes first (31.01.2027). With
slashes or hyphens (1/31/2027, 31-01-2027) some countries write the day first and others the month:
a date that can only be one of them is taken, any other is refused. Hours are written as `mon-fri
08:00-18:00`.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, time
from typing import Self

from ostiary.messages.words import WEEK, Day

_DATE = re.compile(
    r"(?P<one>[0-9]{1,4})\s*(?P<mark>[./-])\s*(?P<two>[0-9]{1,2})\s*(?P=mark)\s*(?P<three>[0-9]{1,4})"
    r"\.?(?:[\sT]\s*(?P<time>\S.*))?"
)
_TIME = re.compile(
    r"(?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{2})(?::[0-9]{2}(?:[.,][0-9]+)?)?\s*(?P<half>[AP]M)?",
    re.IGNORECASE,
)


def iso_moment(text: str) -> str:
    """Write a date as 2027-01-31 or 2027-01-31T18:00. Any other text stays as it is. Raises
    ValueError for a date that may be two or none, and says what to write."""
    text = " ".join(text.split())
    found = _DATE.fullmatch(text)
    if found is None:
        return text
    if found["mark"] == "-" and len(found["one"]) == 4 and found["time"]:
        return text  # ISO 8601, maybe with an offset
    on = _date(text, found["mark"], found["one"], found["two"], found["three"]).isoformat()
    return on if found["time"] is None else f"{on}T{_time(text, found['time'])}"


def _date(text: str, mark: str, one: str, two: str, three: str) -> date:
    if len(one) == 4 and len(three) < 3:
        may_be = _dates((one, two, three))
    elif len(three) == 4 and len(one) < 3:
        may_be = _dates((three, two, one), *([] if mark == "." else [(three, one, two)]))
    else:
        raise ValueError(f"{text}: write the year with four digits, as in 2027-01-31.")
    if not may_be:
        raise ValueError(f"{text}: there is no such day; write it as 2027-01-31.")
    if len(may_be) > 1:
        raise ValueError(f"{text} may be {may_be[0]} or {may_be[1]}; write that.")
    return may_be[0]


def _dates(*parts: tuple[str, str, str]) -> list[date]:
    """The dates that exist, each once. `parts` are years, months and days."""
    found = []
    for year, month, day in parts:
        try:
            found.append(date(int(year), int(month), int(day)))
        except ValueError:
            continue
    return list(dict.fromkeys(found))


def _time(text: str, said: str) -> str:
    found = _TIME.fullmatch(said)
    try:
        if found is None:
            raise ValueError
        hour, half = int(found["hour"]), (found["half"] or "").upper()
        if half and not 1 <= hour <= 12:
            raise ValueError
        hour = hour if not half else hour % 12 + (12 if half == "PM" else 0)
        return time(hour, int(found["minute"])).isoformat("minutes")
    except ValueError:
        raise ValueError(f"{text}: write the time as in 2027-01-31T18:00.") from None


MINUTES_A_DAY = 24 * 60
_WRITTEN = re.compile(
    r"(?P<days>[a-z][a-z, -]*?)\s+(?P<start>[0-9]+:[0-9]+)\s*[-–]\s*(?P<end>[0-9]+:[0-9]+)"
)
_CLOCK = re.compile(r"([0-9]{1,2}):([0-9]{2})")


@dataclass(frozen=True, slots=True)
class Hours:
    """Weekly hours: on `days` from the minute `start` to before the minute `end`, counted from
    midnight, 0 to 1440. Where `end` is not after `start`, they go on until that minute of the next
    day, whatever day that is. Raises ValueError for hours that are none."""

    days: frozenset[Day]
    start: int
    end: int

    def __post_init__(self) -> None:
        if not self.days:
            raise ValueError("hours need a day")
        if not (0 <= self.start < MINUTES_A_DAY and 0 < self.end <= MINUTES_A_DAY):
            raise ValueError("hours lie between 00:00 and 24:00")
        if self.start == self.end:
            raise ValueError("hours that end as they begin are none; all day is 00:00-24:00")

    @classmethod
    def between(cls, days: Iterable[Day], start: str, end: str) -> Self:
        """Make hours from times as `08:00` and `18:00`. An end of `00:00` is midnight, as most
        people write it. Raises ValueError for hours that are none."""
        first, last = _minute(start), _minute(end)
        if last == 0 < first:
            last = MINUTES_A_DAY
        if first == last:
            raise ValueError("hours that end as they begin are none; all day is 00:00-24:00")
        return cls(frozenset(days), first, last)

    @classmethod
    def read(cls, text: str) -> Self:
        """Read `mon-fri,holiday 08:00-18:00`. Raises ValueError for any other text."""
        return cls.between(*written_hours(text))

    @property
    def is_overnight(self) -> bool:
        return self.end < self.start

    def hold(self, day: Day, day_before: Day, minute: int) -> bool:
        """Whether `minute` of a `day` that came after `day_before` is in these hours."""
        if not self.is_overnight:
            return day in self.days and self.start <= minute < self.end
        return (day in self.days and minute >= self.start) or (
            day_before in self.days and minute < self.end
        )


def written_hours(text: str) -> tuple[tuple[Day, ...], str, str]:
    """Read the days in their order, and both times as `08:00`. Raises ValueError as `Hours.read`
    does."""
    found = _WRITTEN.fullmatch(text.strip().lower())
    if found is None:
        raise ValueError(f'{text[:60]!r} are no hours; write it as "mon-fri,sun 08:00-18:00"')
    days: list[Day] = []
    for part in found["days"].split(","):
        first, _, last = (each.strip() for each in part.partition("-"))
        try:
            days += _between(Day(first), Day(last or first))
        except ValueError:
            raise ValueError(f"{part.strip()!r}: days are mon, tue, … sun, or holiday") from None
    start, end = (f"{at // 60:02}:{at % 60:02}" for at in map(_minute, found.group("start", "end")))
    Hours.between(days, start, end)
    return tuple(dict.fromkeys(days)), start, end


def _between(first: Day, last: Day) -> tuple[Day, ...]:
    if first is last:
        return (first,)
    at, until = WEEK.index(first), WEEK.index(last)
    return WEEK[at : until + 1] if at < until else (*WEEK[at:], *WEEK[: until + 1])


def _minute(text: str) -> int:
    found = _CLOCK.fullmatch(text)
    hour, minute = map(int, found.groups()) if found else (0, 60)
    if minute > 59 or hour * 60 + minute > MINUTES_A_DAY:
        raise ValueError(f"{text}: there is no such time of day")
    return hour * 60 + minute
