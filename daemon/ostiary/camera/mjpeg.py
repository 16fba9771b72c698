"""HTTP MJPEG: multipart/x-mixed-replace, read without FFmpeg, which probes for a second first."""

import http.client
import re
import select
import time
import urllib.error
import urllib.request
from email.message import Message
from urllib.parse import unquote, urlsplit, urlunsplit

from ostiary.camera.address import redact
from ostiary.camera.picture import Picture
from ostiary.config import CameraSettings
from ostiary.errors import CameraUnavailable, OstiaryError
from ostiary.vision.arrays import BGRImage
from ostiary.vision.image import ImageLimits, decode_image

CONNECT_TIMEOUT_S = 3.0
PART_LIMIT = 16 * 1024 * 1024
"""Bytes of a part before which the stream is given up: no camera sends a JPEG this large."""
PICTURE_LIMITS = ImageLimits(bytes=PART_LIMIT, pixels=4096 * 2304, side=4096)
"""More than 4K is no camera at a door: it would hold the memory, and the processor."""
CHUNK = 256 * 1024
DRAIN_S = 0.05
"""Longest look for a newer picture while one is at hand."""


class NewestPart:
    """Cuts a multipart stream into its parts and keeps only the newest whole one.

    Many cameras send a boundary with the dashes already in it, leave out Content-Length, or both.
    """

    def __init__(self, boundary: bytes) -> None:
        name = re.escape(boundary.lstrip(b"-"))
        self._start = re.compile(rb"--" + name)
        self._end = re.compile(rb"\r\n--+" + name)
        self._buffer = bytearray()

    def feed(self, data: bytes) -> bytes | None:
        """The newest part that `data` completes, or None. Raises ValueError on endless ones."""
        self._buffer += data
        newest = None
        while (part := self._take()) is not None:
            newest = part
        if len(self._buffer) > PART_LIMIT:
            raise ValueError(f"no end of a picture within {PART_LIMIT} bytes")
        return newest

    def _take(self) -> bytes | None:
        start = self._start.search(self._buffer)
        if start is None:
            return None
        head_end = self._buffer.find(b"\r\n\r\n", start.end())
        if head_end < 0:
            return None
        head, body = bytes(self._buffer[start.end() : head_end]), head_end + 4
        length = re.search(rb"(?im)^content-length:[ \t]*(\d{1,9})[ \t]*\r?$", head)
        if length is not None:
            end = body + int(length[1])
            if len(self._buffer) < end:
                return None
        else:
            found = self._end.search(self._buffer, body)
            if found is None:
                return None
            end = found.start()
        part = bytes(self._buffer[body:end])
        del self._buffer[:end]
        return part


class MjpegSource:
    """A camera's http:// or https:// address, with `user:password@` (Basic or Digest) in it."""

    pace: float | None = None

    def __init__(self, settings: CameraSettings) -> None:
        """Raises CameraUnavailable when nothing answers, or something that is not MJPEG."""
        self._shown = redact(settings.source)
        self._silence_s = settings.stall_after_s + 0.5  # so that `stalled` is seen before
        self._response = self._open(settings.source)
        self._parts = NewestPart(self._boundary(self._response.headers))
        self._readable = select.poll()
        self._readable.register(self._response, select.POLLIN)

    def read(self) -> Picture | None:
        """The newest whole picture; those that came before it are not even decoded."""
        give_up_at = time.monotonic() + self._silence_s
        while True:
            try:
                part = self._parts.feed(self._receive())
                hurry_until = time.monotonic() + DRAIN_S
                while self._readable.poll(0) and time.monotonic() < hurry_until:
                    part = self._parts.feed(self._receive()) or part
                if part is None and time.monotonic() > give_up_at:
                    raise TimeoutError(f"no whole picture in {self._silence_s:g} s")
            except (OSError, http.client.HTTPException, ValueError) as error:
                raise CameraUnavailable(f"{self._shown}: the stream broke: {error}") from error
            if part:
                return Picture(self._decode(part), time.monotonic())

    def close(self) -> None:
        self._response.close()

    def _receive(self) -> bytes:
        data = self._response.read1(CHUNK)
        if not data:
            raise ConnectionError("the camera ended it")
        return data

    def _decode(self, part: bytes) -> BGRImage:
        try:
            return decode_image(part, PICTURE_LIMITS)
        except OstiaryError as error:
            raise CameraUnavailable(f"{self._shown}: a picture is refused: {error}") from error

    def _open(self, source: str) -> http.client.HTTPResponse:
        parts = urlsplit(source)
        address = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
        logins = urllib.request.HTTPPasswordMgrWithDefaultRealm()
        if parts.username is not None:
            secret = unquote(parts.password or "")
            logins.add_password(None, address, unquote(parts.username), secret)
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}),  # a camera stands on the local network
            urllib.request.HTTPBasicAuthHandler(logins),
            urllib.request.HTTPDigestAuthHandler(logins),
        )
        try:
            response = opener.open(address, timeout=max(CONNECT_TIMEOUT_S, self._silence_s))
        except urllib.error.HTTPError as error:
            error.close()
            login = "Check user and password; percent-encode special characters in them."
            advice = login if error.code == 401 else "Check the path."
            raise CameraUnavailable(f"{self._shown}: HTTP {error.code}. {advice}") from None
        except (OSError, http.client.HTTPException, ValueError) as error:
            reason = getattr(error, "reason", type(error).__name__)  # its text may hold the address
            raise CameraUnavailable(
                f"{self._shown}: no connection ({reason}). Check that the camera is on, and its "
                "address."
            ) from None
        assert isinstance(response, http.client.HTTPResponse)
        return response

    def _boundary(self, headers: Message) -> bytes:
        boundary = headers.get_boundary()
        if headers.get_content_type() == "multipart/x-mixed-replace" and boundary:
            return boundary.encode("latin-1", "replace")
        self._response.close()
        raise CameraUnavailable(
            f"{self._shown}: answers {headers.get_content_type()}, not a multipart/x-mixed-replace "
            "stream (MJPEG). Use the address of the camera's MJPEG stream, or its rtsp:// one."
        )
