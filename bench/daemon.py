"""The real daemon as a process: what it costs while nothing happens, its memory, its start.

The idle scene is a clip of an empty room at 640×480 and 10 pictures a second as a webcam gives
them: JPEG, with sensor noise and a lamp that flickers by 3 %. All of the daemon's work is
counted, with decoding the pictures.
"""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np

from bench.harness import MODELS, PORTRAITS, Measure
from demo import room
from demo.broker import embedded_broker
from demo.daemon import Daemon, running
from demo.door import Door
from demo.scenes import Scene, empty_room, visitors
from demo.stream import Camera
from ostiary.mqtt.topics import Topics

IDLE_FPS = 10
IDLE_S = 20.0
SETTLE_S = 5.0
DECIDING_S = 5.0
FLICKER = 0.03

CONFIG = """\
[device]
id = "bench"
[[cameras]]
name = "front"
source = "{source}"
loop = {loop}
[vision]
models = "{models}"
[access]
cooldown_s = 0.5
[store]
path = "{folder}/bench.db"
[mqtt]
port = {port}
"""


def run() -> Iterator[Measure]:
    """Idle share of a core, memory while deciding, time to the first decision and to the end."""
    with TemporaryDirectory() as folder, embedded_broker(Path(folder)) as port:
        yield idle(Path(folder), port)
        yield from deciding(Path(folder), port)


def idle(folder: Path, port: int) -> Measure:
    clip = folder / "empty.avi"
    write_empty_clip(clip)
    with _daemon(folder, port, str(clip), loop=True) as (door, process):
        door.wait_online(60, process.check)
        time.sleep(SETTLE_S)
        begin, used = time.monotonic(), cpu_seconds(process.pid)
        time.sleep(IDLE_S)
        share = (cpu_seconds(process.pid) - used) / (time.monotonic() - begin)
    return Measure("idle", share, "CPU s per s", 0.03)


def deciding(folder: Path, port: int) -> Iterator[Measure]:
    (visitor,) = (scene for scene in visitors(PORTRAITS) if scene.name == "registered")
    here = Scene("here", "Somebody stands there", (visitor.frames[-1], visitor.frames[-2]))
    with Camera(here) as camera:
        begin = time.monotonic()
        with _daemon(folder, port, camera.url, loop=False) as (door, process):
            while door.next_event(0.5) is None:
                process.check()
            start_s = time.monotonic() - begin
            resident = own = 0.0
            end = time.monotonic() + DECIDING_S
            nobody = empty_room()
            for number in range(1000):
                if time.monotonic() > end:
                    break
                camera.show(nobody if number % 4 == 3 else here)
                time.sleep(0.5)
                resident = max(resident, memory_mib(process.pid, "VmRSS"))
                own = max(own, memory_mib(process.pid, "RssAnon"))
            ending = time.monotonic()
        stop_s = time.monotonic() - ending
    yield Measure("start_to_first_decision", start_s, "s", 2.0)
    yield Measure("resident_while_deciding", resident, "MiB", 220.0)
    yield Measure("own_memory_while_deciding", own, "MiB", 150.0)
    yield Measure("sigterm_to_end", stop_s, "s", 2.0)


@contextmanager
def _daemon(folder: Path, port: int, source: str, loop: bool) -> Iterator[tuple[Door, Daemon]]:
    config = folder / "ostiary.toml"
    config.write_text(
        CONFIG.format(
            source=source,
            loop=str(loop).lower(),
            models=MODELS.resolve(),
            folder=folder,
            port=port,
        ),
        encoding="utf-8",
    )
    with (
        Door(port, Topics("ostiary/bench")) as door,
        running(config, folder / "daemon.log") as process,
    ):
        yield door, process


def write_empty_clip(path: Path) -> None:
    codec = cv2.VideoWriter.fourcc(*"MJPG")
    writer = cv2.VideoWriter(str(path), cv2.CAP_OPENCV_MJPEG, codec, IDLE_FPS, (640, 480))
    wide = cv2.resize(room.empty(), (640, 480), interpolation=cv2.INTER_AREA)
    random = np.random.default_rng(7)
    for number in range(10 * IDLE_FPS):
        lit = wide * (1 + FLICKER * np.sin(2.3 * number))
        noisy = lit + room.SENSOR_SIGMA * random.standard_normal(wide.shape)
        writer.write(np.clip(noisy, 0, 255).astype(np.uint8))
    writer.release()


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far (proc(5), fields 14 and 15 of stat)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_mib(pid: int, field: str) -> float:
    """Memory of a process, MiB (proc(5), status): `VmRSS` all that is there, `RssAnon` what is no
    file's. Of libraries as much is there as the kernel reads at once, which differs by 15 MiB
    between two copies of the same files."""
    for fact in Path(f"/proc/{pid}/status").read_text().splitlines():
        if fact.startswith(f"{field}:"):
            return int(fact.split()[1]) / 1024
    raise RuntimeError("the daemon has ended")
