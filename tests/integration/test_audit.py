"""Each command that changes something leaves one row of the audit: who asked, by what way, what."""

import base64
import getpass
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import requests

from ostiary.cli.door import RemoteDoor, new_client_id
from ostiary.commands.commands import COMMANDS
from ostiary.commands.registry import LOCAL, AnyCommand, Asker, Context
from ostiary.errors import DatabaseUnwritable, TimedOut
from ostiary.local import server as local_server
from ostiary.local.client import LocalDoor
from ostiary.local.server import LocalServer
from ostiary.messages.commands.device import ReloadAnswer, ReloadRequest
from ostiary.mqtt.broker import login_of
from ostiary.mqtt.door import MqttDoor
from ostiary.mqtt.security import command_signer
from ostiary.mqtt.topics import Topics
from ostiary.store.announced import Announced
from ostiary.store.audit import Audit
from ostiary.store.command_log import CommandLog
from ostiary.vision.engine import VisionEngine
from testing.broker import Mosquitto
from testing.console import ConsoleDoor, console_settings
from testing.waiting import PATIENCE_S, wait_until

Ask = Callable[[AnyCommand, dict[str, Any]], object]
Step = tuple[str, dict[str, Any], str, str]
EVENTS_ANYWAY = {"login", "credential"}
"""What came of these is an event, granted or denied."""

ROUTES = {
    "register": "POST users",
    "add_template": "POST users/{username}/templates",
    "remove_template": "DELETE users/{username}/templates/{template}",
    "set_group": "POST groups",
    "delete_group": "DELETE groups/{group}",
    "set_access": "PUT users/{username}/access",
    "set_rule": "PUT rules",
    "delete_rule": "DELETE rules/{name}",
    "set_holidays": "PUT holidays",
    "set_pin": "PUT users/{username}/pin",
    "remove_pin": "DELETE users/{username}/pin",
    "add_card": "POST users/{username}/cards",
    "remove_card": "DELETE users/{username}/cards",
    "door": "POST doors/{door}",
    "put_person": "POST people/line",
    "delete": "DELETE users/{username}",
    "rename": "PATCH users/{username}",
}
NOT_BY_HTTP = {"share", "reload"}


class TheSite:
    """A site that knows whom it is told of."""

    is_shared = False

    def __init__(self) -> None:
        self.known: dict[str, datetime] = {}

    def usernames(self) -> frozenset[str]:
        return frozenset(self.known)

    def enrolled(self, username: str, now: datetime) -> None:
        self.known[username] = now

    def changed(self, username: str, now: datetime) -> None:
        pass

    def deleting(self, username: str, now: datetime) -> None:
        self.known.pop(username, now)

    def freed(self, name: str) -> None:
        pass


def steps(portraits: Path) -> list[Step]:
    """A request of each command that changes something, what is done by it, and to whom."""

    def picture(name: str) -> str:
        return base64.b64encode(portraits.joinpath(name).read_bytes()).decode()

    rule = {"name": "Day", "groups": ["Staff"]}
    ada, bea = {"username": "Ada"}, {"username": "Bea"}
    return [
        ("register", {**ada, "image": picture("obama.jpg")}, "user_registered", "Ada"),
        ("add_template", {**ada, "image": picture("obama2.jpg")}, "template_added", "Ada"),
        ("remove_template", {**ada, "template": 2}, "template_removed", "Ada"),
        ("rename", {**ada, "new_username": "Bea"}, "user_renamed", "Ada"),
        ("share", bea, "user_shared", "Bea"),
        ("share", {}, "users_shared", "0 people"),
        ("set_group", {"group": "All"}, "group_set", "All"),
        ("set_group", {"group": "All", "new_name": "Staff"}, "group_renamed", "All"),
        ("set_access", {**bea, "groups": ["Staff"], "confirm": True}, "access_set", "Bea"),
        ("set_rule", {"rule": rule, "confirm": True}, "rule_set", "Day"),
        ("set_access", {**bea, "groups": [], "confirm": True}, "access_set", "Bea"),
        ("delete_rule", {"name": "Day", "confirm": True}, "rule_deleted", "Day"),
        ("delete_group", {"group": "Staff"}, "group_deleted", "Staff"),
        (
            "set_holidays",
            {"holidays": [{"date": "2030-01-01"}]},
            "holidays_set",
            "1 holidays",
        ),
        ("set_pin", {**bea, "pin": "471108"}, "pin_set", "Bea"),
        ("remove_pin", bea, "pin_removed", "Bea"),
        ("add_card", {**bea, "card": "04A1B2C3"}, "card_added", "Bea"),
        ("remove_card", bea, "cards_removed", "Bea"),
        ("door", {"door": "front", "action": "open"}, "door_run", "front: open"),
        (
            "put_person",
            {"username": "Cy", "image": picture("biden.jpg")},
            "person_put",
            "Cy",
        ),
        ("reload", {}, "reloaded", ""),
        ("delete", bea, "user_deleted", "Bea"),
    ]


@contextmanager
def by_mqtt(door: ConsoleDoor) -> Iterator[Ask]:
    settings = door.settings
    log, announced = CommandLog(door.database), Announced(door.database)
    mqtt = MqttDoor(settings, door.commands, door.events, log, announced)
    mqtt.start()
    try:
        mqtt.wait_connected(60)
        login, signer = login_of(settings, new_client_id()), command_signer(settings.commands)
        with RemoteDoor(login, Topics.of(settings), signer) as remote:
            yield lambda command, given: remote.ask(
                command.name, command.request.model_validate(given), command.answer
            )
    finally:
        mqtt.stop()


