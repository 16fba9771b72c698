"""Groups, rules and visitors over a real broker and a real database, plain and sealed."""

import base64
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ostiary.crypto.door_key import DoorKey
from ostiary.errors import GroupInUse, GroupUnknown
from ostiary.messages.words import Reason
from ostiary.store.audit import Audit
from ostiary.store.database import Database
from ostiary.store.rules import RuleStore, StoredPerson
from ostiary.store.sealing import Rotation, encrypt, rotate
from ostiary.store.users import Users
from ostiary.vision.engine import VisionEngine
from testing.broker import Mosquitto
from testing.doorway import BASE, Doorway, door_settings
from testing.faces import some_look
from testing.probe import Probe

EVENINGS = {"days": ["mon", "tue", "wed", "thu", "fri"], "start": "18:00", "end": "20:00"}
WEDNESDAY_EVENING = datetime(2026, 11, 25, 17, 30, tzinfo=UTC)  # 18:30 in Berlin
STORE_KEY = b"a key that is kept apart from the disk"


class Clock:
    """The site's time, which a test sets."""

    def __init__(self) -> None:
        self.now = WEDNESDAY_EVENING
        self.trusted = True

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def door(
    tmp_path: Path, broker: Mosquitto, engine: VisionEngine, clock: Clock
) -> Iterator[Doorway]:
    settings = door_settings(
        tmp_path,
        broker.port,
        rules={"timezone": "Europe/Berlin"},
        commands={"allow_unverified_enrolment": True},
    )
    with Doorway(settings, engine, clock=clock, clock_trusted=lambda: clock.trusted) as running:
        for number, name in enumerate(("Anna", "Bo")):
            running.people.register(name, [some_look(number)], clock.now, source="cli")
        yield running


def ruled(door: Doorway, name: str) -> Reason:
    return door.services.rules.ruling(name, "front").reason


def cleaning(**changed: Any) -> dict[str, Any]:
    return {"name": "Cleaning", "groups": ["Cleaners"], "hours": [EVENINGS], **changed}


def test_a_group_with_a_rule_passes_in_its_hours_and_not_outside(
    door: Doorway, probe: Probe, clock: Clock
) -> None:
    probe.data(BASE, "set_group", group="Cleaners")
    probe.data(BASE, "set_rule", rule=cleaning())
    assert ruled(door, "Anna") is Reason.GRANTED
    probe.data(BASE, "set_access", username="Anna", groups=["Cleaners"])
    assert ruled(door, "Anna") is Reason.GRANTED
    clock.now += timedelta(hours=2)
    assert ruled(door, "Anna") is Reason.OUTSIDE_SCHEDULE
    assert ruled(door, "Bo") is Reason.GRANTED
    answer = probe.data(BASE, "access", username="Anna")
    assert answer["groups"] == ["Cleaners"]
    assert [rule["name"] for rule in answer["rules"]] == ["Cleaning"]
    assert [(each["door"], each["reason"]) for each in answer["now"]] == [
        ("front", "outside_schedule")
    ]
    everything = probe.data(BASE, "rules")
    assert everything["groups"] == [{"name": "Cleaners", "members": 1, "rules": ["Cleaning"]}]
    assert everything["timezone"] == "Europe/Berlin"
    assert everything["rules"][0]["hours"] == [EVENINGS]


def test_a_visitor_passes_until_the_end_and_is_removed_with_an_event_later(
    door: Doorway, probe: Probe, clock: Clock
) -> None:
    probe.data(BASE, "set_access", username="Anna", valid_until="2026-11-27")
    assert probe.data(BASE, "access", username="Anna")["valid_until"] == "2026-11-28T00:00+01:00"
    clock.now = datetime(2026, 11, 27, 22, 59, tzinfo=UTC)
    assert ruled(door, "Anna") is Reason.GRANTED
    clock.now += timedelta(minutes=1)
    assert ruled(door, "Anna") is Reason.EXPIRED
    clock.now += timedelta(days=30) - timedelta(seconds=1)
    assert door.services.rules.remove_ended() == 0
    clock.now += timedelta(seconds=1)
    clock.trusted = False
    assert door.services.rules.remove_ended() == 0
    clock.trusted = True
    assert door.services.rules.remove_ended() == 1
    removed = ("deleted", "Anna", "expiry")

    def told() -> list[tuple[str, str, str]]:
        said = [heard.json for heard in probe.of(f"{BASE}/event/user")]
        return [(each["action"], each["username"], each["source"]) for each in said]

    probe.wait_until(lambda: removed in told())
    assert [user.username for user in door.people.list()] == ["Bo"]
    assert door.services.rules.stored.people == {}


