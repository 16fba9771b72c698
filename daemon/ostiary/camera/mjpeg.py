"""HTTP MJPEG: multipart/x-mixed-replace, read without FFmpeg, which probes for a second first."""

import http.client
import re
import select
import time
from email.message import Message

import numpy as np

from ostiary.camera.address import redact
from ostiary.camera.http_stream import open_stream
from ostiary.camera.picture import Picture
from ostiary.errors import CameraUnavailable, ImageInvalid, OstiaryError
from ostiary.settings import CameraSettings
from ostiary.vision.arrays import BGRImage
from ostiary.vision.image import JPEG_END, JPEG_SCAN, ImageLimits, decode_image

JPEG_START = b"\xff\xd8\xff"
AFTER_SCAN = re.compile(rb"\xff+[\xc4\xd8-\xdd\xfe]")
"""What may follow the data of a scan: tables, another scan, the end, or the next picture."""
NEXT_PART = re.compile(rb"(?:\r?\n)?(?:--[^\r\n]*\r?\n)?(?:[\w-]+:[^\r\n]*\r?\n)*[\r\n]*\Z")
MORE = b"\x00" + b"\x5a\xa5\x3c" * 32
"""More data for a scan; after a 0xFF at its end the first byte makes that data, too."""
FILLER = MORE + b"".join(bytes((0xFF, restart)) + MORE for restart in range(0xD0, 0xD8))
PART_LIMIT = 16 * 1024 * 1024
"""Bytes of a part before which the stream is given up: no camera sends a JPEG this large."""
PICTURE_LIMITS = ImageLimits(bytes=PART_LIMIT, pixels=4096 * 2304, side=4096)
"""More than 4K is no camera at a door: it would hold the memory, and the processor."""
CHUNK = 256 * 1024
DRAIN_S = 0.05
"""Longest look for a newer picture while one is at hand."""


class NewestJpeg:
    """Cuts a stream into its JPEGs by their own markers and keeps only the newest.

    Not by boundaries and lengths, as RFC 2046 has it: of real cameras many send another boundary
    than they announce, none, the wrong length, or lines without CR. No marker but a JPEG's own can
    stand in its data (ITU T.81, B.1.1.5), so that it ends at its end marker, or, where the camera
    leaves that out, where the next begins.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._at = 0  # up to here the JPEG at the beginning of the buffer is known; 0: none begins
        self._in_scan = False

    def feed(self, data: bytes) -> bytes | None:
        """The newest JPEG that `data` completes, or None. Raises ValueError on endless ones."""
        self._buffer += data
        newest = None
        while (end := self._end()) is not None:
            if end > len(JPEG_START):
                newest = bytes(self._buffer[:end])
                if not newest.endswith(JPEG_END):
                    trailer = NEXT_PART.search(newest, max(0, end - 1024))
                    newest = newest[: trailer.start() if trailer else end] + JPEG_END
            del self._buffer[:end]
            self._at, self._in_scan = 0, False
        if len(self._buffer) > PART_LIMIT:
            raise ValueError(f"no end of a picture within {PART_LIMIT} bytes")
        return newest

    def _end(self) -> int | None:
        """Where the next JPEG ends, no further than its start if it is none; None: not yet here."""
        if self._at == 0:
            start = self._buffer.find(JPEG_START)
            del self._buffer[: len(self._buffer) - 2 if start < 0 else start]
            if start < 0:
                return None
            self._at = 2
        while True:
            if self._in_scan:
                found = AFTER_SCAN.search(self._buffer, self._at)
                if found is None:
                    self._at = len(self._buffer) - 1
                    return None
                self._at, self._in_scan = found.start(), False
            head = self._buffer[self._at : self._at + 4]
            if len(head) < 2:
                return None
            if head[0] != 0xFF or head[1] < 0xC0:  # what began like a JPEG is none
                return len(JPEG_START)
            if head.startswith(JPEG_END):
                return self._at + len(JPEG_END)
            if head[1] == JPEG_START[1]:
                return self._at
            if head[1] == 0xFF:
                self._at += 1
            elif len(head) < 4:
                return None
            else:
                self._at += 2 + int.from_bytes(head[2:], "big")
                self._in_scan = head[1] == JPEG_SCAN


class MjpegSource:
    """A camera's http:// or https:// address, with `user:password@` (Basic or Digest) in it."""

    pace: float | None = None
    device: str | None = None

    def __init__(self, settings: CameraSettings) -> None:
        """Raises CameraUnavailable when nothing answers, or something that is not MJPEG."""
        self._shown = redact(settings.source)
        self._silence_s = settings.stall_after_s + 0.5  # so that `stalled` is seen before
        self._response = open_stream(settings)
        self._response.fall_silent_after(self._silence_s)
        self._refuse_other_kinds(self._response.headers)
        self._jpegs = NewestJpeg()
        self._readable = select.poll()
        self._readable.register(self._response, select.POLLIN)

    def read(self) -> Picture | None:
        """The newest whole picture; those that came before it are not even decoded, and those that
        are damaged are passed over."""
        give_up_at = time.monotonic() + self._silence_s
        refused = "no JPEG in what it sends"
        while True:
            try:
                jpeg = self._jpegs.feed(self._receive())
                hurry_until = time.monotonic() + DRAIN_S
                while self._readable.poll(0) and time.monotonic() < hurry_until:
                    jpeg = self._jpegs.feed(self._receive()) or jpeg
            except (OSError, http.client.HTTPException, ValueError) as error:
                raise CameraUnavailable(f"{self._shown}: the stream broke: {error}") from error
            try:
                if jpeg is not None:
                    return Picture(decode_whole(jpeg), time.monotonic())
            except OstiaryError as error:
                refused = error.message
            if time.monotonic() > give_up_at:
                raise CameraUnavailable(
                    f"{self._shown}: no whole picture in {self._silence_s:g} s: {refused}"
                )

    def close(self) -> None:
        self._response.close()

    def _receive(self) -> bytes:
        data = self._response.read1(CHUNK)
        if not data:
            raise ConnectionError("the camera ended it")
        return data

    def _refuse_other_kinds(self, headers: Message) -> None:
        """A browser's guess: what is named as something else is that; what has no name may be."""
        kind = headers.get_content_type() if "Content-Type" in headers else "multipart/unnamed"
        if kind.startswith(("multipart/", "video/")) or kind == "application/octet-stream":
            return
        self._response.close()
        raise CameraUnavailable(
            f"{self._shown}: answers {kind}, not a multipart/x-mixed-replace stream (MJPEG). Use "
            "the address of the camera's MJPEG stream, or its rtsp:// one."
        )


def decode_whole(jpeg: bytes) -> BGRImage:
    """Decode a JPEG that ends with its end marker. Raises ImageInvalid, also where data are
    missing, and ImageTooLarge.

    A decoder fills what is missing with grey 128 and tells nobody. So where the last pixels are
    that, the data are lengthened: to whole ones it makes no difference.
    """
    image = decode_image(jpeg, PICTURE_LIMITS)
    if np.all(image[-4:, -4:] == 128):
        longer = jpeg.removesuffix(JPEG_END) + FILLER + JPEG_END
        if not np.array_equal(decode_image(longer, PICTURE_LIMITS), image):
            raise ImageInvalid("The image is cut off.")
    return image