@contextmanager
def by_http(door: ConsoleDoor) -> Iterator[Ask]:
    headers = {"Authorization": f"Bearer {door.token()}"}

    def ask(command: AnyCommand, given: dict[str, Any]) -> None:
        method, path = ROUTES[command.name].split()
        left = {key: value for key, value in given.items() if f"{{{key}}}" not in path}
        if command.name == "rename":
            left = {"username": left["new_username"]}
        how = {"params": left} if method == "DELETE" else {"json": left}
        url = f"{door.url}/api/v1/{path.format(**given)}"
        answer = requests.request(method, url, headers=headers, **how)  # type: ignore[arg-type]
        assert answer.ok, answer.text

    yield ask


@contextmanager
def by_command_line(door: ConsoleDoor) -> Iterator[Ask]:
    with door.at_its_socket() as local:
        yield lambda command, given: local.ask(
            command.name, command.request.model_validate(given), command.answer
        )


WAYS = {
    "unsigned MQTT": (by_mqtt, "mqtt", "mqtt"),
    "MQTT signed by a shared key": (by_mqtt, "mqtt", "mqtt, signed"),
    "MQTT signed by a client": (by_mqtt, "client:panel", "mqtt, signed"),
    "HTTP": (by_http, "token:test-operator", "127.0.0.1"),
    "command line": (by_command_line, f"local:{getpass.getuser()}", "local"),
}


def door_by(way: str, folder: Path, port: int, engine: VisionEngine, shows: Path) -> ConsoleDoor:
    keys = folder / "keys"
    keys.mkdir()
    keys.joinpath("panel").write_text(secrets.token_hex(32))  # white space would not count
    commands: dict[str, Any] = {"socket": folder / "commands.sock"}
    if "signed by" in way:
        commands |= {"signed": True, "signing_key_file": keys / "panel"}
    if "client" in way:
        commands |= {"signing_keys": keys, "signing_client": "panel"}
    settings = console_settings(folder, mqtt={"port": port}, commands=commands)
    return ConsoleDoor(settings, engine, shows=shows, reload=lambda: None)


@pytest.mark.parametrize("way", WAYS)
def test_each_change_leaves_one_row_with_who_asked_and_by_what_way(
    way: str, tmp_path: Path, broker: Mosquitto, engine: VisionEngine, portraits: Path
) -> None:
    come, actor, address = WAYS[way]
    nobody = tmp_path / "nobody"
    nobody.mkdir()
    cv2.imwrite(str(nobody / "dark.png"), np.zeros((480, 640, 3), np.uint8))
    with door_by(way, tmp_path, broker.port, engine, nobody) as door, come(door) as ask:
        door.people.join(TheSite())
        audit = Audit(door.database)
        for name, given, action, subject in steps(portraits):
            if come is by_http and name in NOT_BY_HTTP:
                continue
            before = len(audit.newest(100))
            ask(COMMANDS[name], given)
            new = audit.newest(100)[: -before or None]
            assert [(row.actor, row.address, row.action, row.subject) for row in new] == [
                (actor, address, action, subject)
            ], name


def test_a_deed_that_took_long_is_recorded_and_answered(
    tmp_path: Path, engine: VisionEngine
) -> None:
    def slow() -> None:
        wait_until(lambda: time.monotonic() > late, "the command's time to be over")

    with ConsoleDoor(console_settings(tmp_path), engine, reload=slow) as door:
        late = time.monotonic() + 3
        reload_now(door, deadline=late)
        assert Audit(door.database).newest(1)[0].action == "reloaded"
        with pytest.raises(TimedOut, match="had no effect"):
            reload_now(door, deadline=late)


def test_a_deed_that_cannot_be_recorded_is_said_to_be_done(
    tmp_path: Path, engine: VisionEngine
) -> None:
    def full() -> None:
        with door.database.transaction() as connection:
            connection.execute("PRAGMA query_only = ON")

    with (
        ConsoleDoor(console_settings(tmp_path), engine, reload=full) as door,
        pytest.raises(DatabaseUnwritable, match="It was done all the same"),
    ):
        reload_now(door)


def test_a_reload_by_the_socket_is_recorded_before_the_store_closes(
    tmp_path: Path, engine: VisionEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_server, "_STOP_WITHIN_S", PATIENCE_S)
    recorded: list[str] = []
    stopped = threading.Event()

    def close() -> None:
        server.stop()
        recorded.extend(row.action for row in Audit(door.database).newest(1))
        stopped.set()

    def as_the_daemon() -> None:
        threading.Thread(target=close).start()
        stopped.wait(0.3)  # it does not win by being quick

    settings = console_settings(tmp_path, commands={"socket": tmp_path / "commands.sock"})
    with ConsoleDoor(settings, engine, reload=as_the_daemon) as door:
        server = LocalServer(door.commands, settings)
        server.start()
        LocalDoor(settings.commands.socket).ask("reload", ReloadRequest(), ReloadAnswer)
        assert stopped.wait(PATIENCE_S)
    assert recorded == ["reloaded"]


def reload_now(door: ConsoleDoor, deadline: float | None = None) -> None:
    context = Context("cli", Asker(None, LOCAL), deadline=deadline)
    door.commands.run(COMMANDS["reload"], ReloadRequest(), context)


def test_no_command_that_changes_something_is_left_out(portraits: Path) -> None:
    changing = {name for name, command in COMMANDS.items() if command.changes}
    assert {name for name in changing if COMMANDS[name].deed is None} == EVENTS_ANYWAY
    asked = {name for name, *_ in steps(portraits)}
    assert asked == changing - EVENTS_ANYWAY
    assert set(ROUTES) == asked - NOT_BY_HTTP
