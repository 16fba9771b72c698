"""`make site`: five doors, one roster, while people come and go and brokers are killed.

Ends with one JSON line: how many people were to be known in the end, how often a broker was killed,
who was lost, who was there without having been enrolled, and how many doors differ.
"""

import argparse
import base64
import json
import random
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from demo.scenes import Scene, visitors
from ostiary.mqtt.paho_client import MQTT311
from testing.broker import Mosquitto
from testing.nats import NatsCluster
from testing.site import Site, SiteDoor

ROOT = Path(__file__).resolve().parents[1]
EQUAL_WITHIN_S = 60.0
AGAIN_S = 3.0
"""A command that was not answered is sent again, with the same transaction."""


@dataclass(slots=True)
class Outcome:
    """`forged`: known somewhere without having been enrolled, or after having been deleted."""

    broker: str
    doors: int
    people: int
    changes: int
    kills: int
    lost: int
    forged: int
    differing: int
    granted_after_s: float
    equal_after_s: float
    caught_up_after_s: float

    @property
    def is_right(self) -> bool:
        return self.lost == self.forged == self.differing == 0


class Kills:
    """One node after another is killed, and started again; none, where there is no cluster."""

    def __init__(self, cluster: NatsCluster | None, every_s: float = 4.0) -> None:
        self.count = 0
        self._cluster = cluster
        self._every_s = every_s

    @contextmanager
    def going_on(self) -> Iterator[None]:
        stopping = threading.Event()
        thread = threading.Thread(target=self._run, args=(stopping,), name="kills")
        thread.start()
        try:
            yield
        finally:
            stopping.set()
            thread.join()

    def _run(self, stopping: threading.Event) -> None:
        chance = random.Random(7)
        while self._cluster is not None and not stopping.wait(self._every_s):
            node = chance.choice(self._cluster.nodes)
            node.kill()
            self.count += 1
            stopping.wait(1.0)
            node.start()
            self._cluster.wait_current(60)


class Turmoil:
    """People are enrolled, renamed and deleted at random doors."""

    def __init__(self, site: Site, portrait: bytes, chance: random.Random) -> None:
        self.expected: set[str] = set()
        self.ever: set[str] = set()
        self.changes = 0
        self._site = site
        self._image = base64.b64encode(portrait).decode("ascii")
        self._chance = chance

    def step(self, doors: Sequence[SiteDoor]) -> None:
        door = self._chance.choice(doors)
        known = sorted(self.expected)
        what = self._chance.choice(["enrol", "enrol", "delete", "rename"])
        if what == "enrol" or not known:
            name = f"Person {len(self.ever)}"
            self.ever.add(name)
            request = {"username": name, "image": self._image, "allow_twin": True}
            self._done(door, "register", {**request, "require_live": False})
            self.expected.add(name)
            return
        name = self._chance.choice(known)
        if what == "delete":
            if self._done(door, "delete", {"username": name}):
                self.expected.discard(name)
            return
        new = f"Renamed {len(self.ever)}"
        self.ever.add(new)
        if self._done(door, "rename", {"username": name, "new_username": new}):
            self.expected.discard(name)
            self.expected.add(new)

    def _done(self, door: SiteDoor, command: str, request: dict[str, Any]) -> bool:
        """False where that door has not heard of the person yet."""
        answer = ask(self._site, door, command, request)
        self.changes += 1
        if answer["status"] == "ok":
            return True
        assert answer["error"]["code"] == "user_unknown", answer
        return False


def ask(site: Site, door: SiteDoor, command: str, request: dict[str, Any]) -> Any:
    """The answer, however often brokers are away."""
    transaction = f"run-{time.monotonic_ns()}"
    topic = f"{door.base}/response/{command}"
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        site.probe.send(f"{door.base}/request/{command}", {**request, "transaction": transaction})
        until = time.monotonic() + AGAIN_S
        while time.monotonic() < until:
            for heard in site.probe.of(topic):
                if heard.json.get("transaction") == transaction:
                    return heard.json
            time.sleep(0.02)
    raise AssertionError(f"{door.name} does not answer {command}")


def names(site: Site, door: SiteDoor) -> set[str]:
    users = ask(site, door, "users", {})["data"]["users"]
    return {user["username"] for user in users}


def until_equal(site: Site) -> float:
    """Wait until all doors that run know the same people; how long that took, seconds."""
    begin = time.monotonic()
    while time.monotonic() < begin + EQUAL_WITHIN_S:
        first, *others = (names(site, door) for door in site.doors)
        if all(each == first for each in others):
            break
        time.sleep(0.1)
    return time.monotonic() - begin


