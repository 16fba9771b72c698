"""The demo's camera: scenes as an MJPEG stream over HTTP, and as a clip in a file.

The demo says which scene is before the camera, so that nobody steps up before the door is ready.
"""

import threading
import time
from collections.abc import Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Self

import cv2

from demo.errors import DemoError
from demo.room import HEIGHT, WIDTH
from demo.scenes import FPS, Scene

PATH = "/camera.mjpg"
BOUNDARY = "frame"


class Camera:
    """Shows one scene at a time, for as long as wanted, to everybody who asks. Loopback only."""

    def __init__(self, scene: Scene, fps: float = FPS) -> None:
        """`fps` are the frames that are sent a second; the scene takes as long."""
        self._fps = fps
        self._lock = threading.Lock()
        self._scene = scene
        self._since = time.monotonic()
        self._stopping = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, name="camera")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}{PATH}"

    def show(self, scene: Scene) -> None:
        """Put `scene` before the camera, from its beginning."""
        with self._lock:
            self._scene, self._since = scene, time.monotonic()

    def frame(self) -> bytes:
        """What the camera sees now, a JPEG file."""
        with self._lock:
            frames, since = self._scene.frames, self._since
        return frames[to_and_fro(int((time.monotonic() - since) * FPS), len(frames))]

    def pause(self) -> bool:
        """Wait for the next frame. False when the camera has been switched off."""
        return not self._stopping.wait(1 / self._fps)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def to_and_fro(number: int, count: int) -> int:
    """0, 1, … count-1, count-2, … 0, 1, …: so a scene may last longer than its frames."""
    if count == 1:
        return 0
    place = number % (2 * count - 2)
    return min(place, 2 * count - 2 - place)


def _handler(camera: Camera) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path != PATH:
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Type", f"multipart/x-mixed-replace; boundary={BOUNDARY}")
            self.send_header("Cache-Control", "no-store")
            self.end_headers()
            try:
                while camera.pause():
                    self.wfile.write(_part(camera.frame()))
            except (BrokenPipeError, ConnectionResetError):
                pass  # the viewer left

        def log_message(self, *_args: object) -> None:
            pass

    return Handler


def _part(jpeg: bytes) -> bytes:
    head = f"--{BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
    return head.encode("ascii") + jpeg + b"\r\n"


def write_clip(path: Path, scenes: Iterable[Scene]) -> None:
    """The scenes one after another as an AVI file of JPEG pictures. Raises DemoError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    codec = cv2.VideoWriter.fourcc(*"MJPG")
    writer = cv2.VideoWriter(str(path), cv2.CAP_OPENCV_MJPEG, codec, FPS, (WIDTH, HEIGHT))
    if not writer.isOpened():
        raise DemoError(f"{path}: the clip cannot be written there.")
    try:
        for scene in scenes:
            for number in range(len(scene.frames)):
                writer.write(scene.picture(number))
    finally:
        writer.release()
