"""Somebody with rights of their own at the broker, or who makes it hold things back: they throw no
door off the bus, open none in a lockdown, learn of no duress, and put no earlier database back."""

import json
import shutil
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog

from ostiary.clock import utc_now
from ostiary.commands.log_check import accept_log
from ostiary.messages.decision import Decision
from ostiary.messages.words import DoorWhat, Mode, Reason
from ostiary.mqtt.paho_client import PahoClient
from ostiary.mqtt.security import door_key
from ostiary.store.backup import backup
from ostiary.store.database import Database
from ostiary.store.events import Events
from ostiary.store.restore import restore
from ostiary.vision.engine import VisionEngine
from testing.broker import Mosquitto
from testing.certificates import Authority
from testing.doorway import BASE as TEST
from testing.doorway import Doorway, door_settings
from testing.faces import some_look
from testing.probe import Probe
from testing.secure_broker import BASE, EVERYTHING, SHIPPED, client, secure, start_broker
from testing.waiting import PATIENCE_S, wait_until

ACL = (SHIPPED / "ostiary.acl").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture
def secured(tmp_path: Path, authority: Authority) -> Iterator[Mosquitto]:
    certificate = authority.issue("broker", host="127.0.0.1")
    running = start_broker(tmp_path / "broker", authority, certificate)
    yield running
    running.kill()


def grant(events: Events, *, duress: bool = False, source: str = "front") -> int:
    return events.append_login(
        Decision(Reason.GRANTED, "Ada"), source=source, now=datetime.now(UTC), duress=duress
    ).seq


# --- the door's place on the bus ------------------------------------------------------------------


@pytest.mark.parametrize("name", ["ostiary-door", "door", "ostiary-door-site", ""])
def test_no_other_certificate_throws_the_door_off_the_bus(
    tmp_path: Path, secured: Mosquitto, authority: Authority, engine: VisionEngine, name: str
) -> None:
    """A reader connects under the door's client id, as often as it likes."""
    settings = secure(tmp_path, secured.port, authority)
    with (
        client(secured, authority, "operator", EVERYTHING) as operator,
        Doorway(settings, engine) as door,
    ):
        connection = door.mqtt._client.connection
        assert connection is not None
        for _ in range(5):
            with client(secured, authority, "reader", f"{BASE}/state", client_id=name):
                pass
        assert operator.ask(BASE, "ping", {})["status"] == "ok"
        assert door.mqtt._client.connection is connection
        assert connection.alive


def test_commands_that_wait_for_the_door_are_nobody_elses(
    tmp_path: Path, secured: Mosquitto, authority: Authority, engine: VisionEngine
) -> None:
    """The door is away for a moment; a reader takes its client id, with a clean start."""
    settings = secure(tmp_path, secured.port, authority)
    with Doorway(settings, engine):
        pass
    with client(secured, authority, "operator", EVERYTHING) as operator:
        operator.send(f"{BASE}/request/ping", {"transaction": "lockdown"})
        for name in ("ostiary-door", "door"):
            with client(secured, authority, "reader", client_id=name):
                pass
        with Doorway(settings, engine):
            assert operator.response(BASE, "ping", "lockdown")["status"] == "ok"


def test_a_keypad_speaks_to_its_own_door_and_an_operator_hears_of_no_duress(
    tmp_path: Path, secured: Mosquitto, authority: Authority, engine: VisionEngine
) -> None:
    settings = secure(tmp_path, secured.port, authority)
    with (
        client(secured, authority, "keypad") as keypad,
        client(secured, authority, "operator", EVERYTHING) as operator,
        client(secured, authority, "guard", EVERYTHING) as guard,
        Doorway(settings, engine) as door,
    ):
        keypad.send("ostiary/vault/request/credential", {"pin": "471108"})
        keypad.wait_refused(1)
        grant(door.events, duress=True)
        assert guard.wait(f"{BASE}/duress")
        assert operator.wait(f"{BASE}/event/login")
        assert f"{BASE}/duress" not in {heard.topic for heard in operator.heard}


