"""sd_notify, against a real datagram socket as systemd's is."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from ostiary.service.systemd import Notifier
from testing.datagrams import listening


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[socket.socket]:
    with listening(tmp_path / "notify") as listener:
        yield listener


@pytest.fixture
def notifier(systemd: socket.socket) -> Notifier:
    return Notifier(systemd.getsockname())


def test_ready_stopping_and_watchdog_are_said_in_systemds_words(
    systemd: socket.socket, notifier: Notifier
) -> None:
    notifier.ready()
    notifier.watchdog()
    notifier.stopping()
    assert [systemd.recv(100) for _ in range(3)] == [b"READY=1", b"WATCHDOG=1", b"STOPPING=1"]


def test_a_reload_carries_the_monotonic_clock(systemd: socket.socket, notifier: Notifier) -> None:
    notifier.reloading()
    reloading, clock = systemd.recv(100).decode().split("\n")
    assert reloading == "RELOADING=1"
    assert int(clock.removeprefix("MONOTONIC_USEC=")) > 0


def test_the_status_is_one_line_and_sent_only_when_it_changes(
    systemd: socket.socket, notifier: Notifier
) -> None:
    notifier.status("camera ok,\n12 users")
    notifier.status("camera ok,\n12 users")
    notifier.status("camera stalled")
    assert systemd.recv(100) == b"STATUS=camera ok, 12 users"
    assert systemd.recv(100) == b"STATUS=camera stalled"


def test_an_abstract_socket_is_understood() -> None:
    name = f"ostiary-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind("\0" + name)
        listener.settimeout(2)
        Notifier("@" + name).ready()
        assert listener.recv(100) == b"READY=1"


def test_nothing_is_said_outside_of_systemd() -> None:
    outside = Notifier.from_environment({})
    outside.ready()
    assert outside.watchdog_s is None


def test_a_supervisor_that_is_gone_does_not_stop_the_door(tmp_path: Path) -> None:
    Notifier(str(tmp_path / "nobody")).ready()


def test_the_watchdogs_patience_comes_from_systemd(systemd: socket.socket) -> None:
    given = {"NOTIFY_SOCKET": systemd.getsockname(), "WATCHDOG_USEC": "20000000"}
    assert Notifier.from_environment(given | {"WATCHDOG_PID": str(os.getpid())}).watchdog_s == 20.0
    assert Notifier.from_environment(given).watchdog_s == 20.0


def test_a_watchdog_meant_for_another_process_is_not_ours() -> None:
    given = {"WATCHDOG_USEC": "20000000", "WATCHDOG_PID": "1"}
    assert Notifier.from_environment(given).watchdog_s is None
