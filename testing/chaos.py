"""Kills the daemon and the broker at random moments, and then counts what was lost: nothing.

`python -m testing.chaos --events 5000` runs the real daemon and a real mosquitto with
persistence on. Events are made by real `login` commands with an empty picture; registrations are
sent twice each. A client of MQTT can do no more than ours here: it asks again with the same
transaction until it is answered, and drops events whose id it has seen.
"""

import argparse
import base64
import json
import random
import sqlite3
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import cv2
import numpy as np

from ostiary.commands.log_check import check
from ostiary.crypto.door_key import DoorKey
from testing.broker import Mosquitto
from testing.daemon import DaemonProcess
from testing.probe import Heard, Probe

BASE = "ostiary/chaos"
IN_FLIGHT = 6
ASK_AGAIN_AFTER_S = 3.0
CALM_TIMEOUT_S = 120.0
BOTH_AT_ONCE = 0.2


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to happen."""

    folder: Path
    models: Path
    portrait: Path
    events: int = 5000
    registrations: int = 1000
    daemon_kills: int = 20
    broker_kills: int = 20
    seed: int = 1


@dataclass(slots=True)
class Report:
    """What happened."""

    events_committed: int = 0
    events_heard: int = 0
    lost: int = 0
    out_of_order: int = 0
    changed: int = 0
    """Repeated ids with another content."""
    repeats: int = 0
    registrations: int = 0
    users: int = 0
    registered_events: int = 0
    unanswered: int = 0
    answered_differently: int = 0
    daemon_kills: int = 0
    broker_kills: int = 0
    log_findings: int = 0
    """What the check of the log found altered."""
    seconds: float = 0.0

    @property
    def good(self) -> bool:
        """Whether nothing was lost, doubled or out of order."""
        return (
            self.lost == self.out_of_order == self.changed == 0
            and self.events_heard == self.events_committed
            and self.unanswered == self.answered_differently == 0
            and self.users == self.registered_events == self.registrations
            and self.log_findings == 0
        )


class Daemon(DaemonProcess):
    """The door that is killed."""

    def __init__(self, plan: Plan, port: int) -> None:
        super().__init__(plan.folder / "ostiary.toml")
        self._folder = plan.folder
        view = plan.folder / "view"
        view.mkdir()
        cv2.imwrite(str(view / "empty.png"), np.full((240, 320, 3), 90, np.uint8))
        self.config.write_text(
            f"""
