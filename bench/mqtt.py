"""From decision to broker: how many events a second, and how soon a subscriber has one.

A real mosquitto, a real database with synchronous=FULL. Each decision is its own transaction, as
it is at the door; it counts once its PUBACK is marked in the database.
"""

import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench.harness import MODELS, Measure
from ostiary.messages.decision import Decision
from ostiary.messages.words import Reason
from ostiary.settings import VisionSettings
from ostiary.vision.engine import VisionEngine
from testing.broker import Mosquitto
from testing.doorway import BASE, Doorway, door_settings
from testing.probe import Probe

SUSTAINED_S = 10.0
LATENCY_EVENTS = 200
LATENCY_EVERY_S = 0.1
LEAST_A_SECOND = 500
LONGEST_MS = 50.0


def decide(door: Doorway) -> int:
    event = door.events.append_login(
        Decision(Reason.UNKNOWN_FACE, distance=0.7, liveness=0.99),
        source="front",
        now=door.services.clock(),
    )
    return event.seq


def seconds_an_event(door: Doorway) -> float:
    """Decisions as fast as they come for a while, until the last is acknowledged."""
    began = time.perf_counter()
    count = 0
    while time.perf_counter() - began < SUSTAINED_S:
        decide(door)
        count += 1
    while door.events.queue_length():
        time.sleep(0.002)
    return (time.perf_counter() - began) / count


def latencies_ms(door: Doorway, probe: Probe) -> list[float]:
    """From just before the decision is committed to its arrival at a subscriber."""
    probe.heard.clear()
    decided: dict[int, float] = {}
    for _ in range(LATENCY_EVENTS):
        before = time.monotonic()
        decided[decide(door)] = before
        time.sleep(LATENCY_EVERY_S)
    heard = probe.wait(f"{BASE}/event/login", LATENCY_EVENTS)
    return [(message.at - decided[message.json["seq"]]) * 1000 for message in heard]


def run() -> Iterator[Measure]:
    """Milliseconds an event (2 ms are 500 events a second), and the latency at 10 a second."""
    engine = VisionEngine.load(VisionSettings(models=MODELS))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with (
            Mosquitto(folder / "broker") as broker,
            Doorway(door_settings(folder, broker.port), engine) as door,
        ):
            each = seconds_an_event(door)
            yield Measure("mqtt_each_event", each * 1000, "ms", 1000 / LEAST_A_SECOND)
            with Probe(broker.port, f"{BASE}/event/login") as probe:
                measured = latencies_ms(door, probe)
            yield Measure("mqtt_latency_p50", statistics.median(measured), "ms", LONGEST_MS)
            p99 = statistics.quantiles(measured, n=100)[98]
            yield Measure("mqtt_latency_p99", p99, "ms", LONGEST_MS)
