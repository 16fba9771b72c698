"""The watchdog is fed only while every thread that matters is at work."""

import socket
from pathlib import Path

import pytest

from ostiary.service.systemd import Heartbeats, Notifier, Watchdog


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_thread_is_fresh_from_the_moment_it_is_expected() -> None:
    beats = Heartbeats(Clock())
    beats.expect("recognition-front", 5)
    assert beats.stale() == ()


def test_a_thread_that_does_not_beat_in_time_is_stale_until_it_beats_again() -> None:
    clock = Clock()
    beats = Heartbeats(clock)
    recognition = beats.expect("recognition-front", 5)
    publisher = beats.expect("publisher", 5)
    clock.now += 4
    publisher()
    clock.now += 2
    assert beats.stale() == ("recognition-front",)
    recognition()
    assert beats.stale() == ()


def test_each_thread_has_its_own_patience() -> None:
    clock = Clock()
    beats = Heartbeats(clock)
    beats.expect("recognition-front", 5)
    beats.expect("publisher", 45)
    clock.now += 10
    assert beats.stale() == ("recognition-front",)


def test_systemd_hears_nothing_while_one_thread_of_several_hangs(tmp_path: Path) -> None:
    clock = Clock()
    beats = Heartbeats(clock)
    beats.expect("recognition-front", 5)
    publisher = beats.expect("publisher", 5)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.setblocking(False)
        watchdog = Watchdog(Notifier(str(tmp_path / "notify"), watchdog_s=3.0), beats)
        assert watchdog.every_s == 1.0
        assert watchdog.feed() == ()
        assert systemd.recv(100) == b"WATCHDOG=1"
        clock.now += 6
        publisher()
        assert watchdog.feed() == ("recognition-front",)
        with pytest.raises(BlockingIOError):
            systemd.recv(100)
