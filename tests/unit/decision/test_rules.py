"""Who may pass which door, and when, held against a slow and obvious model."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ostiary.decision.rules import (
    ALWAYS,
    Calendar,
    PersonRights,
    Rule,
    Rulebook,
    Ruling,
    moment_of,
    newly_shut,
    overlap,
)
from ostiary.messages.times import Hours
from ostiary.messages.words import WEEK, Day, Factor, Reason

BERLIN = ZoneInfo("Europe/Berlin")
WORKDAYS = frozenset(WEEK[:5])
CLEANING = Rule("Cleaning", frozenset({"cleaners"}), hours=(Hours(WORKDAYS, 18 * 60, 20 * 60),))
NIGHT = Rule(
    "Night watch", frozenset({"guards"}), hours=(Hours(frozenset({Day.FRI}), 22 * 60, 6 * 60),)
)


def at(text: str, zone: ZoneInfo = BERLIN) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=zone)


def book(*rules: Rule, holidays: Iterable[date] = (), **people: PersonRights) -> Rulebook:
    return Rulebook(Calendar(BERLIN, frozenset(holidays)), rules, people)


def said(rules: Rulebook, moment: datetime, name: str = "Anna", door: str = "front") -> Reason:
    return rules.may(name, door, moment).reason


CLEANERS = PersonRights(frozenset({"cleaners"}))
GUARDS = PersonRights(frozenset({"guards"}))


def test_whoever_is_in_no_group_passes_at_any_time_as_before_there_were_rules() -> None:
    rules = book(CLEANING)
    assert rules.may("Anna", "front", at("2026-11-25T03:00")) == ALWAYS


def test_where_the_site_says_so_whoever_is_in_no_group_passes_nowhere() -> None:
    rules = Rulebook(Calendar(BERLIN), (CLEANING,), {}, ungrouped=False)
    assert said(rules, at("2026-11-25T18:30")) is Reason.NOT_ALLOWED_HERE


def test_a_rule_with_hours_lets_its_group_pass_then_and_at_no_other_time() -> None:
    rules = book(CLEANING, Anna=CLEANERS)
    assert said(rules, at("2026-11-25T17:59:59")) is Reason.OUTSIDE_SCHEDULE
    assert said(rules, at("2026-11-25T18:00")) is Reason.GRANTED
    assert said(rules, at("2026-11-25T19:59:59")) is Reason.GRANTED
    assert said(rules, at("2026-11-25T20:00")) is Reason.OUTSIDE_SCHEDULE
    assert said(rules, at("2026-11-28T18:30")) is Reason.OUTSIDE_SCHEDULE


def test_whoever_is_in_a_group_that_no_rule_is_about_passes_nowhere() -> None:
    rules = book(CLEANING, Anna=PersonRights(frozenset({"guests"})))
    assert said(rules, at("2026-11-25T18:30")) is Reason.NOT_ALLOWED_HERE


def test_a_rule_of_another_door_opens_no_door_here() -> None:
    rules = book(Rule("Server room", frozenset({"cleaners"}), frozenset({"server"})), Anna=CLEANERS)
    assert said(rules, at("2026-11-25T18:30")) is Reason.NOT_ALLOWED_HERE
    assert said(rules, at("2026-11-25T18:30"), door="server") is Reason.GRANTED


def test_hours_over_midnight_go_on_into_the_next_day() -> None:
    rules = book(NIGHT, Anna=GUARDS)
    friday, saturday = "2026-11-27T", "2026-11-28T"
    assert said(rules, at(friday + "05:00")) is Reason.OUTSIDE_SCHEDULE
    assert said(rules, at(friday + "21:59")) is Reason.OUTSIDE_SCHEDULE
    assert said(rules, at(friday + "22:00")) is Reason.GRANTED
    assert said(rules, at(saturday + "05:59")) is Reason.GRANTED
    assert said(rules, at(saturday + "06:00")) is Reason.OUTSIDE_SCHEDULE
    assert said(rules, at(saturday + "22:00")) is Reason.OUTSIDE_SCHEDULE


def test_a_holiday_is_not_the_weekday_that_it_falls_on() -> None:
    open_on_holidays = Rule(
        "Holidays", frozenset({"guards"}), hours=(Hours(frozenset({Day.HOLIDAY}), 0, 24 * 60),)
    )
    rules = book(
        CLEANING,
        open_on_holidays,
        holidays=[date(2026, 11, 25)],
        Anna=CLEANERS,
        Bo=GUARDS,
    )
    assert said(rules, at("2026-11-25T18:30")) is Reason.OUTSIDE_SCHEDULE
    assert said(rules, at("2026-11-25T18:30"), "Bo") is Reason.GRANTED
    assert said(rules, at("2026-11-26T18:30"), "Bo") is Reason.OUTSIDE_SCHEDULE


def test_a_visitor_passes_before_the_end_and_not_after() -> None:
    rules = book(
        Anna=PersonRights(valid_from=at("2026-11-25T08:00"), valid_until=at("2026-11-27T17:00"))
    )
    assert said(rules, at("2026-11-25T07:59")) is Reason.NOT_YET_VALID
    assert said(rules, at("2026-11-25T08:00")) is Reason.GRANTED
    assert said(rules, at("2026-11-27T16:59:59")) is Reason.GRANTED
    assert said(rules, at("2026-11-27T17:00")) is Reason.EXPIRED


def test_in_spring_hours_in_the_gap_do_not_come_and_those_around_it_do() -> None:
    sundays = frozenset({Day.SUN})
    gap = Rule("Gap", frozenset({"guards"}), hours=(Hours(sundays, 2 * 60 + 15, 2 * 60 + 45),))
    across = Rule("Across", frozenset({"cleaners"}), hours=(Hours(sundays, 90, 3 * 60 + 30),))
    rules = book(gap, across, Anna=CLEANERS, Bo=GUARDS)
    change = datetime(2026, 3, 29, 1, 0, tzinfo=UTC)  # 02:00 becomes 03:00
    minutes = [change + timedelta(minutes=each) for each in range(-60, 60)]
    assert not any(rules.may("Bo", "front", each).allowed for each in minutes)
    let_in = [each for each in minutes if rules.may("Anna", "front", each).allowed]
    assert (let_in[0], let_in[-1]) == (
        change - timedelta(minutes=30),
        change + timedelta(minutes=29),
    )
    assert len(let_in) == 60


def test_in_autumn_an_hour_that_comes_twice_counts_twice() -> None:
    twice = Rule("Twice", frozenset({"guards"}), hours=(Hours(frozenset({Day.SUN}), 120, 150),))
    rules = book(twice, Anna=GUARDS)
    change = datetime(2026, 10, 25, 1, 0, tzinfo=UTC)  # 03:00 becomes 02:00
    minutes = [change + timedelta(minutes=each) for each in range(-120, 120)]
    let_in = [each for each in minutes if rules.may("Anna", "front", each).allowed]
    assert len(let_in) == 60
    assert change - timedelta(minutes=60) in let_in
    assert change in let_in


def test_a_night_over_the_clock_change_is_an_hour_shorter_or_longer() -> None:
    saturdays = Rule(
        "Nights", frozenset({"guards"}), hours=(Hours(frozenset({Day.SAT}), 22 * 60, 6 * 60),)
    )
    rules = book(saturdays, Anna=GUARDS)
    for day, hours in (("2026-03-28", 7), ("2026-10-24", 9), ("2026-11-21", 8)):
        noon = at(day + "T12:00").astimezone(UTC)
        quarters = [noon + timedelta(minutes=15 * each) for each in range(4 * 24)]
        assert sum(rules.may("Anna", "front", each).allowed for each in quarters) == 4 * hours


def test_by_a_clock_that_is_not_trusted_nobody_with_hours_passes() -> None:
    always = Rule("Always", frozenset({"guards"}))
    rules = book(
        CLEANING, always, Anna=CLEANERS, Bo=GUARDS, Cy=PersonRights(valid_until=at("2030-01-01"))
    )
    moment = at("2026-11-25T18:30")
    for name, reason in (
        ("Anna", Reason.CLOCK_UNTRUSTED),
        ("Bo", Reason.GRANTED),
        ("Cy", Reason.CLOCK_UNTRUSTED),
        ("Di", Reason.GRANTED),
    ):
        assert rules.may(name, "front", moment, clock_trusted=False).reason is reason


def test_by_a_clock_that_is_not_trusted_what_some_hours_ask_is_always_asked() -> None:
    dark = Rule(
        "Dark",
        frozenset({"guards"}),
        hours=(Hours(frozenset(WEEK), 22 * 60, 6 * 60),),
        needs=Factor.FACE_AND_PIN,
    )
    rules = book(Rule("Always", frozenset({"guards"})), dark, Anna=GUARDS)
    noon = at("2026-11-25T12:00")
    assert rules.may("Anna", "front", noon).needs is Factor.FACE
    assert rules.may("Anna", "front", noon, clock_trusted=False).needs is Factor.FACE_AND_PIN


def test_where_several_rules_hold_the_strictest_is_asked() -> None:
    rules = book(
        Rule("All", frozenset({"staff"})),
        Rule("Lab", frozenset({"lab"}), needs=Factor.FACE_AND_CARD, step_up=True),
        Rule("Card", frozenset({"staff"}), needs=Factor.CARD),
        Anna=PersonRights(frozenset({"staff", "lab"})),
        Bo=PersonRights(frozenset({"staff"})),
    )
    moment = at("2026-11-25T12:00")
    assert rules.may("Anna", "front", moment) == Ruling(
        needs=Factor.FACE_AND_CARD, alone=frozenset({Factor.CARD}), step_up=True
    )
    assert rules.may("Bo", "front", moment) == Ruling(alone=frozenset({Factor.CARD}))


@pytest.mark.parametrize(("start", "end"), [(600, 600), (-1, 10), (10, 0), (1440, 5), (10, 1441)])
def test_hours_that_are_none_cannot_be_made(start: int, end: int) -> None:
    with pytest.raises(ValueError, match="hours"):
        Hours(frozenset({Day.MON}), start, end)
    with pytest.raises(ValueError, match="day"):
        Hours(frozenset(), 0, 600)


def test_a_date_alone_is_all_of_that_day() -> None:
    assert moment_of("2026-12-24", BERLIN) == at("2026-12-24T00:00")
    assert moment_of("2026-12-24", BERLIN, is_end=True) == at("2026-12-25T00:00")
    assert moment_of("2026-12-24T18:00", BERLIN) == at("2026-12-24T18:00")
    assert moment_of("2026-12-24T18:00Z", BERLIN) == datetime(2026, 12, 24, 18, tzinfo=UTC)
    with pytest.raises(ValueError, match="format"):
        moment_of("tomorrow", BERLIN)


def test_a_change_that_leaves_a_door_to_nobody_is_seen() -> None:
    now = at("2026-11-25T12:00")
    before = book(Rule("All", frozenset({"guards"})), Anna=GUARDS)
    only_server = book(Rule("All", frozenset({"guards"}), frozenset({"server"})), Anna=GUARDS)
    ended = book(Anna=PersonRights(valid_until=now))
    for after, shut in (
        (only_server, ("front",)),
        (ended, ("front", "server")),
        (book(Anna=GUARDS), ("front", "server")),
        (before, ()),
    ):
        assert newly_shut(before, after, ["Anna"], ["front", "server"], now) == shut
    assert newly_shut(before, only_server, ["Anna", "Bo"], ["front"], now) == ()
    assert newly_shut(before, only_server, [], ["front"], now) == ()


# --- the slow model: minute by minute, as somebody would with a wall clock and a calendar --------

ZONES = [
    "Europe/Berlin",
    "America/New_York",
    "Asia/Shanghai",
    "Australia/Lord_Howe",  # half an hour of summer time
    "Africa/Casablanca",
    "Pacific/Apia",
    "America/St_Johns",
    "Asia/Kathmandu",
    "UTC",
]
GROUPS = ["a", "b", "c"]
DOORS = ["front", "back"]


def slow_may(
    person: PersonRights, door: str, moment: datetime, rules: Rulebook
) -> tuple[Reason, bool]:
    """Whether `person` may, and whether a PIN is asked."""
    if person.valid_until and not moment < person.valid_until:
        return Reason.EXPIRED, False
    if person.valid_from and moment < person.valid_from:
        return Reason.NOT_YET_VALID, False
    if person.groups == frozenset():
        return Reason.GRANTED, False
    wall = moment.astimezone(rules.calendar.zone)
    shown = f"{wall:%H:%M}"
    verdicts = []
    pin = False
    for rule in rules.rules:
        if not (rule.groups & person.groups) or (rule.doors and door not in rule.doors):
            continue
        now_valid = not (
            (rule.valid_from and moment < rule.valid_from)
            or (rule.valid_until and moment >= rule.valid_until)
        )
        in_hours = not rule.hours
        for hours in rule.hours:
            start, end = (f"{each // 60:02}:{each % 60:02}" for each in (hours.start, hours.end))
            for days_ago in (0, 1):
                begun = wall.date() - timedelta(days=days_ago)
                names = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
                name = "holiday" if begun in rules.calendar.holidays else names[begun.weekday()]
                if name not in {day.value for day in hours.days}:
                    continue
                if start < end and days_ago == 0:
                    in_hours |= start <= shown < end
                if start > end:
                    in_hours |= shown >= start if days_ago == 0 else shown < end
        verdicts.append(now_valid and in_hours)
        pin |= verdicts[-1] and rule.needs is Factor.FACE_AND_PIN
    if not verdicts:
        return Reason.NOT_ALLOWED_HERE, False
    return (Reason.GRANTED, pin) if any(verdicts) else (Reason.OUTSIDE_SCHEDULE, False)


MINUTES = st.integers(0, 1439) | st.sampled_from([0, 60, 90, 120, 150, 180, 1320, 1439])
HOURS = (
    st.tuples(st.frozensets(st.sampled_from(Day), min_size=1), MINUTES, MINUTES)
    .filter(lambda each: each[1] != each[2])
    .map(lambda each: Hours(each[0], each[1], each[2] or 1440))
)
# Nights of clock changes in many of the zones, and any other time.
NIGHTS = st.sampled_from(
    [
        datetime(2026, 3, 28, 18, tzinfo=UTC),
        datetime(2026, 10, 24, 18, tzinfo=UTC),
        datetime(2026, 3, 8, 0, tzinfo=UTC),
        datetime(2026, 11, 1, 0, tzinfo=UTC),
        datetime(2026, 4, 4, 6, tzinfo=UTC),
        datetime(2026, 10, 3, 6, tzinfo=UTC),
        datetime(2026, 2, 14, 20, tzinfo=UTC),
        datetime(2026, 12, 31, 12, tzinfo=UTC),
        datetime(2011, 12, 29, 12, tzinfo=UTC),  # Apia has no 30 December
    ]
)
MOMENTS = st.builds(
    lambda base, seconds: base + timedelta(seconds=seconds), NIGHTS, st.integers(0, 30 * 3600)
)
ENDS = st.none() | MOMENTS
RULES = st.builds(
    Rule,
    name=st.just("rule"),
    groups=st.frozensets(st.sampled_from(GROUPS), min_size=1),
    doors=st.frozensets(st.sampled_from(DOORS)),
    hours=st.lists(HOURS, max_size=3).map(tuple),
    needs=st.sampled_from([Factor.FACE, Factor.FACE_AND_PIN]),
    valid_from=ENDS,
    valid_until=ENDS,
)
PEOPLE = st.builds(
    PersonRights, groups=st.frozensets(st.sampled_from(GROUPS)), valid_from=ENDS, valid_until=ENDS
)
HOLIDAYS = st.frozensets(
    st.sampled_from([date(2026, 3, 29), date(2026, 10, 25), date(2026, 11, 1), date(2027, 1, 1)])
)


@pytest.mark.thorough
@settings(max_examples=400)
@given(
    zone=st.sampled_from(ZONES),
    holidays=HOLIDAYS,
    rules=st.lists(RULES, max_size=4),
    person=PEOPLE,
    moments=st.lists(MOMENTS, min_size=1, max_size=30),
)
@example(
    zone="Europe/Berlin",
    holidays=frozenset(),
    rules=[NIGHT],
    person=GUARDS,
    moments=[datetime(2026, 3, 29, 1, tzinfo=UTC), datetime(2026, 3, 29, 0, 59, tzinfo=UTC)],
)
def test_a_book_rules_as_somebody_with_a_wall_clock_would(
    zone: str,
    holidays: frozenset[date],
    rules: list[Rule],
    person: PersonRights,
    moments: list[datetime],
) -> None:
    """In any order of moments: what is remembered from one must not be said of another."""
    known = Rulebook(Calendar(ZoneInfo(zone), holidays), tuple(rules), {"Anna": person})
    for moment in moments:
        for door in DOORS:
            ruling = known.may("Anna", door, moment)
            reason, pin = slow_may(person, door, moment, known)
            assert ruling.reason is reason
            assert not ruling.allowed or (ruling.needs is Factor.FACE_AND_PIN) is pin


@settings(max_examples=60)
@given(zone=st.sampled_from(ZONES), rules=st.lists(RULES, max_size=3), night=NIGHTS)
def test_a_book_rules_every_minute_of_a_night_as_the_wall_clock_does(
    zone: str, rules: list[Rule], night: datetime
) -> None:
    person = PersonRights(frozenset({"a", "b"}))
    known = Rulebook(Calendar(ZoneInfo(zone)), tuple(rules), {"Anna": person})
    for minute in range(0, 30 * 60, 7):
        moment = night + timedelta(minutes=minute)
        expected, _ = slow_may(person, "front", moment, known)
        assert known.may("Anna", "front", moment).reason is expected


@given(one=HOURS, other=HOURS, week=st.just(range(7)))
def test_hours_overlap_exactly_where_both_hold_at_some_minute_of_a_week(
    one: Hours, other: Hours, week: range
) -> None:
    """Of a week without a holiday, or of a holiday by itself."""
    both = any(
        all(hours.hold(WEEK[day], WEEK[day - 1], minute) for hours in (one, other))
        for day in week
        for minute in {0, one.start, other.start, *(max(each.end - 1, 0) for each in (one, other))}
    )
    holiday = Day.HOLIDAY in one.days & other.days and any(
        all(
            hours.hold(Day.HOLIDAY, Day.MON, minute)
            and minute >= (hours.start if hours.is_overnight else 0)
            for hours in (one, other)
        )
        for minute in (one.start, other.start)
    )
    assert (overlap(one, other) is not None) is (both or holiday)