def test_rules_follow_a_person_who_is_renamed_and_forget_one_who_is_deleted(
    door: Doorway, probe: Probe, clock: Clock
) -> None:
    probe.data(BASE, "set_group", group="Cleaners")
    probe.data(BASE, "set_rule", rule=cleaning())
    probe.data(BASE, "set_access", username="Anna", groups=["Cleaners"], valid_until="2027-01-01")
    probe.data(BASE, "rename", username="Anna", new_username="Änne")
    clock.now += timedelta(hours=2)
    assert ruled(door, "Änne") is Reason.OUTSIDE_SCHEDULE
    probe.data(BASE, "delete", username="Änne")
    assert probe.data(BASE, "rules")["groups"][0]["members"] == 0
    door.people.register("Änne", [some_look(7)], clock.now, source="cli")
    assert ruled(door, "Änne") is Reason.GRANTED


def test_a_group_keeps_its_people_and_rules_when_it_gets_another_name(
    door: Doorway, probe: Probe
) -> None:
    probe.data(BASE, "set_group", group="Cleaners")
    probe.data(BASE, "set_rule", rule=cleaning())
    probe.data(BASE, "set_access", username="Anna", groups=["Cleaners"])
    probe.data(BASE, "set_group", group="Cleaners", new_name="Reinigung")
    assert ruled(door, "Anna") is Reason.GRANTED
    assert probe.data(BASE, "access", username="Anna")["groups"] == ["Reinigung"]
    assert probe.data(BASE, "rules")["rules"][0]["groups"] == ["Reinigung"]


@pytest.mark.usefixtures("door")
def test_a_group_that_somebody_is_in_is_not_removed(probe: Probe) -> None:
    probe.data(BASE, "set_group", group="Cleaners")
    probe.data(BASE, "set_access", username="Anna", groups=["Cleaners"], confirm=True)
    assert probe.error(BASE, "delete_group", group="Cleaners") == "group_in_use"
    probe.data(BASE, "set_access", username="Anna", groups=[])
    probe.data(BASE, "set_rule", rule=cleaning())
    assert probe.error(BASE, "delete_group", group="Cleaners") == "group_in_use"
    probe.data(BASE, "delete_rule", name="Cleaning")
    probe.data(BASE, "delete_group", group="Cleaners")
    assert probe.data(BASE, "rules")["groups"] == []


@pytest.mark.usefixtures("door")
@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"groups": ["Nobody"]}, "group_unknown"),
        ({"groups": []}, "request_malformed"),
        ({"doors": ["back"]}, "camera_unknown"),
        ({"hours": []}, "schedule_invalid"),
        ({"hours": [{**EVENINGS, "days": []}]}, "schedule_invalid"),
        ({"hours": [{**EVENINGS, "end": "18:00"}]}, "schedule_invalid"),
        ({"hours": [{**EVENINGS, "end": "24:01"}]}, "request_malformed"),
        ({"hours": [{**EVENINGS, "start": "24:00"}]}, "schedule_invalid"),
        ({"hours": [{**EVENINGS, "days": ["Mo"]}]}, "request_malformed"),
        (
            {"hours": [EVENINGS, {**EVENINGS, "start": "19:59", "end": "21:00"}]},
            "schedule_overlaps",
        ),
        (
            {
                "hours": [
                    {**EVENINGS, "end": "06:00"},
                    {**EVENINGS, "start": "05:00", "end": "07:00"},
                ]
            },
            "schedule_overlaps",
        ),
        ({"valid_from": "2026-12-02", "valid_until": "2026-12-01"}, "period_invalid"),
        ({"valid_until": "tomorrow"}, "period_invalid"),
        ({"valid_until": "9999-12-31"}, "period_invalid"),
        ({"needs": "password"}, "request_malformed"),
        ({"name": "a;b"}, "group_invalid"),
        ({"name": "a\u202eb"}, "group_invalid"),
    ],
)
def test_a_rule_that_cannot_be_is_refused_with_its_code_and_changes_nothing(
    probe: Probe, changed: dict[str, Any], code: str
) -> None:
    probe.data(BASE, "set_group", group="Cleaners")
    assert probe.error(BASE, "set_rule", rule=cleaning(**changed)) == code
    assert probe.data(BASE, "rules")["rules"] == []


