"""What a door keeps of its frame rate and memory while it is besieged: `python -m testing.siege`

Large bodies of nobody, slow ones, charts and long properties of commands, all at once and without
end, against the real daemon with broker, camera and console. Prints one JSON line.
"""

import argparse
import json
import multiprocessing
import os
import socket
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import timedelta
from multiprocessing.sharedctypes import Synchronized
from multiprocessing.synchronize import Event
from pathlib import Path

import requests

from ostiary.clock import utc_now
from ostiary.messages.decision import Decision
from ostiary.messages.words import Reason
from ostiary.store.accounts import Accounts, Role, Sessions
from ostiary.store.database import Database
from ostiary.store.events import Events
from testing.broker import Mosquitto
from testing.daemon import BASE, DaemonProcess, write_config
from testing.ports import free_port
from testing.probe import Probe
from testing.waiting import wait_until

EVENTS = 20_000
COOKIE = "SIEGE_COOKIE"
LARGE = 11_000_000
PACE_S = 0.2
"""Between two of one besieger's requests."""
SETTINGS = """
[service]
metrics_port = {metrics}
[http]
enabled = true
port = {http}
legacy_api = "token"
"""


@dataclass(frozen=True)
class Siege:
    """Frames a second with and without, the daemon's most memory in MB, and how often something
    was done to it."""

    quiet_fps: float
    besieged_fps: float
    most_mb: float
    attacks: int

    @property
    def kept(self) -> float:
        return self.besieged_fps / self.quiet_fps


def large_bodies(http: int, _mqtt: int) -> None:
    """H1: eleven megabytes, from nobody."""
    with suppress(requests.RequestException):
        url = f"http://127.0.0.1:{http}/api/v1/users"
        requests.post(url, data=b"[" + b"{}," * (LARGE // 3), timeout=30)


def charts(http: int, _mqtt: int) -> None:
    """M8: a viewer's page."""
    with suppress(requests.RequestException):
        cookie = {"Cookie": f"ostiary={os.environ[COOKIE]}"}
        requests.get(f"http://127.0.0.1:{http}/charts?days=30", headers=cookie, timeout=30)


def properties(_http: int, mqtt: int) -> None:
    """M7: sixty kilobytes of Correlation Data."""
    with Probe(mqtt) as probe:
        for number in range(20):
            mark = b"%d " % number + str(time.monotonic()).encode() + b"c" * 60_000
            probe.send(f"{BASE}/request/delete", {"username": "Nobody"}, correlation=mark)


def slow_bodies(http: int, _mqtt: int) -> None:
    """M13: as many as one address may have."""
    head = (
        b"POST /sign-in HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n"
        b"Content-Type: application/x-www-form-urlencoded\r\n\r\nname=a"
    )
    with ExitStack() as stack:
        for _ in range(64):
            with suppress(OSError):
                client = stack.enter_context(socket.create_connection(("127.0.0.1", http), 5))
                client.sendall(head)
        time.sleep(3.0)


BESIEGERS: dict[Callable[[int, int], None], int] = {
    large_bodies: 4,
    charts: 4,
    properties: 1,
    slow_bodies: 1,
}


def _besiege(
    attack: Callable[[int, int], None], http: int, mqtt: int, over: Event, done: "Synchronized[int]"
) -> None:
    while not over.is_set():
        with suppress(OSError, AssertionError):
            attack(http, mqtt)
            with done.get_lock():
                done.value += 1
        over.wait(PACE_S)


@contextmanager
def besieged(http: int, mqtt: int) -> Iterator["Synchronized[int]"]:
    """All of it, until the block ends; how often something was done."""
    context = multiprocessing.get_context("spawn")
    over, done = context.Event(), context.Value("i", 0)
    processes = [
        context.Process(target=_besiege, args=(attack, http, mqtt, over, done), daemon=True)
        for attack, count in BESIEGERS.items()
        for _ in range(count)
    ]
    for process in processes:
        process.start()
    try:
        yield done
    finally:
        over.set()
        for process in processes:
            process.join(40)
            process.kill()


def frames(metrics: int) -> float:
    text = urllib.request.urlopen(f"http://127.0.0.1:{metrics}/metrics", timeout=30).read().decode()
    lines = [line for line in text.splitlines() if line.startswith("ostiary_frames_total")]
    return sum(float(line.split()[-1]) for line in lines)


def memory_mb(process: int) -> float:
    status = Path(f"/proc/{process}/status").read_text()
    (resident,) = (line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))
    return int(resident) / 1000


def fps(metrics: int, seconds: float, look: Callable[[], object]) -> float:
    begun, before = time.monotonic(), frames(metrics)
    while (now := time.monotonic()) - begun < seconds:
        look()
        time.sleep(0.1)
    return (frames(metrics) - before) / (now - begun)


def siege(folder: Path, models: Path, portrait: Path, seconds: float) -> Siege:
    """Besiege a door before which somebody stands."""
    camera = folder / "camera"
    camera.mkdir()
    (camera / "0.jpg").write_bytes(portrait.read_bytes())
    http, metrics = free_port(), free_port()
    with Database.open(folder / "ostiary.db") as database:
        Accounts(database).add("anna", "of no password", Role.VIEWER, utc_now())
        os.environ[COOKIE] = Sessions(database).open("anna", utc_now(), timedelta(hours=1))
        events = Events(database)
        with database.transaction():
            for number in range(EVENTS):
                events.append_login(
                    Decision(Reason.GRANTED, f"somebody {number % 50}", distance=0.5, liveness=0.9),
                    source="front",
                    now=utc_now(),
                )
        events.mark_delivered(range(EVENTS + 1), utc_now())
    most = 0.0
    with Mosquitto(folder / "broker") as broker:
        settings = SETTINGS.format(metrics=metrics, http=http)
        config = write_config(folder, broker.port, models, camera, settings)
        with Probe(broker.port, f"{BASE}/#") as probe, DaemonProcess(config) as daemon:
            probe.wait_for(f"{BASE}/availability", b"online", 120)

            def look() -> None:
                nonlocal most
                most = max(most, memory_mb(daemon.pid))

            wait_until(lambda: frames(metrics) > 20, "frames that were looked at")
            quiet = [fps(metrics, seconds / 2, look)]
            with besieged(http, broker.port) as done:
                wait_until(lambda: done.value > sum(BESIEGERS.values()), "besiegers")
                begun = done.value
                under = fps(metrics, seconds, look)
                attacks = done.value - begun
            quiet.append(fps(metrics, seconds / 2, look))
    return Siege(sum(quiet) / 2, under, most, attacks)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--resources", type=Path, default=Path("resources"))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = siege(
            Path(folder),
            arguments.resources / "models",
            arguments.resources / "portraits" / "obama.jpg",
            arguments.seconds,
        )
    told = {**asdict(found), "kept": found.kept}
    print(json.dumps({key: round(value, 3) for key, value in told.items()}))  # noqa: T201
    return 0 if found.kept >= 0.9 and found.most_mb < 400 else 1


if __name__ == "__main__":
    sys.exit(main())
