"""Dates as spreadsheets of many countries write them.

The rule: a year comes first or last and has four digits. With the year first, month and day follow.
With dots the day comes first (31.01.2027). With slashes or hyphens (1/31/2027, 31-01-2027) some
countries write the day first and others the month: what can only be one of them is taken, the rest
is refused.
"""

import re
from datetime import date, time

_DATE = re.compile(
    r"(?P<one>[0-9]{1,4})\s*(?P<mark>[./-])\s*(?P<two>[0-9]{1,2})\s*(?P=mark)\s*(?P<three>[0-9]{1,4})"
    r"\.?(?:[\sT]\s*(?P<time>\S.*))?"
)
_TIME = re.compile(
    r"(?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{2})(?::[0-9]{2}(?:[.,][0-9]+)?)?\s*(?P<half>[AP]M)?",
    re.IGNORECASE,
)


def iso_moment(text: str) -> str:
    """`text` as 2027-01-31 or 2027-01-31T18:00, where it is such a date; anything else as it is.
    Raises ValueError that says what to write, for a date that may be two, or none."""
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
    """Those that there are, each once, of year, month and day."""
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