# --- answers --------------------------------------------------------------------------------------


@pytest.mark.parametrize("other", ["door", "ping", "register", "set_pin", "door/x"])
def test_an_answer_is_not_led_to_where_another_commands_are_heard(
    tmp_path: Path, broker: Mosquitto, engine: VisionEngine, other: str
) -> None:
    """A keypad asks for the answer to its own message where an operator waits for one."""
    with (
        Doorway(door_settings(tmp_path, broker.port), engine),
        Probe(broker.port, f"{TEST}/#") as probe,
    ):
        forged = {"door": "front", "pin": "4711", "transaction": "the operator's"}
        topic = f"{TEST}/response/{other}"
        probe.send(f"{TEST}/request/credential", forged, response_topic=topic)
        refused = probe.response(TEST, "credential", "the operator's")
        assert refused["error"]["code"] == "not_allowed"
        assert probe.of(topic) == []


def test_an_answer_may_still_go_where_a_client_listens_of_its_own(
    tmp_path: Path, broker: Mosquitto, engine: VisionEngine
) -> None:
    with (
        Doorway(door_settings(tmp_path, broker.port), engine),
        Probe(broker.port, f"{TEST}/#") as probe,
    ):
        for topic in (f"{TEST}/response/mine", f"{TEST}/response/ping", f"{TEST}/response/ping/7"):
            probe.send(f"{TEST}/request/ping", {"transaction": topic}, response_topic=topic)
            assert probe.wait(topic)[0].json["status"] == "ok"


# --- a lockdown -----------------------------------------------------------------------------------


@pytest.mark.parametrize("ended", [False, True], ids=["goes on", "has ended"])
def test_a_grant_that_waited_for_the_broker_opens_nothing_after_a_lockdown(
    tmp_path: Path, broker: Mosquitto, engine: VisionEngine, *, ended: bool
) -> None:
    """Made while the broker was away, and still fresh when it is back."""
    settings = door_settings(tmp_path, broker.port)
    with Database.open(settings.store.path, None, door_key(settings)) as database:
        events = Events(database)
        for what in (grant, lockdown, grant):
            what(events)
        grant(events, source="back")
        if ended:
            normal(events)
    doors = door_events(settings, engine, broker, "front" if not ended else "")
    assert sorted(each["source"] for each in doors) == (["back", "front"] if ended else ["back"])
    assert len({each["seq"] for each in doors} & {1}) == 0, "the one before it opens nothing"


def lockdown(events: Events) -> None:
    mode(events, Mode.LOCKDOWN)


def normal(events: Events) -> None:
    mode(events, Mode.NORMAL)


def mode(events: Events, to: Mode) -> None:
    events.append_entrance(door="front", what=DoorWhat.MODE, now=datetime.now(UTC), mode=to)


def door_events(
    settings: Any, engine: VisionEngine, broker: Mosquitto, locked: str
) -> list[dict[str, Any]]:
    """What a door says to locks that comes to the bus now, with one of its doors in a lockdown."""
    with Probe(broker.port, f"{TEST}/#") as probe:
        door = Doorway(settings, engine)
        door.mqtt._publisher._locked_down = lambda source: source == locked
        with door:
            probe.wait(f"{TEST}/event/login", 3)
            wait_until(lambda: door.events.queue_length() == 0, "all events to be delivered")
            probe.ask(TEST, "ping", {})  # the broker hands on the answer after all of them
        return [heard.json for heard in probe.of(f"{TEST}/door")]


# --- duress ---------------------------------------------------------------------------------------


@pytest.fixture
def unhurried_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    """A slow broker, too, says in time whether it takes duress."""
    monkeypatch.setattr("ostiary.mqtt.paho_client.CONNECT_TIMEOUT_S", PATIENCE_S)


