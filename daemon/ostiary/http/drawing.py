"""Small pictures in SVG, made on the server, without script and style: classes give the colours."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from ostiary.messages.commands.rules import WeeklyHours
from ostiary.messages.words import WEEK, Day

DAY_MINUTES = 24 * 60
_ROW, _LABEL, _WIDE = 14, 46, 320


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar. `parts` are counts, by the class that colours each."""

    label: str
    parts: Mapping[str, int]

    @property
    def total(self) -> int:
        return sum(self.parts.values())


@dataclass(frozen=True, slots=True)
class Dot:
    """A dot. `y` is 0 to 1, `kind` the class that colours it."""

    x: float
    y: float
    kind: str
    title: str


def week(hours: Sequence[WeeklyHours] | None, names: Mapping[str, str], title: str) -> Markup:
    """Draw a week: a row for each day, and one for holidays. `hours` None: at any time."""
    rows = []
    for index, day in enumerate(Day):
        y = index * (_ROW + 3)
        rows.append(_text(0, y + 11, names[day.value]))
        rows.append(_rect(_LABEL, y, _WIDE, _ROW, "track"))
        for start, end in minutes(hours, day):
            left = _LABEL + start * _WIDE / DAY_MINUTES
            rows.append(_rect(left, y, (end - start) * _WIDE / DAY_MINUTES, _ROW, "open"))
    foot = len(Day) * (_ROW + 3)
    for hour in (0, 6, 12, 18, 24):
        x = _LABEL + hour * _WIDE / 24
        anchor = {0: "start", 24: "end"}.get(hour, "middle")
        rows.append(_text(x, foot + 10, f"{hour}", anchor))
    return _svg("week", _LABEL + _WIDE + 2, foot + 14, title, rows)


def minutes(hours: Sequence[WeeklyHours] | None, day: Day) -> list[tuple[int, int]]:
    """Give the parts of `day` in these hours, each from a minute to before a minute, 0 to 1440."""
    if hours is None:
        return [(0, DAY_MINUTES)]
    found = []
    for each in hours:
        start, end = _minute(each.start), _minute(each.end)
        if day in each.days:
            found.append((start, end if end > start else DAY_MINUTES))
        if end < start and day is not Day.HOLIDAY and WEEK[WEEK.index(day) - 1] in each.days:
            found.append((0, end))
    return sorted(found)


def columns(bars: Sequence[Bar], title: str) -> Markup:
    """Draw upright bars side by side, each stacked of its parts."""
    high, wide, foot = 120, 480, 16
    most = max((bar.total for bar in bars), default=0) or 1
    step = wide / max(len(bars), 1)
    drawn = [_rect(0, high, wide, 1, "track")]
    for index, bar in enumerate(bars):
        y = float(high)
        for kind, count in bar.parts.items():
            tall = count * (high - 12) / most
            y -= tall
            if count:
                drawn.append(_rect(index * step + 1, y, step - 2, tall, kind))
        drawn.append(_text(index * step + step / 2, high + 12, bar.label, "middle"))
        if bar.total:
            drawn.append(_text(index * step + step / 2, y - 2, str(bar.total), "middle"))
    return _svg("columns", wide, high + foot, title, drawn)


def scatter(
    dots: Iterable[Dot],
    title: str,
    across: tuple[float, float],
    lines_across: Sequence[tuple[float, str]],
    lines_up: Sequence[tuple[float, str]],
) -> Markup:
    """Draw dots. `across` are the least and largest x; y goes from 0 to 1. Lines are thresholds,
    each with its value and its name."""
    wide, high, left = 480, 240, 26
    least, most = across
    span = (most - least) or 1.0

    def x_of(x: float) -> float:
        return left + (min(max(x, least), most) - least) / span * (wide - left - 6)

    def y_of(y: float) -> float:
        return 6 + (1 - min(max(y, 0.0), 1.0)) * (high - 30)

    drawn = [_rect(left, 6, wide - left, high - 30, "field")]
    for value in (0.0, 0.5, 1.0):
        drawn.append(_text(left - 4, y_of(value) + 4, f"{value:g}", "end"))
    for part in range(5):
        x = least + span * part / 4
        drawn.append(
            _text(
                x_of(x),
                high - 10,
                f"{x:.2f}",
                "middle" if 0 < part < 4 else ("start" if part == 0 else "end"),
            )
        )
    for value, name in lines_across:
        drawn.append(_line(x_of(value), 6, x_of(value), high - 24))
        drawn.append(_text(x_of(value) - 3, 18, name, "end"))
    for value, name in lines_up:
        drawn.append(_line(left, y_of(value), wide, y_of(value)))
        drawn.append(_text(left + 4, y_of(value) - 3, name))
    drawn += [
        Markup('<circle cx="{}" cy="{}" r="4" class="{}"><title>{}</title></circle>').format(
            _n(x_of(dot.x)), _n(y_of(dot.y)), dot.kind, dot.title
        )
        for dot in dots
    ]
    return _svg("scatter", wide, high, title, drawn)


def _svg(kind: str, wide: float, high: float, title: str, parts: Iterable[Markup]) -> Markup:
    return Markup(
        '<svg class="drawing {}" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>'
    ).format(kind, _n(wide), _n(high), title, Markup("").join(parts))


def _rect(x: float, y: float, wide: float, high: float, kind: str) -> Markup:
    return Markup('<rect x="{}" y="{}" width="{}" height="{}" class="{}"/>').format(
        _n(x), _n(y), _n(wide), _n(high), kind
    )


def _line(x: float, y: float, to_x: float, to_y: float) -> Markup:
    return Markup('<line x1="{}" y1="{}" x2="{}" y2="{}"/>').format(
        _n(x), _n(y), _n(to_x), _n(to_y)
    )


def _text(x: float, y: float, said: str, anchor: str = "start") -> Markup:
    return Markup('<text x="{}" y="{}" text-anchor="{}">{}</text>').format(
        _n(x), _n(y), anchor, said
    )


def _n(number: float) -> str:
    return f"{number:.1f}".rstrip("0").rstrip(".")


def _minute(text: str) -> int:
    hour, _, minute = text.partition(":")
    return int(hour) * 60 + int(minute)