def exercise(
    site: Site, broker: str, registered: Scene, portraits: Path, *, seconds: float, kills: Kills
) -> Outcome:
    """The whole run. The doors are up, and know nobody."""
    chance = random.Random(13)
    portrait = (portraits / "obama.jpg").read_bytes()
    first, _, third, fourth, fifth = site.doors

    site.enrol(first, "obama", portrait)
    begin = time.monotonic()
    event = site.decided(fifth, registered)
    granted_after = time.monotonic() - begin
    assert (event["success"], event["username"]) == (True, "obama"), event
    assert ask(site, third, "delete", {"username": "obama"})["status"] == "ok"
    site.wait_all(lambda door: names(site, door) == set(), EQUAL_WITHIN_S)
    assert not site.decided(first, registered)["success"]

    turmoil = Turmoil(site, (portraits / "biden.jpg").read_bytes(), chance)
    until = time.monotonic() + seconds
    with kills.going_on():
        while time.monotonic() < until:
            turmoil.step(site.doors[:4] if time.monotonic() > until - seconds / 3 else site.doors)
            if fourth.is_running and time.monotonic() > until - seconds / 3:
                fourth.kill()  # it is off while the last third happens
                site.doors.remove(fourth)
    equal_after = until_equal(site)

    states = len(site.probe.of(f"{fourth.base}/state"))
    fourth.start()
    site.doors.append(fourth)
    site.probe.wait(f"{fourth.base}/state", states + 1, 60)
    begin = time.monotonic()
    while names(site, fourth) != turmoil.expected and time.monotonic() < begin + 30:
        time.sleep(0.1)
    caught_up = time.monotonic() - begin

    # What the fourth was asked for last may have been told to nobody before it was killed.
    site.wait_all(lambda door: names(site, door) == turmoil.expected, EQUAL_WITHIN_S, False)
    known = [names(site, door) for door in site.doors]
    usual = max(known, key=known.count)
    return Outcome(
        broker=broker,
        doors=len(known),
        people=len(turmoil.expected),
        changes=turmoil.changes,
        kills=kills.count,
        lost=len(set().union(*(turmoil.expected - each for each in known))),
        forged=len(set().union(*(each - turmoil.expected for each in known))),
        differing=sum(each != usual for each in known),
        granted_after_s=round(granted_after, 2),
        equal_after_s=round(equal_after, 2),
        caught_up_after_s=round(caught_up, 2),
    )


def on_mosquitto(folder: Path, models: Path, portraits: Path, seconds: float) -> Outcome:
    with (
        Mosquitto(folder / "broker") as broker,
        Site(folder, models, [broker.port]) as site,
    ):
        scene = _registered(portraits)
        return exercise(site, "mosquitto", scene, portraits, seconds=seconds, kills=Kills(None))


def on_nats(folder: Path, models: Path, portraits: Path, seconds: float) -> Outcome:
    options = {"protocol": MQTT311, "client_id": "probe"}
    with (
        NatsCluster(folder / "nats") as cluster,
        Site(folder, models, cluster.ports, probe_options=options) as site,
    ):
        scene = _registered(portraits)
        kills = Kills(cluster)
        return exercise(site, "nats", scene, portraits, seconds=seconds, kills=kills)


def _registered(portraits: Path) -> Scene:
    return next(scene for scene in visitors(portraits) if scene.name == "registered")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="So long people come and go.")
    parser.add_argument("--keep", type=Path, help="Keep all files there.")
    parser.add_argument("--only", choices=["mosquitto", "nats"])
    arguments = parser.parse_args()
    models, portraits = ROOT / "resources" / "models", ROOT / "resources" / "portraits"
    outcomes = []
    for name, run in (("mosquitto", on_mosquitto), ("nats", on_nats)):
        if arguments.only not in (None, name):
            continue
        with tempfile.TemporaryDirectory() as temporary:
            folder = arguments.keep / name if arguments.keep else Path(temporary)
            outcomes.append(run(folder, models, portraits, arguments.seconds))
        print(json.dumps(asdict(outcomes[-1])), file=sys.stderr)  # noqa: T201
    summary = {
        key: sum(getattr(each, key) for each in outcomes)
        for key in ("people", "kills", "lost", "forged", "differing")
    }
    print(json.dumps({"doors": outcomes[0].doors, **summary}))  # noqa: T201
    sys.exit(0 if all(each.is_right for each in outcomes) else 1)


if __name__ == "__main__":
    main()