def without_duress(acl: str) -> str:
    return acl.replace("topic write ostiary/door/duress\n", "")


@pytest.mark.usefixtures("unhurried_trial")
def test_where_the_broker_takes_no_duress_it_is_said_at_once_and_nothing_changes_with_it(
    tmp_path: Path, authority: Authority, engine: VisionEngine
) -> None:
    """An access list of before there was duress: who reads the state learns nothing."""
    certificate = authority.issue("broker", host="127.0.0.1")
    old = start_broker(tmp_path / "broker", authority, certificate, without_duress(ACL))
    settings = secure(tmp_path, old.port, authority)
    try:
        with (
            client(old, authority, "reader", EVERYTHING) as reader,
            Doorway(settings, engine) as door,
        ):
            assert "duress_refused" in door.mqtt.problems
            before = (door.mqtt.problems, door.mqtt.refused_topics)
            with structlog.testing.capture_logs() as logs:
                for duress in (True, False, True):
                    grant(door.events, duress=duress)
                assert len(reader.wait(f"{BASE}/event/login", 3)) == 3
                wait_until(lambda: door.events.queue_length() == 0, "all to be delivered")
            assert (door.mqtt.problems, door.mqtt.refused_topics) == before
            assert not [each for each in logs if "duress" in str(each)]
    finally:
        old.kill()


