"""A door that is made to read its settings again, and again."""

import signal
import sqlite3
import time
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from testing.broker import Mosquitto
from testing.cameras import until
from testing.daemon import BASE, DaemonProcess, write_config
from testing.enrolment import register_at_the_camera
from testing.ports import free_port
from testing.probe import Probe
from testing.recognizing import written
from testing.waiting import wait_until

WARM_UP, MANY = 3, 12
"""The first reloads fill what the allocator and the libraries keep for good; a leak goes on."""
GROWN_MB = 100
"""Over many reloads: a leak of nine at each is found."""
MORE = """\
[access]
cooldown_s = 1200
[http]
enabled = true
port = {port}
"""
GRANTED = "SELECT COUNT(*) FROM events WHERE reason = 'granted'"


def memory_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    (line,) = (line for line in status.splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def descriptors(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


@pytest.mark.parametrize("reloads", [2, pytest.param(MANY, marks=pytest.mark.long)])
def test_reloads_neither_leak_nor_forget_who_was_let_in_a_moment_ago(
    tmp_path: Path, models: Path, portraits: Path, reloads: int
) -> None:
    frames = [(portraits / name).read_bytes() for name in ("obama.jpg", "obama2.jpg", "obama3.jpg")]
    camera = written(tmp_path / "camera", frames)
    with Mosquitto(tmp_path / "broker") as broker:
        config = write_config(tmp_path, broker.port, models, camera, MORE.format(port=free_port()))
        with DaemonProcess(config) as daemon, Probe(broker.port, f"{BASE}/#") as probe:
            probe.wait_for(f"{BASE}/availability", b"online")
            register_at_the_camera(probe, "obama")
            until(lambda: granted(tmp_path) == 1)
            before = (0.0, 0)
            for number in range(WARM_UP + reloads):
                if number == WARM_UP:
                    before = memory_mb(daemon.pid), descriptors(daemon.pid)
                daemon.send(signal.SIGHUP)
                wait_until(partial(has_started, daemon, number + 2), "the new App")
                time.sleep(1.0)  # a few frames of the person who stands there
            if reloads == MANY:  # of a few the allocator's own swing of 60 MB is all that is seen
                until(lambda: memory_mb(daemon.pid) < before[0] + GROWN_MB)
            after = memory_mb(daemon.pid), descriptors(daemon.pid)
            assert granted(tmp_path) == 1
    assert after[1] <= before[1] + 2, f"descriptors: {before[1]}, then {after[1]}"


def has_started(daemon: DaemonProcess, times: int) -> bool:
    return daemon.log.count('"started"') == times


def granted(folder: Path) -> int:
    with closing(sqlite3.connect(folder / "ostiary.db")) as database:
        count: int = database.execute(GRANTED).fetchone()[0]
    return count
