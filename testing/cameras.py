"""A real HTTP MJPEG camera whose picture tells when it was made; and how to watch one."""

import base64
import inspect
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

import cv2
import numpy as np

from ostiary.camera.frame import CameraStatus, Frame
from ostiary.camera.reader import CameraReader
from ostiary.errors import TimedOut
from ostiary.settings import CameraSettings
from ostiary.vision.arrays import BGRImage
from ostiary.vision.face import Face
from testing.rtsp import clock_picture, shown_at
from testing.waiting import PATIENCE_S, wait_until


def reader(source: str | Path, **settings: object) -> CameraReader:
    return CameraReader(CameraSettings.model_validate({"source": str(source), **settings}))


def until(what: Callable[[], bool]) -> None:
    """Wait until it holds, and say by its own words what did not."""
    wait_until(what, inspect.getsource(what).strip())


def is_ok(camera: CameraReader) -> bool:
    return camera.state.status is CameraStatus.OK


def is_undisturbed(camera: CameraReader) -> bool:
    """Whether it is well and was never reconnected. A hang of the machine stalls a camera, too."""
    return (camera.state.status, camera.state.reconnects) == (CameraStatus.OK, 0)


def watch(camera: CameraReader, seconds: float) -> list[Frame]:
    """Every frame that a consumer who does nothing else gets."""
    frames: list[Frame] = []
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        frame = camera.newest(frames[-1].number if frames else 0, left)
        frames += [frame] if frame else []
    return frames


def ages(camera: CameraReader, count: int, after: int = 0) -> list[float]:
    """Seconds from the making of a clock picture to its hand-over, for `count` in a row, the first
    of which has a higher number than `after`."""
    number = after
    seen: list[float] = []
    while len(seen) < count:
        frame = camera.newest(number, PATIENCE_S)
        assert frame is not None, f"no picture for {PATIENCE_S:.0f} s"
        seen.append(time.monotonic() - shown_at(frame.image))
        number = frame.number
    return seen


def is_fresh(camera: CameraReader, count: int = 5, at_most_s: float = 0.25) -> bool:
    """Whether none of the next `count` pictures is older than that when it is handed over.

    On a busy machine one may be, so tests wait until it holds; behind a queue it never does.
    """
    return max(ages(camera, count)) <= at_most_s


class MjpegCamera:
    """Serves `http://127.0.0.1:<port>/video` to any number of clients."""

    def __init__(
        self,
        port: int = 0,
        *,
        width: int = 640,
        height: int = 480,
        fps: float = 15.0,
        login: str | None = None,
        say_length: bool = True,
    ) -> None:
        self.size = (width, height)
        self.fps = fps
        self.login = login
        self.say_length = say_length
        self.silent = threading.Event()
        self.held = threading.Event()
        self.painted: np.ndarray[Any, np.dtype[np.uint8]] | None = None
        """Sent instead of the clock, with fresh noise in each picture."""
        camera = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                camera._answer(self)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self._closing = threading.Event()
        self._last = b""
        self.port = int(self._server.server_address[1])
        self.url = f"http://127.0.0.1:{self.port}/video"

    def _answer(self, request: BaseHTTPRequestHandler) -> None:
        wanted = f"Basic {base64.b64encode(self.login.encode()).decode()}" if self.login else None
        if wanted and request.headers["Authorization"] != wanted:
            request.send_response(401)
            request.send_header("WWW-Authenticate", 'Basic realm="camera"')
            request.end_headers()
            return
        if request.path != "/video":
            request.send_response(200)
            request.send_header("Content-Type", "text/html")
            request.end_headers()
            return
        request.send_response(200)
        request.send_header("Content-Type", "multipart/x-mixed-replace; boundary=cut")
        request.end_headers()
        try:
            while not self._closing.wait(1 / self.fps):
                if not self.silent.is_set():
                    request.wfile.write(self._part())
        except OSError:
            pass  # the client went away

    def _part(self) -> bytes:
        if not (self.held.is_set() and self._last):
            self._last = self._jpeg()
        length = f"Content-Length: {len(self._last)}\r\n" if self.say_length else ""
        head = f"--cut\r\nContent-Type: image/jpeg\r\n{length}\r\n"
        return head.encode() + self._last + b"\r\n"

    def _jpeg(self) -> bytes:
        width, height = self.size
        if self.painted is not None:
            noise = np.random.default_rng().integers(0, 8, self.painted.shape, np.uint8)
            image = cv2.add(self.painted, noise)
        else:
            made = clock_picture(width, height, int(time.monotonic() * 1000))
            i420 = np.frombuffer(made, np.uint8).reshape(height * 3 // 2, width)
            image = cv2.cvtColor(i420, cv2.COLOR_YUV2BGR_I420)
        return cv2.imencode(".jpg", image)[1].tobytes()

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """As a power cut: every connection ends."""
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()


@dataclass(frozen=True)
class Still:
    """A camera that has seen one picture, and nobody in it."""

    latest: BGRImage | None

    def ask(self, pose: str | None) -> None:
        """Nobody is there to read it."""

    requires_movement: bool = True

    def live_score(self, bgr: BGRImage, face: Face) -> float:  # noqa: ARG002
        return 0.0

    def capture(self, timeout: float, *, alive: bool = True) -> BGRImage:  # noqa: ARG002
        raise TimedOut(f"Nobody came within {timeout:g} s.")