@pytest.mark.usefixtures("unhurried_trial")
def test_the_trial_is_heard_by_nobody_and_told_duress_by_the_guard(
    tmp_path: Path,
    secured: Mosquitto,
    authority: Authority,
    engine: VisionEngine,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    may_let_go, release = threading.Event(), PahoClient.release

    def later(client: PahoClient) -> None:
        """The door lets a trial go by itself some seconds later; here not before it was seen."""
        if may_let_go.is_set():
            release(client)

    monkeypatch.setattr(PahoClient, "release", later)
    settings = secure(tmp_path, secured.port, authority)
    with (
        client(secured, authority, "guard", EVERYTHING) as guard,
        Doorway(settings, engine) as door,
    ):
        assert "duress_refused" not in door.mqtt.problems
        connection = door.mqtt._client.connection
        assert connection is not None
        assert connection._client._tried
        may_let_go.set()
        wait_until(lambda: not connection._client._tried, "the trial to be let go")
        grant(door.events, duress=True)
        assert guard.wait(f"{BASE}/duress")[0].json["username"] == "Ada"
        assert len(guard.of(f"{BASE}/duress")) == 1
        assert connection.alive


@pytest.mark.usefixtures("unhurried_trial")
def test_who_was_forced_is_told_as_soon_as_the_broker_takes_it(
    tmp_path: Path, authority: Authority, engine: VisionEngine
) -> None:
    certificate = authority.issue("broker", host="127.0.0.1")
    old = start_broker(tmp_path / "broker", authority, certificate, without_duress(ACL))
    settings = secure(tmp_path, old.port, authority)
    try:
        with (
            client(old, authority, "guard", EVERYTHING, client_id="guard") as guard,
            Doorway(settings, engine) as door,
        ):
            grant(door.events, duress=True)
            wait_until(lambda: door.events.queue_length() == 0, "it to be delivered")
            old.stop()  # in order, so that it keeps for the guard what comes before they are back
            (tmp_path / "broker" / "other.acl").write_text(ACL, encoding="utf-8")
            old.start()
            assert guard.wait(f"{BASE}/duress")[0].json["username"] == "Ada"
            assert "duress_refused" not in door.mqtt.problems
    finally:
        old.kill()


# --- an earlier database --------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def signed_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ostiary.mqtt.publisher._PRUNE_EVERY_S", 0.2)


def head_on(broker: Mosquitto) -> dict[str, Any]:
    with Probe(broker.port, f"{TEST}/log") as probe:
        found: dict[str, Any] = probe.wait(f"{TEST}/log")[0].json
        return found


@pytest.fixture
def put_back(tmp_path: Path, broker: Mosquitto, engine: VisionEngine) -> tuple[Any, dict[str, Any]]:
    """Ada was deleted; then a copy of the file from before is put in its place. The settings, and
    the head that the bus keeps."""
    settings = door_settings(tmp_path, broker.port)
    with Doorway(settings, engine) as door:
        door.people.register("Ada", [some_look()], utc_now(), source="cli")
        backup(settings.store.path, tmp_path / "earlier.db")
        door.people.delete("Ada", utc_now(), source="cli")
        grant(door.events)
        wait_until(lambda: door.events.queue_length() == 0, "all to be delivered")
        newest = door.events.last_seq()
        wait_until(lambda: head_on(broker)["position"] >= newest, "all to be signed")
    for end in ("-wal", "-shm"):
        settings.store.path.with_name(settings.store.path.name + end).unlink(missing_ok=True)
    return settings, head_on(broker)


def test_an_earlier_database_that_was_put_back_is_an_alarm_and_the_proof_stays(
    tmp_path: Path, broker: Mosquitto, engine: VisionEngine, put_back: tuple[Any, dict[str, Any]]
) -> None:
    settings, head = put_back
    shutil.copy(tmp_path / "earlier.db", settings.store.path)
    for more in (1, 5):  # fewer events than before, and more: they do not hide it
        with Doorway(settings, engine) as door:
            assert door.people.has("Ada")
            for _ in range(more):
                grant(door.events)
            wait_until(lambda: "log_put_back" in door.mqtt.problems, "the alarm")
            time.sleep(1)
            assert head_on(broker) == head
    with Database.open(settings.store.path, None, door_key(settings)) as database:
        accept_log(database, utc_now())
    with Doorway(settings, engine) as door:
        wait_until(lambda: head_on(broker) != head, "a new head to be told")
        assert "log_put_back" not in door.mqtt.problems


def test_a_backup_that_an_operator_restored_is_none(
    tmp_path: Path, broker: Mosquitto, engine: VisionEngine, put_back: tuple[Any, dict[str, Any]]
) -> None:
    settings, head = put_back
    key = door_key(settings)
    restore(tmp_path / "earlier.db", settings.store.path, utc_now(), door_key=key)
    with Doorway(settings, engine) as door:
        wait_until(lambda: head_on(broker) != head, "a new head to be told")
        assert door.mqtt.problems == ()
        assert not door.people.has("Ada")


def test_a_restoring_that_was_written_by_hand_is_no_excuse(
    tmp_path: Path, engine: VisionEngine, put_back: tuple[Any, dict[str, Any]]
) -> None:
    settings, _ = put_back
    shutil.copy(tmp_path / "earlier.db", settings.store.path)
    with Database.open(settings.store.path) as database:  # without the door's key
        accept_log(database, utc_now() + timedelta(days=1))
    with Doorway(settings, engine) as door:
        wait_until(lambda: "log_put_back" in door.mqtt.problems, "the alarm")


def test_a_head_of_somebody_elses_making_is_no_alarm(
    tmp_path: Path, broker: Mosquitto, engine: VisionEngine
) -> None:
    settings = door_settings(tmp_path, broker.port)
    forged = {
        "door": TEST, "position": 10**9, "link": "0" * 64, "signature": "AAAA",
        "signed_at": "2026-05-01T00:00:00.000Z",
    }  # fmt: skip
    with Probe(broker.port, f"{TEST}/log") as vandal:
        for payload in (b"\xff", b"[" * 10_000, json.dumps(forged).encode()):
            vandal.send(f"{TEST}/log", payload, retain=True)
        vandal.wait(f"{TEST}/log", 3)
    with Doorway(settings, engine) as door:
        grant(door.events)
        wait_until(lambda: head_on(broker)["position"] < 10**9, "the door's own head to be told")
        assert door.mqtt.problems == ()