@pytest.mark.usefixtures("door")
def test_an_end_before_its_start_or_an_unknown_group_is_refused_for_a_person(probe: Probe) -> None:
    ends = {"valid_from": "2026-12-02", "valid_until": "2026-12-01"}
    assert probe.error(BASE, "set_access", username="Anna", **ends) == "period_invalid"
    assert probe.error(BASE, "set_access", username="Anna", groups=["Nobody"]) == "group_unknown"
    assert probe.error(BASE, "set_access", username="Nobody") == "user_unknown"
    assert probe.error(BASE, "access", username="Nobody") == "user_unknown"


def test_a_change_that_locks_everybody_out_is_asked_twice(door: Doorway, probe: Probe) -> None:
    probe.data(BASE, "set_group", group="Cleaners")
    probe.data(BASE, "set_rule", rule=cleaning())
    for name in ("Anna", "Bo"):
        probe.data(BASE, "set_access", username=name, groups=["Cleaners"])
    assert probe.error(BASE, "delete_rule", name="Cleaning") == "locks_everybody_out"
    assert [rule["name"] for rule in probe.data(BASE, "rules")["rules"]] == ["Cleaning"]
    assert ruled(door, "Anna") is Reason.GRANTED
    over = cleaning(valid_until="2026-11-01")
    assert probe.error(BASE, "set_rule", rule=over) == "locks_everybody_out"
    probe.data(BASE, "delete_rule", name="Cleaning", confirm=True)
    assert ruled(door, "Anna") is Reason.NOT_ALLOWED_HERE


@pytest.mark.usefixtures("door")
def test_a_rule_gets_another_name_and_no_other_rules_name(probe: Probe) -> None:
    probe.data(BASE, "set_group", group="Cleaners")
    probe.data(BASE, "set_rule", rule=cleaning())
    probe.data(BASE, "set_rule", rule=cleaning(name="Other"))
    renamed = cleaning(name="Other")
    assert probe.error(BASE, "set_rule", rule=renamed, replaces="Cleaning") == "rule_exists"
    assert probe.error(BASE, "set_rule", rule=renamed, replaces="Gone") == "rule_unknown"
    probe.data(BASE, "set_rule", rule=cleaning(name="Evenings"), replaces="Cleaning")
    assert [rule["name"] for rule in probe.data(BASE, "rules")["rules"]] == ["Evenings", "Other"]
    assert probe.error(BASE, "delete_rule", name="Cleaning") == "rule_unknown"


def test_hours_until_midnight_may_be_written_either_way(
    door: Doorway, probe: Probe, clock: Clock
) -> None:
    probe.data(BASE, "set_group", group="Cleaners")
    probe.data(BASE, "set_access", username="Anna", groups=["Cleaners"])
    clock.now = datetime(2026, 11, 25, 22, 59, tzinfo=UTC)  # 23:59 in Berlin
    for end in ("00:00", "24:00"):
        probe.data(BASE, "set_rule", rule=cleaning(hours=[{**EVENINGS, "end": end}]))
        assert ruled(door, "Anna") is Reason.GRANTED
    nothing = cleaning(hours=[{**EVENINGS, "start": "00:00", "end": "00:00"}])
    assert probe.error(BASE, "set_rule", rule=nothing) == "schedule_invalid"


def test_holidays_close_the_weekdays_they_fall_on(door: Doorway, probe: Probe) -> None:
    probe.data(BASE, "set_group", group="Cleaners")
    probe.data(BASE, "set_rule", rule=cleaning())
    probe.data(BASE, "set_access", username="Anna", groups=["Cleaners"])
    day = {"date": "2026-11-25", "name": "Katharinentag"}
    assert probe.error(BASE, "set_holidays", holidays=[day, day]) == "period_invalid"
    probe.data(BASE, "set_holidays", holidays=[day])
    assert ruled(door, "Anna") is Reason.OUTSIDE_SCHEDULE
    assert probe.data(BASE, "rules")["holidays"] == [day]


