"""HTTP MJPEG: multipart/x-mixed-replace, read without FFmpeg, which probes for a second first.

Also how the address is opened: login, redirects, certificates.
"""

import http.client
import re
import select
import socket
import ssl
import time
import urllib.error
import urllib.request
from email.message import Message
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

import numpy as np

from ostiary.camera.address import redact
from ostiary.camera.frame import Picture
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
OTHER_NAME = frozenset({62, 64})
"""X509_V_ERR_HOSTNAME_MISMATCH and X509_V_ERR_IP_ADDRESS_MISMATCH."""
PEM = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


class NewestJpeg:
    """Cuts a stream into its JPEGs by their own markers and keeps only the newest.

    It does not go by boundaries and lengths, as RFC 2046 has it: many real cameras send another
    boundary than they announce, none, a wrong length, or lines without CR. A JPEG's data can hold
    no markers but its own (ITU T.81, B.1.1.5). So it ends at its end marker, or, where the camera
    leaves that out, where the next one begins.
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
        """The end of the next JPEG in the buffer, or of its start where it is none; None: not yet
        here."""
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
        self._response.set_timeout(self._silence_s)
        self._refuse_other_kinds(self._response.headers)
        self._jpegs = NewestJpeg()
        self._readable = select.poll()
        self._readable.register(self._response, select.POLLIN)

    def read(self) -> Picture | None:
        """The newest whole picture. Earlier ones are not decoded, damaged ones are passed over."""
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
        """Refuse what names itself as something else, as browsers do; without a name it may be
        one."""
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

    A decoder fills missing data with grey 128 and raises no error. So where the last pixels are
    that grey, the data are lengthened: this changes a picture that is cut off, and no whole one.
    """
    image = decode_image(jpeg, PICTURE_LIMITS)
    if np.all(image[-4:, -4:] == 128):
        longer = jpeg.removesuffix(JPEG_END) + FILLER + JPEG_END
        if not np.array_equal(decode_image(longer, PICTURE_LIMITS), image):
            raise ImageInvalid("The image is cut off.")
    return image


class CameraResponse(http.client.HTTPResponse):
    """A response whose time-out can be changed while it is read."""

    def __init__(self, sock: socket.socket, *more: Any, **named: Any) -> None:
        super().__init__(sock, *more, **named)
        self._socket = sock

    def set_timeout(self, seconds: float) -> None:
        self._socket.settimeout(seconds)


def open_stream(settings: CameraSettings) -> CameraResponse:
    """Log in (Basic or Digest) and return the answer, unread. Raises CameraUnavailable, saying what
    to do."""
    shown = redact(settings.source)
    parts = urlsplit(settings.source)
    address = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    logins = _Login(parts)
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}),  # a camera stands on the local network
        urllib.request.HTTPBasicAuthHandler(logins),
        urllib.request.HTTPDigestAuthHandler(logins),
        _Http(),
        _Https(settings.tls_ca),
    )
    try:
        response = opener.open(address, timeout=settings.open_timeout_s)
    except urllib.error.HTTPError as error:
        error.close()
        login = "Check user and password; percent-encode special characters in them."
        advice = login if error.code == 401 else "Check the path."
        raise CameraUnavailable(f"{shown}: HTTP {error.code}. {advice}") from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = getattr(error, "reason", type(error).__name__)  # its text may hold the address
        raise CameraUnavailable(f"{shown}: {_said(reason)}") from None
    assert isinstance(response, CameraResponse)
    return response


def _said(reason: object) -> str:
    if not isinstance(reason, ssl.SSLCertVerificationError):
        return f"no connection ({reason}). Check that the camera is on, and its address."
    if reason.verify_code in OTHER_NAME:
        return (
            "its certificate is for another name. Use that name in the address, or name a file "
            "with the certificate itself in cameras.tls_ca."
        )
    return (
        f"its certificate is not trusted ({reason.verify_message}). Cameras sign their own: save "
        "it (`openssl s_client -connect HOST:443 </dev/null | openssl x509`), compare it with what "
        "the camera's own page shows, and name the file in cameras.tls_ca."
    )


class _Login(urllib.request.HTTPPasswordMgr):
    """A camera's user and password, for every path of its host and no other host, and never in the
    clear where the address is https."""

    def __init__(self, camera: SplitResult) -> None:
        super().__init__()
        self._camera = camera

    def find_user_password(
        self,
        realm: str,  # noqa: ARG002 - a camera has one
        authuri: Any,
    ) -> tuple[str | None, str | None]:
        camera, asking = self._camera, urlsplit(authuri)
        is_it = asking.hostname == camera.hostname
        if camera.username is None or not is_it or asking.scheme not in (camera.scheme, "https"):
            return None, None
        return unquote(camera.username), unquote(camera.password or "")


class _Http(urllib.request.HTTPHandler):
    def http_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_Plain, request)


class _Plain(http.client.HTTPConnection):
    response_class = CameraResponse


class _Https(urllib.request.HTTPSHandler):
    """https by what the system trusts, or by the certificates in `trusted` only."""

    def __init__(self, trusted: Path | None) -> None:
        super().__init__()
        self._trusted = trusted

    def https_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(partial(_Connection, trusted=self._trusted), request)


class _Connection(http.client.HTTPSConnection):
    """Asks a certificate for the camera's name, unless it is itself one of those in `trusted`: what
    a camera signs for itself has a number for a name, or none."""

    response_class = CameraResponse

    def __init__(self, host: str, *, trusted: Path | None, **more: Any) -> None:
        super().__init__(host, **more)
        self._trusted = trusted

    def connect(self) -> None:
        try:
            self._connect(check_name=True)
        except ssl.SSLCertVerificationError as error:
            if self._trusted is None or error.verify_code not in OTHER_NAME:
                raise
            self._connect(check_name=False)
            pems = PEM.findall(self._trusted.read_text("ascii", "replace"))
            shown = self.sock.getpeercert(binary_form=True)
            if shown not in [ssl.PEM_cert_to_DER_cert(pem) for pem in pems]:
                self.close()
                raise

    def _connect(self, *, check_name: bool) -> None:
        http.client.HTTPConnection.connect(self)
        context = _context(self._trusted)
        context.check_hostname = check_name
        self.sock = context.wrap_socket(self.sock, server_hostname=self.host)


def _context(trusted: Path | None) -> ssl.SSLContext:
    """Raises CameraUnavailable where there is no certificate in that file."""
    try:
        context = ssl.create_default_context(cafile=trusted)
    except OSError as error:
        raise CameraUnavailable(
            f"cameras.tls_ca: {trusted}: no certificate in PEM form ({error.strerror})."
        ) from None
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT  # what cameras sign is seldom to the letter
    return context