[device]
id = "chaos"
[[cameras]]
source = "{view}"
fps = 1.0
loop = true
[vision]
models = "{plan.models}"
[store]
path = "{self.database}"
[mqtt]
port = {port}
reconnect_at_most_s = 0.5
[commands]
allow_unverified_enrolment = true
[log]
format = "json"
""",
            encoding="utf-8",
        )

    @property
    def database(self) -> Path:
        return self._folder / "ostiary.db"


class Driver:
    """Sends commands, each until it is answered; each can be sent several times at once."""

    def __init__(self, port: int) -> None:
        self._answers: dict[str, list[bytes]] = {}
        self._changed = threading.Condition()
        self._probe = Probe(
            port, f"{BASE}/response/#", client_id="chaos-driver", heard=self._on_heard
        )
        self._sent = 0

    @contextmanager
    def running(self) -> Iterator["Driver"]:
        with self._probe:
            yield self

    def send_all(
        self,
        command: str,
        requests: Iterator[tuple[str, dict[str, Any]]],
        *,
        copies: int = 1,
        enough: Callable[[], bool] = lambda: False,
    ) -> list[str]:
        """Until the requests end (or `enough`), a few under way at a time. Gives transactions."""
        under_way: dict[str, tuple[float, dict[str, Any]]] = {}
        sent: list[str] = []
        more = True
        while more or under_way:
            while more and len(under_way) < IN_FLIGHT:
                following = None if enough() else next(requests, None)
                if following is None:
                    more = False
                    break
                transaction, request = following
                sent.append(transaction)
                under_way[transaction] = (time.monotonic(), request)
                for _ in range(copies):
                    self._send(command, transaction, request)
            with self._changed:
                self._changed.wait(0.05)
                done = [transaction for transaction in under_way if self._answers.get(transaction)]
            for transaction in done:
                del under_way[transaction]
            for transaction, (at, request) in under_way.items():
                if time.monotonic() - at > ASK_AGAIN_AFTER_S:
                    under_way[transaction] = (time.monotonic(), request)
                    self._send(command, transaction, request)
        return sent

    def answers(self, transaction: str) -> set[bytes]:
        """The different answers that came; those that say `try again` do not count."""
        with self._changed:
            return set(self._answers.get(transaction, ()))

    def answered(self) -> int:
        """How many transactions have an answer."""
        return len(self._answers)

    def _send(self, command: str, transaction: str, request: dict[str, Any]) -> None:
        self._probe.send(f"{BASE}/request/{command}", {**request, "transaction": transaction})

    def _on_heard(self, heard: Heard) -> None:
        answer = heard.json
        if answer["status"] == "error" and answer["error"]["code"] in {"busy", "timed_out"}:
            return
        with self._changed:
            self._answers.setdefault(answer["transaction"], []).append(heard.payload)
            self._changed.notify_all()


@dataclass(slots=True)
class Monkey:
    """Kills at random moments of the work, and starts again what it killed.

    `progress` tells how much of the work is done, 0 to 1.
    """

    plan: Plan
    daemon: Daemon
    broker: Mosquitto
    progress: Callable[[], float]
    daemon_kills: int = 0
    broker_kills: int = 0
    stopped: threading.Event = field(default_factory=threading.Event)

    @property
    def is_done(self) -> bool:
        return (
            self.daemon_kills >= self.plan.daemon_kills
            and self.broker_kills >= self.plan.broker_kills
        )

    def run(self) -> None:
        chance = random.Random(self.plan.seed)
        moments = [(chance.random(), "daemon") for _ in range(self.plan.daemon_kills)]
        moments += [(chance.random(), "broker") for _ in range(self.plan.broker_kills)]
        for moment, what in sorted(moments):
            while self.progress() < moment:
                if self.stopped.wait(0.02):
                    return
            time.sleep(chance.uniform(0.0, 0.3))
            self._kill(what, chance.uniform(0.0, 0.6), both=chance.random() < BOTH_AT_ONCE)

    def _kill(self, what: str, pause_s: float, *, both: bool) -> None:
        victims = {what, "daemon", "broker"} if both else {what}
        if "daemon" in victims:
            self.daemon.kill()
            self.daemon_kills += 1
        if "broker" in victims:
            self.broker.kill()
            self.broker_kills += 1
        time.sleep(pause_s)
        if "broker" in victims:
            self.broker.start()
        if "daemon" in victims:
            self.daemon.start()


@contextmanager
def kept_busy(monkey: Monkey) -> Iterator[None]:
    thread = threading.Thread(target=monkey.run, name="monkey")
    thread.start()
    try:
        yield
    finally:
        monkey.stopped.set()
        thread.join()


def run(plan: Plan) -> Report:
    """Everything; the report says what was lost."""
    began = time.monotonic()
    report = Report(registrations=plan.registrations)
    with Mosquitto(plan.folder / "broker") as broker:
        daemon = Daemon(plan, broker.port)
        consumer = Probe(broker.port, f"{BASE}/event/#", client_id="chaos-consumer")
        driver = Driver(broker.port)
        try:
            with consumer, driver.running():
                daemon.start()
                _make_events(plan, report, driver, daemon, broker)
                _register(plan, report, driver, daemon, broker)
                _calm_down(daemon.database, consumer)
        finally:
            daemon.stop()
        _compare_events(report, daemon.database, consumer.heard)
        key = DoorKey.load(daemon.database.with_suffix(".key"))
        report.log_findings = len(check(daemon.database, key.public_text).findings)
    report.seconds = round(time.monotonic() - began, 1)
    return report


def _make_events(
    plan: Plan, report: Report, driver: Driver, daemon: Daemon, broker: Mosquitto
) -> None:
    image = _jpeg(np.full((64, 64, 3), 90, np.uint8))
    requests = ((f"login-{number}", {"image": image}) for number in range(10**9))

    def progress() -> float:
        return _committed(daemon.database) / plan.events

    monkey = Monkey(plan, daemon, broker, progress)
    with kept_busy(monkey):
        driver.send_all("login", requests, enough=lambda: monkey.is_done and progress() >= 1)
    report.daemon_kills += monkey.daemon_kills
    report.broker_kills += monkey.broker_kills


def _register(
    plan: Plan, report: Report, driver: Driver, daemon: Daemon, broker: Mosquitto
) -> None:
    image = base64.b64encode(plan.portrait.read_bytes()).decode()
    before = driver.answered()
    requests = (
        (f"register-{number}", {"username": f"Person {number}", "image": image, "allow_twin": True})
        for number in range(plan.registrations)
    )
    monkey = Monkey(
        plan, daemon, broker, lambda: (driver.answered() - before) / max(1, plan.registrations)
    )
    with kept_busy(monkey):
        sent = driver.send_all("register", requests, copies=2)
    time.sleep(1)  # second answers may still come
    for transaction in sent:
        answers = driver.answers(transaction)
        report.unanswered += not answers
        report.answered_differently += len(answers) > 1
    report.daemon_kills += monkey.daemon_kills
    report.broker_kills += monkey.broker_kills


def _calm_down(database: Path, consumer: Probe) -> None:
    """Until every event has been acknowledged by the broker and heard by the consumer."""
    deadline = time.monotonic() + CALM_TIMEOUT_S
    while time.monotonic() < deadline:
        time.sleep(0.5)
        pending = _number(database, "SELECT COUNT(*) FROM events WHERE delivered_at IS NULL")
        heard = len({message.json["event_id"] for message in list(consumer.heard)})
        if not pending and heard >= _committed(database):
            return


def _compare_events(report: Report, database: Path, heard: list[Heard]) -> None:
    with closing(sqlite3.connect(database)) as connection:
        rows = connection.execute("SELECT seq, event_id FROM events ORDER BY seq").fetchall()
        report.users = connection.execute("SELECT COUNT(*) FROM users").fetchone()[0]
        report.registered_events = connection.execute(
            "SELECT COUNT(*) FROM events WHERE action = 'registered'"
        ).fetchone()[0]
    committed = {str(UUID(bytes=event_id)): seq for seq, event_id in rows}
    first: dict[str, bytes] = {}
    newest = 0
    for message in heard:
        event = message.json
        event_id = event["event_id"]
        if event_id in first:
            report.repeats += 1
            report.changed += first[event_id] != message.payload
            continue
        first[event_id] = message.payload
        report.out_of_order += event["seq"] < newest
        newest = max(newest, event["seq"])
        report.changed += committed.get(event_id) != event["seq"]
    report.events_committed = len(committed)
    report.events_heard = len(first)
    report.lost = len(committed.keys() - first.keys())


def _committed(database: Path) -> int:
    return _number(database, "SELECT COUNT(*) FROM events")


def _number(database: Path, query: str) -> int:
    if not database.exists():
        return 0
    with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True, timeout=60)) as reader:
        try:
            number: int = reader.execute(query).fetchone()[0]
        except sqlite3.OperationalError:  # being made
            return 0
        return number


def _jpeg(image: np.ndarray) -> str:
    _, data = cv2.imencode(".jpg", image)
    return base64.b64encode(data.tobytes()).decode()


def main() -> int:
    root = Path(__file__).resolve().parents[1]
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=5000)
    parser.add_argument("--registrations", type=int, default=1000)
    parser.add_argument("--kills", type=int, default=20, help="of the daemon, and of the broker")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--models", type=Path, default=root / "resources" / "models")
    portrait = root / "resources" / "portraits" / "obama2.jpg"
    parser.add_argument("--portrait", type=Path, default=portrait)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ostiary-chaos-") as folder:
        report = run(
            Plan(
                Path(folder),
                arguments.models,
                arguments.portrait,
                arguments.events,
                arguments.registrations,
                arguments.kills,
                arguments.kills,
                arguments.seed,
            )
        )
    print(json.dumps({"chaos": "good" if report.good else "bad", **asdict(report)}))  # noqa: T201
    return 0 if report.good else 1


if __name__ == "__main__":
    sys.exit(main())
