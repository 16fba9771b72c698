"""Groups, rules and lists over HTTP: who may, strange names, and what is on the pages."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from ostiary.decision.probe import Probe
from ostiary.store.audit import Audit
from ostiary.vision.engine import VisionEngine
from testing.console import Browser, ConsoleDoor, console_settings
from testing.faces import of_one_family, some_look

STRANGE = "</script><img src=x onerror=alert(1)>\"'/..?&#%2f"
HOURS = [{"days": ["mon"], "start": "08:00", "end": "18:00"}]


@pytest.fixture
def door(tmp_path: Path, engine: VisionEngine) -> Iterator[ConsoleDoor]:
    with ConsoleDoor(console_settings(tmp_path), engine) as running:
        running.people.register("Ann", [some_look(1)], datetime.now(UTC), source="http")
        yield running


@pytest.fixture
def operator(door: ConsoleDoor) -> Browser:
    return door.operator()


def code(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def test_a_group_and_a_rule_of_any_name_are_made_shown_and_removed(operator: Browser) -> None:
    name = quote(STRANGE, safe="")
    operator.ask("POST", "/api/v1/groups", json={"group": STRANGE}).raise_for_status()
    rule = {"name": STRANGE, "groups": [STRANGE], "hours": HOURS}
    operator.ask("PUT", "/api/v1/rules", json={"rule": rule}).raise_for_status()
    wanted = {"groups": [STRANGE], "valid_until": "2030-01-01"}
    operator.ask("PUT", "/api/v1/users/Ann/access", json=wanted).raise_for_status()
    for page in ("/rules", f"/rule?name={name}", "/person?name=Ann", "/people", "/charts"):
        html = operator.ask("GET", page, headers={"Accept": "text/html"})
        assert html.status_code == 200, page
        assert "<img src=x" not in html.text, page
    refused = operator.ask("DELETE", f"/api/v1/groups/{name}")
    assert code(refused) == (409, "group_in_use")
    removed = operator.ask("DELETE", f"/api/v1/rules/{name}")
    assert code(removed) == (409, "locks_everybody_out")
    operator.ask("DELETE", f"/api/v1/rules/{name}?confirm=true").raise_for_status()
    operator.ask("PUT", "/api/v1/users/Ann/access", json={"groups": []}).raise_for_status()
    operator.ask("DELETE", f"/api/v1/groups/{name}").raise_for_status()
    assert operator.ask("GET", "/api/v1/rules").json()["groups"] == []


def test_a_viewer_reads_rules_and_changes_none(door: ConsoleDoor, operator: Browser) -> None:
    account = {"name": "vera", "password": "four green doors", "role": "viewer"}
    operator.ask("POST", "/api/v1/accounts", json=account).raise_for_status()
    viewer = Browser(door.url)
    viewer.sign_in("vera", "four green doors")
    assert viewer.ask("GET", "/api/v1/rules").status_code == 200
    assert viewer.ask("GET", "/api/v1/users/Ann/access").json()["always"] is True
    for method, path, body in (
        ("POST", "groups", {"group": "Staff"}),
        ("DELETE", "groups/Staff", None),
        ("PUT", "rules", {"rule": {"name": "All", "groups": ["Staff"]}}),
        ("DELETE", "rules/All", None),
        ("PUT", "holidays", {"holidays": []}),
        ("PUT", "users/Ann/access", {}),
        ("POST", "people/read", {"csv": "name\n"}),
        ("POST", "people/line", {"username": "Bo"}),
    ):
        assert code(viewer.ask(method, f"/api/v1/{path}", json=body)) == (403, "not_allowed"), path


def test_who_has_no_pin_is_told_to_operators_only(door: ConsoleDoor, operator: Browser) -> None:
    operator.ask("POST", "/api/v1/groups", json={"group": "Staff"}).raise_for_status()
    rule = {"name": "Vault", "groups": ["Staff"], "needs": "face+pin"}
    operator.ask("PUT", "/api/v1/rules", json={"rule": rule}).raise_for_status()
    operator.ask("PUT", "/api/v1/users/Ann/access", json={"groups": ["Staff"]}).raise_for_status()
    account = {"name": "vera", "password": "four green doors", "role": "viewer"}
    operator.ask("POST", "/api/v1/accounts", json=account).raise_for_status()
    viewer = Browser(door.url)
    viewer.sign_in("vera", "four green doors")
    for page, told in (("/rules", "Without a PIN: 1"), ("/person?name=Ann", "Ann has no PIN yet")):
        assert told in operator.ask("GET", page).text, page
        assert told not in viewer.ask("GET", page).text, page


def test_what_is_wrong_with_a_rule_is_told_with_its_status_and_code(operator: Browser) -> None:
    operator.ask("POST", "/api/v1/groups", json={"group": "Staff"}).raise_for_status()
    rule = {"name": "Office", "groups": ["Staff"], "hours": HOURS}
    for changed, expected in (
        ({"groups": ["Nobody"]}, (404, "group_unknown")),
        ({"doors": ["back"]}, (404, "camera_unknown")),
        ({"hours": []}, (422, "schedule_invalid")),
        ({"hours": HOURS * 2}, (422, "schedule_overlaps")),
        ({"valid_until": "soon"}, (422, "period_invalid")),
        ({"needs": "password"}, (422, "request_malformed")),
    ):
        answer = operator.ask("PUT", "/api/v1/rules", json={"rule": {**rule, **changed}})
        assert code(answer) == expected
    for changed, said in (
        ({"groups": ["Nobody"]}, "There are: Staff."),
        ({"valid_until": "31.12.26"}, "write the year with four digits"),
        ({"valid_until": "02/03/2027"}, "may be 2027-03-02 or 2027-02-03"),
        ({"needs": "password"}, "must be 'face'"),
    ):
        answer = operator.ask("PUT", "/api/v1/rules", json={"rule": {**rule, **changed}})
        assert said in answer.json()["detail"]
    dated = {**rule, "name": "Dated", "valid_until": "31.12.2027"}
    operator.ask("PUT", "/api/v1/rules", json={"rule": dated}).raise_for_status()
    answer = operator.ask("PUT", "/api/v1/rules", json={"rule": rule, "replaces": "Gone"})
    assert code(answer) == (404, "rule_unknown")


def test_what_is_wrong_is_said_in_the_language_that_was_asked_for(operator: Browser) -> None:
    """English where nothing, or a language that is not known, was asked for."""
    operator.ask("POST", "/api/v1/groups", json={"group": "Staff"}).raise_for_status()
    rule = {"name": "Office", "groups": ["Staff"], "hours": HOURS}
    chinese = {"Accept-Language": "zh-Hans"}
    for changed, english, said in (
        ({"groups": ["Nobody"]}, "There is no group Nobody", "没有组“Nobody”，现有：Staff。"),
        ({"valid_until": "02/03/2027"}, "may be", "结束：02/03/2027 可能是 2027-03-02，也可能是"),
        ({"valid_until": "soon"}, "is no moment", "结束不是时间"),
        ({"hours": HOURS * 2}, "both hold on mon", "在周一重叠"),
        ({"needs": "password"}, "must be 'face'", "body.rule.needs：必须是 'face'"),
    ):
        body = {"rule": {**rule, **changed}}
        for asked in ({}, {"Accept-Language": "de"}):
            answer = operator.ask("PUT", "/api/v1/rules", json=body, headers=asked)
            assert english in answer.json()["detail"]
            assert answer.headers["Content-Language"] == "en"
        translated = operator.ask("PUT", "/api/v1/rules", json=body, headers=chinese)
        assert said in translated.json()["detail"]
        assert translated.headers["Content-Language"] == "zh-Hans"
        assert code(translated) == code(answer)
    wrong = operator.ask("PUT", "/api/v1/rules", json={"rule": {**rule, "x": 1}}, headers=chinese)
    assert wrong.json()["fields"] == [{"field": "body.rule.x", "message": "没有这一项"}]
    listed = {"csv": "name,until\nBo,1/2/2027\nBo,\n"}
    read = operator.ask("POST", "/api/v1/people/read", json=listed, headers=chinese).json()
    assert [line["problem"] for line in read["lines"]] == [
        "until：1/2/2027 可能是 2027-02-01，也可能是 2027-01-02，请写清楚。",
        "Bo 在名单中出现了两次。",
    ]


def test_what_operators_did_is_told_in_the_pages_language(
    door: ConsoleDoor, operator: Browser
) -> None:
    day = {"date": "2026-12-25", "name": "Christmas"}
    operator.ask("PUT", "/api/v1/holidays", json={"holidays": [day]}).raise_for_status()
    Audit(door.database).add(
        actor="mqtt",
        action="door_run",
        subject="front: silence",
        address="mqtt",
        now=datetime.now(UTC),
    )
    for asked, said in (
        ("zh", ("设置了 1 个节假日", "对门下令：front: 警报静音")),
        ("en", ("set 1 holidays", "told the door: front: Silence the alarm")),
    ):
        asks = {"Accept": "text/html", "Accept-Language": asked}
        page = operator.ask("GET", "/access", headers=asks).text
        assert all(each in page for each in said)


def test_a_list_is_read_and_written_over_http_and_audited(
    door: ConsoleDoor, operator: Browser
) -> None:
    operator.ask("POST", "/api/v1/groups", json={"group": "Staff"}).raise_for_status()
    read = operator.ask("POST", "/api/v1/people/read", json={"csv": "name,groups\nAnn,Staff\n"})
    (line,) = read.json()["lines"]
    assert set(line) == {"line", "username", "groups", "photo", "problem"}  # no column, no field
    operator.ask("PUT", "/api/v1/users/Ann/access", json={"valid_until": "2030-01-01"})
    wanted = {key: line[key] for key in ("username", "groups")}
    taken = operator.ask("POST", "/api/v1/people/line", json=wanted)
    assert taken.json() == {"username": "Ann", "registered": False}
    answered = operator.ask("PUT", "/api/v1/users/Ann/access", json={"valid_until": None})
    assert (answered.json()["groups"], answered.json()["valid_until"]) == (["Staff"], None)
    assert answered.json() == operator.ask("GET", "/api/v1/users/Ann/access").json()
    bad = operator.ask("POST", "/api/v1/people/read", json={"csv": "salary\n1\n"})
    assert code(bad) == (422, "people_list_invalid")
    new = operator.ask("POST", "/api/v1/people/line", json={"username": "Bo"})
    assert code(new) == (422, "photo_missing")
    listed = operator.ask("GET", "/api/v1/people.csv")
    assert "Ann,Staff,,," in listed.text
    actions = [row["action"] for row in operator.ask("GET", "/api/v1/audit").json()["rows"]]
    assert actions[:4] == ["access_set", "person_put", "access_set", "group_set"]
    assert door.services.rules.person("Ann").groups == {"Staff"}


def page(operator: Browser, path: str) -> str:
    html = operator.ask("GET", path, headers={"Accept": "text/html"})
    assert html.status_code == 200, path
    return html.text


def test_people_with_one_template_are_counted_and_can_be_shown_alone(
    door: ConsoleDoor, operator: Browser
) -> None:
    door.people.register("Ben", [some_look(2), some_look(3)], datetime.now(UTC), source="http")
    every = page(operator, "/people")
    assert "1 with one picture only" in every
    assert "Ben" in every
    alone = page(operator, "/people?one=1")
    assert "Ann" in alone
    assert "Ben" not in alone
    row = operator.ask("GET", "/api/v1/people.csv").text.splitlines()[1]
    assert row.split(",")[0] == "Ann"
    assert row.split(",")[-1] == "1"


def test_people_are_listed_a_page_at_a_time_and_found_by_name_group_and_pictures(
    door: ConsoleDoor, operator: Browser
) -> None:
    for number in range(2, 131):
        looks = [some_look(number), some_look(1000 + number)] if number % 2 else [some_look(number)]
        door.people.register(f"Person {number:03}", looks, datetime.now(UTC), source="http")
    operator.ask("POST", "/api/v1/groups", json={"group": "Night & day"})
    access = {"groups": ["Night & day"], "valid_until": "2030-11-30"}
    for number in range(40, 110):
        operator.ask("PUT", f"/api/v1/users/Person {number:03}/access", json=access)

    def listed(query: str) -> list[str]:
        return re.findall(
            r'class="stretched" href="\./person\?name=([^"]+)"', page(operator, query)
        )

    first, last = page(operator, "/people"), page(operator, "/people?page=3")
    assert len(listed("/people")) == 60
    assert "1 to 60 of 130" in first
    assert 'rel="next"' in first
    assert 'rel="prev"' not in first
    assert listed("/people?page=3")[-1] == "Person%20130"
    assert 'rel="next"' not in last
    assert listed("/people?page=999") == listed("/people?page=3")
    assert listed("/people?q=SON 12") == [f"Person%2012{digit}" for digit in range(10)]
    night = page(operator, "/people?group=Night %26 day")
    assert "1 to 60 of 70" in night
    assert "/people?group=Night+%26+day&amp;page=2" in night
    assert "until the end of <time" in night
    assert '<time datetime="2030-11-30">' in night
    assert len(listed("/people?group=;&q=person 0")) == 99 - 1 - 60
    assert "1 to 35 of 35" in page(operator, "/people?group=Night %26 day&one=1")
    assert "Nobody like that" in page(operator, "/people?q=zoe")


def test_a_rule_that_asks_for_a_pin_or_a_card_says_who_has_none(
    door: ConsoleDoor, operator: Browser
) -> None:
    operator.ask("POST", "/api/v1/groups", json={"group": "Staff"})
    for number, name in enumerate(("Ben", "Cleo"), 2):
        door.people.register(name, [some_look(number)], datetime.now(UTC), source="http")
    for name in ("Ann", "Ben"):
        operator.ask("PUT", f"/api/v1/users/{name}/access", json={"groups": ["Staff"]})
    for needs, without in (("face+pin", "Without a PIN: 2"), ("card", "Without a card: 2")):
        rule = {"name": needs, "groups": ["Staff"], "needs": needs}
        operator.ask("PUT", "/api/v1/rules", json={"rule": rule}).raise_for_status()
        assert without in page(operator, "/rules")
    assert "Ann has no PIN yet" in page(operator, "/person?name=Ann")
    operator.ask("PUT", "/api/v1/users/Ann/pin", json={"pin": "7294"}).raise_for_status()
    rules = page(operator, "/rules")
    assert "Without a PIN: 1" in rules
    assert "Without a card: 2" in rules
    assert "Cleo" not in rules
    assert "Ann has no PIN yet" not in page(operator, "/person?name=Ann")


@pytest.mark.parametrize("until", ["2030-11-30", "2030-11-30T17:30"])
def test_a_rule_or_a_person_that_is_saved_as_it_was_shown_ends_when_it_did(
    operator: Browser, until: str
) -> None:
    operator.ask("POST", "/api/v1/groups", json={"group": "Staff"})
    rule = {"name": "Office", "groups": ["Staff"], "valid_until": until}
    operator.ask("PUT", "/api/v1/rules", json={"rule": rule}).raise_for_status()
    operator.ask("PUT", "/api/v1/users/Ann/access", json={"valid_until": until})
    for path in ("/rule?name=Office", "/person?name=Ann"):
        html = page(operator, path)
        date = re.search(r'name="valid_until" value="([^"]*)"', html)
        time = re.search(r'name="valid_until_time" value="([^"]*)"', html)
        assert date is not None, path
        assert time is not None, path
        assert "T".join(filter(None, (date[1], time[1]))) == until
    if "T" not in until:
        assert "until the end of <time" in page(operator, "/rules")


def test_people_who_resemble_each_other_are_told_wherever_the_distance_is(
    door: ConsoleDoor, operator: Browser
) -> None:
    assert "resemble each other" not in page(operator, "/people")
    for number, row in enumerate(of_one_family(40, 0.6)):
        look = Probe({"sface": row})
        door.people.register(f"{number}", [look], datetime.now(UTC), source="http")
    for path in ("/people", "/thresholds"):
        assert "resemble each other more than most (as 1." in page(operator, path)
    said = operator.ask("GET", "/api/v1/settings").json()
    assert said["scale"]["reference"] > said["threshold"]
    assert said["promised"] is True


def test_the_page_of_somebody_who_was_altered_opens_and_deletes_them(
    door: ConsoleDoor, operator: Browser
) -> None:
    with door.database.transaction() as connection:
        connection.execute("UPDATE users SET key = 'no key'")
    assert "Ann" in page(operator, "/person?name=Ann")
    operator.ask("DELETE", "/api/v1/users/Ann").raise_for_status()
    assert door.services.people.has("Ann") is False
