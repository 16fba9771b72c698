"""What a camera's `source` setting means."""

import hashlib
import re
from enum import StrEnum
from pathlib import Path
from urllib.parse import urlsplit

from ostiary.errors import CameraUnavailable

SCHEME = re.compile(r"[a-z][a-z0-9+.-]*", re.IGNORECASE)
HOST = re.compile(r"(?:[\w.-]*|\[[0-9a-f:.%]+\])(?::\d*)?(?=[/?#]|$)", re.IGNORECASE)
SECRET = re.compile(
    r"[?#=:;&]|%3[ad]|(?<![a-z])(?:auth|key|login|pass\w*|pwd?|secret|sid|token|user\w*|usr)/",
    re.IGNORECASE,
)
"""What a secret may follow in a path."""
TOKEN = re.compile(r"[A-Za-z0-9-]{16,}")
ENCODE = (
    "In user and password percent-encode special characters: / as %2F, ? as %3F, # as %23, : as "
    "%3A, @ as %40, % as %25."
)


class SourceKind(StrEnum):
    V4L2 = "v4l2"
    RTSP = "rtsp"
    HTTP = "http"
    FILE = "file"
    FOLDER = "folder"

    @property
    def live(self) -> bool:
        """Whether it goes on by itself. A file or folder waits, repeats and ends."""
        return self not in (SourceKind.FILE, SourceKind.FOLDER)


SCHEMES = {
    "rtsp": SourceKind.RTSP,
    "rtsps": SourceKind.RTSP,
    "http": SourceKind.HTTP,
    "https": SourceKind.HTTP,
}


def kind_of(source: str) -> SourceKind:
    """The kind of camera that `source` names. Raises CameraUnavailable where it names none."""
    scheme, separator, rest = source.partition("://")
    if separator:
        kind = SCHEMES.get(scheme.lower())
        if kind is None:
            raise CameraUnavailable(
                f"{redact(source)}: this scheme is not supported. Give rtsp://, rtsps://, http://, "
                "https://, a device, a video file or a folder of images."
            )
        if not _is_whole(source):
            encode = f" {ENCODE}" if "@" in rest else ""
            raise CameraUnavailable(
                f"{redact(source)}: not a whole address. Check host and port.{encode}"
            )
        return kind
    if source.isdecimal() or source.startswith("/dev/"):
        return SourceKind.V4L2
    path = Path(source)
    if source and path.is_dir():
        return SourceKind.FOLDER
    if source and path.is_file():
        return SourceKind.FILE
    raise CameraUnavailable(
        f"{redact(source) or '(empty)'}: no such file or folder. Give a device number (0), "
        "a device path (/dev/v4l/by-id/…), rtsp://…, http://…, a video file or a folder of images."
    )


def is_open_on_the_way(source: str, tls_ca: Path | None = None) -> bool:
    """Whether somebody on the network could replace the camera's pictures: the camera is neither on
    this machine nor encrypted and verified (rtsps only by the certificates in `tls_ca`)."""
    kind = kind_of(source)
    if kind not in (SourceKind.HTTP, SourceKind.RTSP):
        return False
    parts = urlsplit(source)
    host = parts.hostname or ""
    here = host == "localhost" or host == "::1" or host.startswith("127.")
    scheme = parts.scheme.lower()
    verified = scheme == "https" or (scheme == "rtsps" and tls_ca is not None)
    return not here and not verified


def digest_of(source: str) -> str:
    """SHA-256, in hex, of `source` without user and password, which do not make another camera."""
    return hashlib.sha256(re.sub(r"(?<=://)[^/]*@", "", source).encode()).hexdigest()


def redact(source: str) -> str:
    """`source` without anything that may be, or be part of, a password or a token.

    This leaves out what stands before the last `@`, the query, the path after `=`, `:`, `&` or a
    word like `password`, and what looks like a token. Where an `@` may belong to either part, only
    the scheme is shown.
    """
    if source.startswith(("/", ".")) and not source.startswith("//"):
        return source
    scheme, separator, rest = source.partition("://")
    if SCHEME.fullmatch(scheme) and separator:
        scheme += separator
    else:
        scheme, rest = "", source
    before, at, after = rest.rpartition("@")
    if re.search("[?#=]|%3d", before, re.IGNORECASE):
        return f"{scheme}…"
    host = HOST.match(after)
    if host is None or host.end() == 0 < len(after):
        return f"{scheme}…"
    path = after[host.end() :]
    secret = SECRET.search(path)
    shown, more = (path, "") if secret is None else (path[: secret.end()], "…")
    return f"{scheme}{'…@' if at else ''}{host[0]}{TOKEN.sub('…', shown)}{more}"


def _is_whole(source: str) -> bool:
    """Whether host and port are where they belong: no `@`, `/`, `?` or `#` of a password is raw."""
    try:
        parts = urlsplit(source)
        reaches = bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    misplaced = "@" in parts.path + parts.fragment
    return reaches and not misplaced and "@" not in parts.query.partition("=")[0]
