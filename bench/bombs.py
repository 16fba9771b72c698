"""Measures recognition while somebody sends picture bombs as fast as they are refused."""

import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np

from bench.harness import MODELS, PORTRAITS, Line
from ostiary.decoding.decoder import Decoder
from ostiary.errors import ImageInvalid, ImageTooLarge
from ostiary.settings import VisionSettings
from ostiary.vision.engine import VisionEngine
from ostiary.vision.image import JPEG_MOST_SCANS, decode_image

SECONDS, ROUNDS = 1.0, 10


def run() -> Iterator[Line]:
    engine = VisionEngine.load(VisionSettings(models=Path(MODELS)))
    frame = decode_image((PORTRAITS / "obama.jpg").read_bytes())
    quiet, bombed = [], []
    with Decoder() as decoder:
        for _ in range(ROUNDS):
            quiet.append(_frame_ms(engine, frame))
            with _Bomber(decoder):
                bombed.append(_frame_ms(engine, frame))
    ours, reference = float(np.median(bombed)), float(np.median(quiet))
    yield Line("frame_while_bombs_are_decoded", ours, reference, reference / ours, None)


def _frame_ms(engine: VisionEngine, frame: np.ndarray) -> float:
    """By the wall: what the person at the door waits."""
    times = []
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        begun = time.perf_counter()
        (face, *_) = engine.detect(frame)
        engine.live_score(frame, face)
        engine.describe(frame, face)
        times.append(time.perf_counter() - begun)
    return 1000 * float(np.median(times))


class _Bomber:
    """Sends a progressive picture with as many scans as are permitted, again and again."""

    def __init__(self, decoder: Decoder) -> None:
        image = np.full((3000, 3000, 3), 128, np.uint8)
        data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1].tobytes()
        last = data.rindex(b"\xff\xda")
        more = JPEG_MOST_SCANS - data.count(b"\xff\xda")
        self._bomb = data[:last] + data[last:-2] * more + data[-2:]
        self._decoder = decoder
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._send)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _send(self) -> None:
        while not self._ended.is_set():
            with suppress(ImageInvalid, ImageTooLarge):
                self._decoder.decode(self._bomb)
