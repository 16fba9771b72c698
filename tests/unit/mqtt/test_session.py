"""The small parts of the MQTT side."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ostiary.mqtt.connection import Connection, Incoming
from ostiary.mqtt.security import read_password
from ostiary.mqtt.session import AckOrder, Backoff
from ostiary.mqtt.topics import Topics
from ostiary.settings import MqttSettings

TOPICS = Topics("ostiary/door")


@pytest.mark.parametrize(
    ("topic", "command"),
    [
        ("ostiary/door/request/ping", "ping"),
        ("ostiary/door/request/", None),
        ("ostiary/door/request/a/b", None),
        ("ostiary/door/response/ping", None),
        ("ping", None),
        ("", None),
    ],
)
def test_the_command_is_the_last_level_of_a_request_topic(topic: str, command: str | None) -> None:
    assert TOPICS.command_of(topic) == command


def test_waiting_grows_to_a_limit_with_jitter_and_begins_anew() -> None:
    backoff = Backoff(1.0, 8.0)
    waits = [backoff.wait_s() for _ in range(50)]
    for wait, step in zip(waits, [1, 2, 4, *[8] * 47], strict=True):
        assert step / 2 <= wait <= step
    assert len(set(waits[3:])) > 1
    backoff.reset()
    assert backoff.wait_s() <= 1.0


@dataclass(eq=False)
class Recorder:
    """Stands where a connection is, and keeps the order of acknowledgements."""

    mids: list[int] = field(default_factory=list)

    def acknowledge(self, incoming: Incoming) -> None:
        self.mids.append(incoming.mid)


def arrive(order: AckOrder, recorder: Recorder, mid: int) -> Incoming:
    incoming = Incoming(cast(Connection, recorder), "t", b"", mid, 1, dup=False, retain=False)
    order.arrived(incoming)
    return incoming


@given(st.permutations(range(1, 12)))
def test_commands_are_acknowledged_in_the_order_of_arrival(done: list[int]) -> None:
    order, recorder = AckOrder(), Recorder()
    arrived = {mid: arrive(order, recorder, mid) for mid in range(1, 12)}
    for mid in done:
        order.done(arrived[mid])
        assert recorder.mids == list(range(1, len(recorder.mids) + 1))
    assert recorder.mids == list(range(1, 12))


def test_a_command_of_a_lost_connection_is_never_acknowledged_on_the_next() -> None:
    order, first, second = AckOrder(), Recorder(), Recorder()
    old = arrive(order, first, 7)
    new = arrive(order, second, 7)
    order.done(old)
    assert (first.mids, second.mids) == ([], [])
    order.done(new)
    assert (first.mids, second.mids) == ([], [7])


def test_a_password_file_that_windows_wrote_has_the_same_password(tmp_path: Path) -> None:
    path = tmp_path / "password"
    path.write_bytes("\ufeffgeheim ß\r\n".encode())
    settings = MqttSettings(username="door", password_file=path)
    assert read_password(settings) == "geheim ß"
