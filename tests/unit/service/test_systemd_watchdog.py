"""The watchdog is fed only while every thread that matters is at work."""

import socket
import threading
import time
from pathlib import Path

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
    hang, release = threading.Event(), threading.Event()
    beats = Heartbeats()

    def work(name: str, may_hang: bool) -> None:
        beat = beats.expect(name, 0.3)
        while not release.wait(0.05):
            if may_hang and hang.is_set():
                release.wait()
                return
            beat()

    threads = [
        threading.Thread(target=work, args=("recognition-front", True)),
        threading.Thread(target=work, args=("publisher", False)),
    ]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.setblocking(False)
        watchdog = Watchdog(Notifier(str(tmp_path / "notify"), watchdog_s=3.0), beats)
        assert watchdog.every_s == 1.0
        for thread in threads:
            thread.start()
        try:
            time.sleep(0.4)
            assert watchdog.feed() == ()
            assert systemd.recv(100) == b"WATCHDOG=1"
            hang.set()
            time.sleep(0.6)
            assert watchdog.feed() == ("recognition-front",)
            try:
                heard: bytes | None = systemd.recv(100)
            except BlockingIOError:
                heard = None
            assert heard is None
        finally:
            release.set()
            for thread in threads:
                thread.join()