def test_without_a_synchronised_clock_whoever_has_hours_is_denied(
    door: Doorway, probe: Probe, clock: Clock
) -> None:
    probe.data(BASE, "set_group", group="Cleaners")
    probe.data(BASE, "set_rule", rule=cleaning())
    probe.data(BASE, "set_access", username="Anna", groups=["Cleaners"])
    clock.trusted = False
    assert ruled(door, "Anna") is Reason.CLOCK_UNTRUSTED
    assert ruled(door, "Bo") is Reason.GRANTED
    assert probe.data(BASE, "rules")["clock_trusted"] is False


def test_a_rule_command_delivered_twice_runs_once_and_is_in_the_audit_trail(
    door: Doorway, probe: Probe
) -> None:
    request = {"group": "Cleaners", "transaction": "once"}
    for count in (1, 2):
        probe.send(f"{BASE}/request/set_group", request)
        probe.wait(f"{BASE}/response/set_group", count)
    deeds = [(row.actor, row.action, row.subject) for row in Audit(door.database).newest(10)]
    assert deeds == [("mqtt", "group_set", "Cleaners")]


@pytest.mark.usefixtures("door")
def test_a_face_sent_with_login_is_denied_where_its_person_may_not_pass(
    probe: Probe, portraits: Path, clock: Clock
) -> None:
    image = base64.b64encode((portraits / "obama.jpg").read_bytes()).decode()
    probe.data(BASE, "register", username="Barack", image=image, valid_until="2026-11-26")
    picture = base64.b64encode((portraits / "obama2.jpg").read_bytes()).decode()
    assert probe.data(BASE, "login", image=picture)["reason"] == "granted"
    clock.now += timedelta(days=2)
    denied = probe.data(BASE, "login", image=picture)
    assert (denied["success"], denied["reason"]) == (False, "expired")
    assert "expired" not in denied["message"]


@pytest.mark.usefixtures("door")
def test_a_line_of_a_list_registers_somebody_new_and_changes_somebody_known(
    probe: Probe, portraits: Path
) -> None:
    probe.data(BASE, "set_group", group="Cleaners")
    assert probe.error(BASE, "put_person", username="Barack") == "photo_missing"
    image = base64.b64encode((portraits / "obama.jpg").read_bytes()).decode()
    unknown = {"username": "Barack", "image": image, "groups": ["Nobody"]}
    assert probe.error(BASE, "put_person", **unknown) == "group_unknown"
    taken = {**unknown, "groups": ["Cleaners"], "valid_until": "2030-01-01"}
    assert probe.data(BASE, "put_person", **taken) == {"username": "Barack", "registered": True}
    assert probe.data(BASE, "put_person", username="Barack")["registered"] is False

    def allowed() -> tuple[Any, Any]:
        people = {user["username"]: user for user in probe.data(BASE, "users")["users"]}
        return people["Barack"]["groups"], people["Barack"]["valid_until"]

    until = "2030-01-01T23:00:00.000Z"
    assert allowed() == (["Cleaners"], until)
    probe.data(BASE, "put_person", username="Barack", groups=[])
    assert allowed() == ([], until)
    probe.data(BASE, "put_person", username="Barack", groups=["Cleaners"], valid_until=None)
    assert allowed() == (["Cleaners"], None)


def test_what_set_access_leaves_out_stays_and_what_is_empty_is_cleared(
    door: Doorway, probe: Probe
) -> None:
    probe.data(BASE, "set_group", group="Cleaners")
    probe.data(BASE, "set_access", username="Anna", groups=["Cleaners"], valid_from="2026-01-01")
    probe.data(BASE, "set_access", username="Anna", valid_until="2030-01-01", confirm=True)
    person = door.services.rules.person("Anna")
    assert person.groups == {"Cleaners"}
    assert person.valid_from is not None
    late = {"username": "Anna", "valid_from": "2031-01-01", "confirm": True}
    assert (
        probe.error(BASE, "set_access", **late) == "period_invalid"
    )  # after the end that is there
    probe.data(BASE, "set_access", username="Anna", valid_from=None, confirm=True)
    person = door.services.rules.person("Anna")
    assert person.groups == {"Cleaners"}
    assert person.valid_from is None
    assert person.valid_until is not None
    probe.data(BASE, "set_access", username="Anna", groups=[])
    assert door.services.rules.person("Anna").groups == frozenset()


