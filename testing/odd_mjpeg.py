"""A real HTTP camera whose Motion JPEG is as odd as that of real ones, and browsers show it."""

import base64
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

import cv2
import numpy as np

from testing.rtsp import clock_picture

END = b"\xff\xd9"


@dataclass(frozen=True, slots=True)
class Oddity:
    """What a camera does otherwise than RFC 2046 and RFC 9110 have it. `cut_every`: of so many
    pictures one is cut off in its middle; `length_off`: bytes by which Content-Length is wrong,
    None: there is none."""

    content_type: str | None = "multipart/x-mixed-replace; boundary=frame"
    boundary: bytes = b"--frame"
    newline: bytes = b"\r\n"
    before_boundary: bytes = b"\r\n"
    length_off: int | None = 0
    part_headers: tuple[bytes, ...] = (b"Content-Type: image/jpeg",)
    begins_with_boundary: bool = True
    cut_every: int = 0
    cut_at: float = 0.5
    keeps_end: bool = False
    """A cut-off picture has its end marker all the same."""
    end_marker: bool = True
    padding: bytes = b""
    chunked: bool = False
    tables: bool = True
    """The Huffman tables are sent; without them the standard's own hold (ITU T.81, K.3)."""


@dataclass(slots=True)
class OddCamera:
    """Serves `http://127.0.0.1:<port>/<path>` to any number of clients.

    `oddity` is what `/video` does. `redirects`: paths and where they lead. `login`: `user:password`
    that every path asks for. `seen`: the path and the Authorization of every request. With `tls`
    (certificate and key, PEM files) it is https.
    """

    oddity: Oddity = Oddity()
    fps: float = 15.0
    login: str | None = None
    redirects: Mapping[str, str] = field(default_factory=dict)
    tls: tuple[str, str] | None = None
    seen: list[tuple[str, str | None]] = field(default_factory=list)
    _closing: threading.Event = field(default_factory=threading.Event)
    _server: ThreadingHTTPServer | None = None

    @property
    def port(self) -> int:
        assert self._server is not None
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}/video"

    def __enter__(self) -> Self:
        camera = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                camera._answer(self)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        if self.tls is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*self.tls)
            self._server.socket = context.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._server is not None
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, request: BaseHTTPRequestHandler) -> None:
        login = request.headers["Authorization"]
        self.seen.append((request.path, login))
        request.close_connection = True
        if self.login is not None:
            wanted = f"Basic {base64.b64encode(self.login.encode()).decode()}"
            if request.path not in self.redirects and login != wanted:
                request.send_response(401)
                request.send_header("WWW-Authenticate", 'Basic realm="camera"')
                request.send_header("Content-Length", "0")
                request.end_headers()
                return
        if request.path in self.redirects:
            request.send_response(302)
            request.send_header("Location", self.redirects[request.path])
            request.send_header("Content-Length", "0")
            request.end_headers()
            return
        request.send_response(200)
        if self.oddity.content_type is not None:
            request.send_header("Content-Type", self.oddity.content_type)
        if self.oddity.chunked:
            request.send_header("Transfer-Encoding", "chunked")
        else:
            request.send_header("Connection", "close")
        request.end_headers()
        try:
            for sent in stream(self.oddity):
                if self.oddity.chunked:
                    sent = b"%x\r\n%b\r\n" % (len(sent), sent)
                request.wfile.write(sent)
                if self._closing.wait(1 / self.fps):
                    return
        except OSError:
            pass  # the client went away


def stream(oddity: Oddity) -> Iterator[bytes]:
    """The pieces of an answer's body, one a picture, as if it went on for ever."""
    number = 0
    while True:
        number += 1
        head, jpeg = oddity.newline, picture(oddity, number)
        for header in oddity.part_headers:
            head = header + oddity.newline + head
        if oddity.length_off is not None:
            length = b"Content-Length: %d" % (len(jpeg) + oddity.length_off)
            head = length + oddity.newline + head
        if oddity.begins_with_boundary:
            yield oddity.boundary + oddity.newline + head + jpeg + oddity.before_boundary
        else:
            yield head + jpeg + oddity.before_boundary + oddity.boundary + oddity.newline


def picture(oddity: Oddity, number: int) -> bytes:
    """A clock picture, with what is odd about it."""
    made = np.frombuffer(clock_picture(640, 480, int(time.monotonic() * 1000)), np.uint8)
    bgr = cv2.cvtColor(made.reshape(720, 640), cv2.COLOR_YUV2BGR_I420)
    jpeg = cv2.imencode(".jpg", bgr)[1].tobytes()
    if not oddity.tables:
        jpeg = _without_tables(jpeg)
    if oddity.cut_every and number % oddity.cut_every == 0:
        return jpeg[: int(len(jpeg) * oddity.cut_at)] + (END if oddity.keeps_end else b"")
    return (jpeg if oddity.end_marker else jpeg.removesuffix(END)) + oddity.padding


def _without_tables(jpeg: bytes) -> bytes:
    kept, at = bytearray(jpeg[:2]), 2
    while jpeg[at + 1] != 0xDA:
        length = 2 + int.from_bytes(jpeg[at + 2 : at + 4], "big")
        kept += b"" if jpeg[at + 1] == 0xC4 else jpeg[at : at + length]
        at += length
    return bytes(kept) + jpeg[at:]
