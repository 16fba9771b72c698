"""The daemon on a looped real clip for a long time: does anything grow? `make soak MINUTES=20`

Prints one JSON line; exit status 1 where something grew.
"""

import argparse
import base64
import json
import os
import sys
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Self

from demo.scenes import REGISTERED, Scene, empty_room, visitors
from demo.stream import write_clip
from testing.broker import Mosquitto
from testing.daemon import DaemonProcess
from testing.ports import free_port
from testing.probe import Probe

ROOT = Path(__file__).resolve().parents[1]
MODELS = ROOT / "resources" / "models"
PORTRAITS = ROOT / "resources" / "portraits"
SAMPLE_EVERY_S = 2.0
WARM_UP_S = 60.0
EDGE = 15
"""So many samples at each end of the run are compared by their medians."""
GROWTH_PERCENT = 1.0
BASE = "ostiary/door"
HEARD = tuple(f"{BASE}/{topic}" for topic in ("event/login", "availability", "response/+"))

CONFIG = """\
[[cameras]]
source = "{clip}"
loop = true
require_movement = false

[vision]
models = "{models}"

[access]
cooldown_s = 1.0

[store]
path = "{folder}/door.db"

[mqtt]
port = {port}

[commands]
allow_unverified_enrolment = true

[service]
state_every_s = 5.0
metrics_port = {metrics}
"""


@dataclass(frozen=True, slots=True)
class Sample:
    """What a process has at one moment. `memory_kb`: resident."""

    memory_kb: int
    threads: int
    files: int

    @classmethod
    def of(cls, pid: int) -> Self:
        """Raises FileNotFoundError when the process has ended."""
        lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
        status = dict(line.split(":", 1) for line in lines)
        return cls(
            memory_kb=int(status["VmRSS"].split()[0]),
            threads=int(status["Threads"]),
            files=len(os.listdir(f"/proc/{pid}/fd")),  # noqa: PTH208 - only counted
        )


@dataclass(frozen=True, slots=True)
class Report:
    """What `make soak` prints. Memory is in MB; `first` is after the first minute."""

    minutes: float
    memory_first: float
    memory_last: float
    memory_highest: float
    growth_percent: float
    threads_first: int
    threads_last: int
    files_first: int
    files_last: int
    frames: int
    events: int

    @classmethod
    def of(cls, samples: Sequence[Sample], minutes: float, frames: int, events: int) -> Self:
        """Of the samples after the first minute."""
        first, last = samples[:EDGE], samples[-EDGE:]
        before, after = (median(sample.memory_kb for sample in edge) for edge in (first, last))
        return cls(
            minutes=round(minutes, 1),
            memory_first=round(before / 1024, 1),
            memory_last=round(after / 1024, 1),
            memory_highest=round(max(sample.memory_kb for sample in samples) / 1024, 1),
            growth_percent=round(100 * (after / before - 1), 2),
            threads_first=max(sample.threads for sample in first),
            threads_last=max(sample.threads for sample in last),
            files_first=max(sample.files for sample in first),
            files_last=max(sample.files for sample in last),
            frames=frames,
            events=events,
        )

    @property
    def nothing_grew(self) -> bool:
        return (
            self.growth_percent <= GROWTH_PERCENT
            and self.threads_last <= self.threads_first
            and self.files_last <= self.files_first
        )


def soak(minutes: float, warm_up_s: float = WARM_UP_S) -> Report:
    """Run the daemon so long after its warm-up. Raises RuntimeError when it ends by itself."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_clip(folder / "clip.avi", [empty_room(), *_with_room_between()])
        with (
            Mosquitto(folder / "broker") as broker,
            Probe(broker.port, *HEARD) as probe,
        ):
            metrics = free_port()
            config = folder / "ostiary.toml"
            config.write_text(
                CONFIG.format(
                    clip=folder / "clip.avi",
                    models=MODELS,
                    folder=folder,
                    port=broker.port,
                    metrics=metrics,
                ),
                encoding="utf-8",
            )
            with DaemonProcess(config) as daemon:
                probe.wait_for(f"{BASE}/availability", b"online")
                image = base64.b64encode((PORTRAITS / "obama.jpg").read_bytes()).decode()
                probe.ask(BASE, "register", {"username": REGISTERED, "image": image})
                time.sleep(warm_up_s)
                samples = _watch(daemon, minutes, metrics)
                frames = _frames(metrics)
                daemon.stop()
            return Report.of(samples, minutes, frames, len(probe.of(f"{BASE}/event/login")))


def _with_room_between() -> list[Scene]:
    room = empty_room()
    return [scene for visitor in visitors(PORTRAITS) for scene in (visitor, room, room)]


def _watch(daemon: DaemonProcess, minutes: float, metrics: int) -> list[Sample]:
    samples: list[Sample] = []
    end = time.monotonic() + 60 * minutes
    while time.monotonic() < end:
        if not daemon.is_running:
            raise RuntimeError(f"the daemon ended with status {daemon.wait()}")
        samples.append(Sample.of(daemon.pid))
        if len(samples) % EDGE == 0:
            _frames(metrics)  # as Prometheus would
        time.sleep(SAMPLE_EVERY_S)
    return samples


def _frames(metrics: int) -> int:
    with urllib.request.urlopen(f"http://127.0.0.1:{metrics}/metrics", timeout=60) as answer:
        lines = answer.read().decode().splitlines()
    counts = [line.split()[-1] for line in lines if line.startswith("ostiary_frames_total")]
    return int(sum(float(count) for count in counts))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=20.0)
    report = soak(parser.parse_args().minutes)
    print(json.dumps({"soak": asdict(report), "nothing_grew": report.nothing_grew}))  # noqa: T201
    return int(not report.nothing_grew)


if __name__ == "__main__":
    sys.exit(main())