def test_set_access_answers_with_what_is_in_force_after_it(probe: Probe, door: Doorway) -> None:
    assert door.services.rules.stored.groups == frozenset()
    probe.data(BASE, "set_group", group="Cleaners")
    probe.data(BASE, "set_rule", rule=cleaning())
    wanted = {"username": "Anna", "groups": ["Cleaners"], "valid_until": "2030-01-01"}
    answered = probe.data(BASE, "set_access", **wanted)
    assert (answered["groups"], answered["always"]) == (["Cleaners"], False)
    assert answered["valid_until"] == "2030-01-02T00:00+01:00"
    assert [rule["name"] for rule in answered["rules"]] == ["Cleaning"]
    assert answered == probe.data(BASE, "access", username="Anna")
    expired = probe.data(
        BASE, "set_access", username="Anna", valid_until="2026-01-01", confirm=True
    )
    assert [each["reason"] for each in expired["now"]] == ["expired"]
    assert expired == probe.data(BASE, "access", username="Anna")


def fail_after_setting_a_group(door: Doorway) -> None:
    with door.people.changing():
        door.services.rules.set_group("Two", None)
        door.services.rules.check_groups(["Three"])


def test_a_change_that_failed_halfway_is_not_in_force(door: Doorway) -> None:
    with door.people.changing():
        door.services.rules.set_group("One", None)
    with pytest.raises(GroupUnknown):
        fail_after_setting_a_group(door)
    assert door.services.rules.stored.groups == {"One"}


def test_a_rule_that_cannot_be_read_lets_nobody_pass_and_stops_nothing(
    tmp_path: Path, broker: Mosquitto, engine: VisionEngine
) -> None:
    settings = door_settings(tmp_path, broker.port)
    with Database.open(settings.store.path) as database:
        Users(database).add(
            "Anna",
            [some_look(1).descriptors["sface"]],
            WEDNESDAY_EVENING,
            recognizer="sface",
            source="cli",
        )
        store = RuleStore(database)
        store.add_group("Staff")
        for content in ("{", "[]", "{}", '{"name": "A", "hours": []}', '{"name": "B", "x": 1}'):
            store.put_rule(None, content, ["Staff"])
        store.put_person("Anna", StoredPerson(frozenset({"Staff"})))
    with Doorway(settings, engine) as running:
        assert running.services.rules.rules() == ()
        assert ruled(running, "Anna") is Reason.NOT_ALLOWED_HERE
        running.people.delete("Anna", WEDNESDAY_EVENING, source="cli")
        with pytest.raises(GroupInUse):
            running.services.rules.delete_group("Staff")


@pytest.fixture
def sealed(path: Path) -> Iterator[Database]:
    with Database.open(path, STORE_KEY) as database:
        yield database


def fill(database: Database) -> RuleStore:
    Users(database).add(
        "Anna",
        [some_look(1).descriptors["sface"]],
        WEDNESDAY_EVENING,
        recognizer="sface",
        source="cli",
    )
    store = RuleStore(database)
    store.add_group("Xyzzy cleaners")
    store.put_rule(None, '{"name": "Xyzzy rule"}', ["Xyzzy cleaners"])
    store.put_holidays({WEDNESDAY_EVENING.date(): "Xyzzy day"})
    store.put_person("Anna", StoredPerson(frozenset({"Xyzzy cleaners"}), None, WEDNESDAY_EVENING))
    return store


def test_names_of_groups_rules_and_holidays_do_not_lie_in_plain(
    sealed: Database, path: Path
) -> None:
    before = fill(sealed).read()
    sealed.scrub()
    for file in path.parent.glob(path.name + "*"):
        assert b"Xyzzy" not in file.read_bytes()
    assert [rule.content for rule in before.rules] == ['{"name": "Xyzzy rule"}']
    assert before.people["Anna"].valid_until == WEDNESDAY_EVENING


def test_rules_stay_the_same_when_the_store_is_sealed_and_its_keys_are_changed(
    path: Path, tmp_path: Path
) -> None:
    with Database.open(path) as database:
        plain = fill(database).read()
    key = DoorKey.load_or_make(tmp_path / "door.key")
    assert encrypt(path, STORE_KEY, key, "ostiary/test", WEDNESDAY_EVENING)
    rotate(path, STORE_KEY, WEDNESDAY_EVENING)
    with Database.open(path, STORE_KEY) as database:
        store = RuleStore(database)
        assert store.read() == plain
        store.add_group("Xyzzy cleaners")  # known by its older sealed form
        assert store.read() == plain
        rotation = Rotation(database)
        while rotation.step():
            pass
        assert store.read() == plain
    with Database.open(path) as locked:
        assert RuleStore(locked).read().people == {}
