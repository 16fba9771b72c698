"""Measures what five viewers of the live picture cost recognition.

Recognition runs flat out on decoded pictures of a person who steps up; five viewers in another
process take every live picture they are given. Rounds with and without them take turns, and the
median of the pairs counts. Time in which recognition waited for a processor is left out, since on a
busy machine other programs had it. Time in which it waited for Python's lock counts.
"""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Self

from bench.harness import MODELS, PORTRAITS, Measure
from demo.scenes import visitors
from ostiary.camera.frame import Frame
from ostiary.camera.reader import CameraReader
from ostiary.settings import CameraSettings, VisionSettings
from ostiary.vision.arrays import BGRImage
from ostiary.vision.engine import VisionEngine
from testing.console import ConsoleDoor, console_settings

PAIRS = 30
ROUND_S = 1.0
SETTLE_S = 0.3
MOST_LOST = 0.05


class FlatOut(CameraReader):
    """A camera that always has the next picture ready, so that recognition never waits."""

    def __init__(self, images: list[BGRImage]) -> None:
        super().__init__(CameraSettings(name="front"))
        self._images = images
        self.number = 0
        self.thread = 0

    def start(self) -> Self:
        return self

    def stop(self) -> None:
        pass

    def newest(self, after: int = 0, timeout: float = 0.0) -> Frame | None:  # noqa: ARG002
        self.number = after + 1
        self.thread = threading.get_native_id()
        image = self._images[self.number % len(self._images)]
        return Frame(image, self.number, time.monotonic(), "front")


def run() -> Iterator[Measure]:
    """The share of recognition's pictures a second that five viewers take away."""
    (visitor,) = (scene for scene in visitors(PORTRAITS) if scene.name == "registered")
    camera = FlatOut([visitor.picture(number) for number in range(len(visitor.frames))])
    engine = VisionEngine.load(VisionSettings(models=MODELS))
    with TemporaryDirectory() as folder:
        settings = console_settings(Path(folder), access={"cooldown_s": 0.5})
        with ConsoleDoor(settings, engine, camera) as door:
            token = door.token()
            ratios = []
            for _ in range(PAIRS):
                alone = rate(camera)
                with viewers(door.url, token):
                    ratios.append(rate(camera) / alone)
    yield Measure("console_5_viewers", 1 - median(ratios), "of throughput lost", MOST_LOST)


def rate(camera: FlatOut) -> float:
    """Pictures a second of one round, the waits for a processor left out."""
    time.sleep(SETTLE_S)
    begin, before, waited = time.monotonic(), camera.number, waited_s(camera.thread)
    time.sleep(ROUND_S)
    taken = time.monotonic() - begin - (waited_s(camera.thread) - waited)
    return (camera.number - before) / taken


def waited_s(thread: int) -> float:
    """How long a thread was ready to run and had no processor (Linux: sched-stats.rst)."""
    return int(Path(f"/proc/self/task/{thread}/schedstat").read_text().split()[1]) / 1e9


@contextmanager
def viewers(url: str, token: str) -> Iterator[None]:
    """Five of them, in a process of their own; they are there when the block begins."""
    address = url.replace("http:", "ws:") + "/api/v1/cameras/front/live"
    process = subprocess.Popen(
        ["nice", "-n", "19", sys.executable, "-m", "bench.viewers", address, token],
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"watching\n"
    try:
        yield
    finally:
        process.terminate()
        process.wait()
