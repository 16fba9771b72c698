"""Commands that are large, many or slow fill no disk and keep no lockdown waiting."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ostiary.commands import people
from ostiary.commands.registry import MQTT, Asker, Context
from ostiary.commands.services import CommandLimits
from ostiary.errors import OstiaryError, TimedOut
from ostiary.messages.commands.people import RegisterRequest
from ostiary.store.command_log import LONGEST, CommandKey, CommandLog
from ostiary.store.database import Database
from ostiary.vision.arrays import BGRImage
from ostiary.vision.engine import VisionEngine
from ostiary.vision.face import Face
from testing.broker import Mosquitto
from testing.doorway import BASE, Doorway, door_settings
from testing.probe import Probe
from testing.waiting import PATIENCE_S

NOW = datetime(2026, 11, 29, tzinfo=UTC)
LONG = 60_000


@pytest.fixture
def probe(broker: Mosquitto) -> Iterator[Probe]:
    with Probe(broker.port, f"{BASE}/response/#") as running:
        yield running


def kept(database: Database) -> int:
    """Bytes of the largest recorded command."""
    with database.reading() as connection:
        sizes = connection.execute(
            "SELECT MAX(LENGTH(requester) + LENGTH(transaction_id) + LENGTH(digest)"
            " + LENGTH(answer)) FROM commands"
        )
        return int(sizes.fetchone()[0] or 0)


def test_long_properties_of_a_command_are_not_kept(
    tmp_path: Path, broker: Mosquitto, probe: Probe, engine: VisionEngine
) -> None:
    with Doorway(door_settings(tmp_path, broker.port), engine) as door:
        topic, request = f"{BASE}/request/delete", {"username": "Ada"}
        for _ in range(2):
            probe.send(topic, request, correlation=b"c" * LONG)
        answers = probe.wait(f"{BASE}/response/delete", 2)
        assert {each.json["error"]["code"] for each in answers} == {"user_unknown"}
        assert 0 < kept(door.database) < 1000
        probe.send(topic, request, response_topic=f"{BASE}/response/{'r' * LONG}")
        refused = probe.wait(f"{BASE}/response/delete", 3)[-1].json
        assert refused["error"]["code"] == "not_allowed"
        assert kept(door.database) < 1000


def test_different_long_properties_do_not_meet(tmp_path: Path) -> None:
    with Database.open(tmp_path / "door.db") as database:
        log = CommandLog(database)
        one, other = (
            CommandKey.of("delete", b"c" * LONG + end, b"{}", "r" * LONG) for end in (b"1", b"2")
        )
        log.record(one, b"ok", NOW)
        assert log.answer(one) == b"ok"
        assert log.answer(other) is None
        assert len(one.transaction) < LONGEST
        assert len(one.requester) < LONGEST


def test_an_error_that_says_again_what_was_sent_is_kept_short(
    tmp_path: Path, broker: Mosquitto, engine: VisionEngine
) -> None:
    door = Doorway(door_settings(tmp_path, broker.port), engine, ("a", Slow()), ("b", Slow()))
    request = RegisterRequest(username="Ada", source="camera", camera="c" * 1_000_000)
    key = CommandKey.of("register", "t", b"{}")
    with pytest.raises(OstiaryError):
        door.commands.run(people.register, request, Context("mqtt", Asker(None, MQTT), key=key))
    assert 0 < kept(door.database) < 5000
    door.database.close()


class Slow:
    """A camera before which nobody comes until the test says so."""

    latest: BGRImage | None = None

    def __init__(self) -> None:
        self.is_asked = threading.Event()
        self.may_come = threading.Event()

    def ask(self, pose: str | None) -> None:
        """They see it in their own time."""

    requires_movement = True

    def live_score(self, bgr: BGRImage, face: Face) -> float:  # noqa: ARG002
        return 0.0

    def capture(self, timeout: float, *, alive: bool = True) -> BGRImage:  # noqa: ARG002
        self.is_asked.set()
        if not self.may_come.wait(timeout):
            raise TimedOut("Nobody came.")
        return np.zeros((48, 64, 3), np.uint8)


class Guard:
    """A door that is told how to be run."""

    def __init__(self) -> None:
        self.modes: list[str] = []

    def set_mode(self, mode: str, _by: str) -> None:
        self.modes.append(str(mode))

    def state(self) -> Any:
        raise OstiaryError("It is not asked how it is here.")


def test_a_lockdown_does_not_wait_for_other_commands(
    tmp_path: Path, broker: Mosquitto, probe: Probe, engine: VisionEngine
) -> None:
    """Seventeen pictures wait for somebody who does not come; the lockdown is done meanwhile."""
    camera, guard = Slow(), Guard()
    settings = door_settings(tmp_path, broker.port)
    doors, limits = {"front": guard}, CommandLimits(camera_s=120.0)
    with Doorway(settings, engine, ("front", camera), doors=doors, limits=limits):
        for number in range(17):
            request = {"username": f"Ada {number}", "source": "camera", "transaction": number}
            probe.send(f"{BASE}/request/register", request)
            assert camera.is_asked.wait(PATIENCE_S)  # the others wait behind the first
        probe.send(f"{BASE}/request/door", {"action": "lockdown"})
        probe.wait(f"{BASE}/response/door")
        assert guard.modes == ["lockdown"]
        assert not probe.of(f"{BASE}/response/register")
        camera.may_come.set()


def test_a_keypads_messages_of_megabytes_are_refused_before_anything_is_done(
    tmp_path: Path, broker: Mosquitto, probe: Probe, engine: VisionEngine
) -> None:
    guard = Guard()
    with Doorway(door_settings(tmp_path, broker.port), engine, doors={"front": guard}):
        large = '{"pin": "' + "1" * 8_000_000 + '"}'
        for _ in range(17):
            probe.send(f"{BASE}/request/credential", large)
        probe.send(f"{BASE}/request/door", {"action": "lockdown"})
        heard = probe.wait(f"{BASE}/response/credential", 17, 3 * PATIENCE_S)  # after 136 MB
        assert {each.json["error"]["code"] for each in heard} == {"request_too_large"}
        probe.wait(f"{BASE}/response/door")
        assert guard.modes == ["lockdown"]
