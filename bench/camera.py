"""Measures how old a picture is when it is handed over, from a camera that shows when each was
made."""

from collections.abc import Iterator

import numpy as np

from bench.harness import Measure
from testing.cameras import MjpegCamera, ages, reader
from testing.ports import free_port
from testing.rtsp import RtspServer

FPS = 15.0
PICTURES = 150
AT_MOST_MS = 200.0


def run() -> Iterator[Measure]:
    """The age that 95 of 100 pictures of 640×480 have at most, in ms."""
    with MjpegCamera(fps=FPS) as served:
        yield age("mjpeg", served.url)
    with RtspServer(free_port(), fps=int(FPS)) as server:
        yield age("rtsp", server.url)


def age(kind: str, url: str) -> Measure:
    with reader(url) as camera:
        ages(camera, int(FPS))  # the first second finds out how the stream's clock goes
        seen = 1000 * np.array(ages(camera, PICTURES))
    return Measure(f"picture_age_{kind}_p95", float(np.percentile(seen, 95)), "ms", AT_MOST_MS)
