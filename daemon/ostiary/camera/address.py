"""What a camera's `source` setting means."""

import re
from enum import StrEnum
from pathlib import Path
from urllib.parse import urlsplit

from ostiary.errors import CameraUnavailable


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


def kind_of(source: str) -> SourceKind:
    """Raises CameraUnavailable when `source` names nothing that could be a camera."""
    scheme, separator, rest = source.partition("://")
    if separator:
        kinds = {"rtsp": SourceKind.RTSP, "http": SourceKind.HTTP, "https": SourceKind.HTTP}
        kind = kinds.get(scheme.lower())
        if kind is None:
            raise CameraUnavailable(
                f"{redact(source)}: {scheme}:// is not supported. Give rtsp://, http://, https://, "
                "a device, a video file or a folder of images."
            )
        try:
            parts = urlsplit(source)
            whole = bool(parts.hostname) and parts.port != 0
        except ValueError:
            whole = False
        if not rest or not whole:
            raise CameraUnavailable(f"{redact(source)}: not a whole address. Check host and port.")
        return kind
    if source.isdecimal() or source.startswith("/dev/"):
        return SourceKind.V4L2
    path = Path(source)
    if source and path.is_dir():
        return SourceKind.FOLDER
    if source and path.is_file():
        return SourceKind.FILE
    raise CameraUnavailable(
        f"{source or '(empty)'}: no such file or folder. Give a device number (0), a device path "
        "(/dev/v4l/by-id/…), rtsp://…, http://…, a video file or a folder of images."
    )


def is_open_on_the_way(source: str) -> bool:
    """Whether somebody on the network between could put other pictures in the camera's place: it is
    neither on this machine nor encrypted and verified."""
    kind = kind_of(source)
    if kind not in (SourceKind.HTTP, SourceKind.RTSP):
        return False
    parts = urlsplit(source)
    host = parts.hostname or ""
    here = host == "localhost" or host == "::1" or host.startswith("127.")
    return not here and parts.scheme.lower() != "https"


def redact(source: str) -> str:
    """`source` without user, password and query, which may be or hold a secret."""
    shown = re.sub(r"(?<=://)[^/]*@", "…@", source)
    return re.sub(r"\?.*", "?…", shown, flags=re.DOTALL) if "://" in source else source
