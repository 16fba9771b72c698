"""One open V4L2 device: what it is, what it offers, what can be set, and the pictures it fills."""

import errno
import fcntl
import mmap
import os
import select
import time
from collections.abc import Iterator
from contextlib import suppress
from ctypes import Array, Structure, c_int32, c_uint8
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, TypeVar

import numpy as np

from ostiary.camera.v4l2 import abi
from ostiary.camera.v4l2.formats import PREFERRED, Span, VideoMode
from ostiary.errors import CameraUnavailable

BY_ID = Path("/dev/v4l/by-id")
T = TypeVar("T", bound=Structure)
_CAPTURE = abi.BUF_TYPE_VIDEO_CAPTURE
_MOST = 256
_NOT_OFFERED = (errno.EINVAL, errno.ENOTTY)
BUFFERS = 4


@dataclass(frozen=True, slots=True)
class ControlRange:
    """The values that a control takes."""

    least: int
    most: int
    step: int
    default: int
    active: bool
    """False while another control, such as an automatic, decides it."""


class VideoDevice:
    """Open it with `VideoDevice.open`; close it again. Methods raise OSError as the kernel does."""

    def __init__(self, path: Path, fd: int) -> None:
        self.path = path
        self.fd = fd
        about = abi.Capability()
        self.ask(abi.QUERYCAP, about)
        self.name = _text(about.card)
        self.driver = _text(about.driver)
        self.bus = _text(about.bus_info)
        whole = about.capabilities
        self._capabilities = about.device_caps if whole & abi.CAP_DEVICE_CAPS else whole

    @classmethod
    def open(cls, path: Path) -> Self:
        """Raises CameraUnavailable when it is not there, not permitted, or no V4L2 device."""
        try:
            fd = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            raise CameraUnavailable(
                f"{path}: no such device. Is the camera plugged in? {_there()}"
            ) from None
        except PermissionError:
            raise CameraUnavailable(
                f"{path}: no permission. Add the user to the group `video`."
            ) from None
        except OSError as error:
            raise CameraUnavailable(f"{path}: {error.strerror}. Is it a camera?") from error
        try:
            return cls(path, fd)
        except OSError:
            os.close(fd)
            raise CameraUnavailable(f"{path}: not a camera. {_there()}") from None

    def close(self) -> None:
        os.close(self.fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def captures(self) -> bool:
        """Whether it gives pictures (a camera has other devices beside it, for metadata)."""
        needed = abi.CAP_VIDEO_CAPTURE | abi.CAP_STREAMING
        return bool(self._capabilities & needed == needed)

    def ask(self, request: int, structure: Structure | c_int32) -> None:
        fcntl.ioctl(self.fd, request, structure)

    def formats(self) -> list[str]:
        """The FourCCs that it offers."""
        return [
            _fourcc(each.pixelformat)
            for each in self._each(abi.ENUM_FMT, abi.FormatDescription, type=_CAPTURE)
        ]

    def modes(self, width: int, height: int) -> list[VideoMode]:
        """Every format that can be decoded in every size; of a span of sizes the nearest one to
        `width` × `height`."""
        return [
            self._mode(fourcc, *size)
            for fourcc in self.formats()
            if fourcc in PREFERRED
            for size in self._sizes(fourcc, width, height)
        ]

    def _sizes(self, fourcc: str, width: int, height: int) -> Iterator[tuple[int, int]]:
        for each in self._each(abi.ENUM_FRAMESIZES, abi.FrameSize, pixel_format=_number(fourcc)):
            if each.type == abi.FRMSIZE_DISCRETE:
                yield each.size.discrete.width, each.size.discrete.height
            else:
                span = each.size.stepwise
                yield (
                    Span(span.min_width, span.max_width, span.step_width).nearest(width),
                    Span(span.min_height, span.max_height, span.step_height).nearest(height),
                )
                return

    def _mode(self, fourcc: str, width: int, height: int) -> VideoMode:
        rates: set[float] = set()
        spans = False
        asked = {"pixel_format": _number(fourcc), "width": width, "height": height}
        for each in self._each(abi.ENUM_FRAMEINTERVALS, abi.FrameInterval, **asked):
            if each.type == abi.FRMIVAL_DISCRETE:
                rates.add(_rate(each.interval.discrete))
            else:
                rates |= {_rate(each.interval.stepwise.min), _rate(each.interval.stepwise.max)}
                spans = True
                break
        return VideoMode(fourcc, width, height, tuple(sorted(rates - {0.0})), spans)

    def set_mode(self, mode: VideoMode, fps: float) -> tuple[VideoMode, int]:
        """Set the mode nearest to `fps`. Returns what the driver gives (with the one rate in force,
        where it tells) and the bytes of a line."""
        wanted = abi.Format(type=_CAPTURE)
        wanted.fmt.pix.width, wanted.fmt.pix.height = mode.width, mode.height
        wanted.fmt.pix.pixelformat = _number(mode.fourcc)
        self.ask(abi.S_FMT, wanted)
        given = wanted.fmt.pix
        rates = self._set_rate(mode.rate_for(fps))
        return VideoMode(
            _fourcc(given.pixelformat), given.width, given.height, rates
        ), given.bytesperline

    def _set_rate(self, fps: float) -> tuple[float, ...]:
        parameters = abi.StreamParameters(type=_CAPTURE)
        try:
            self.ask(abi.G_PARM, parameters)
            capture = parameters.parm.capture
            if not capture.capability & abi.CAP_TIMEPERFRAME:
                return ()
            capture.timeperframe.numerator, capture.timeperframe.denominator = (
                1000,
                round(1000 * fps),
            )
            self.ask(abi.S_PARM, parameters)
        except OSError as error:
            if error.errno in _NOT_OFFERED:
                return ()
            raise
        return (_rate(capture.timeperframe),)

    def control(self, number: int) -> ControlRange | None:
        """None where the device has no such control."""
        asked = abi.QueryControl(id=number)
        try:
            self.ask(abi.QUERYCTRL, asked)
        except OSError as error:
            if error.errno in _NOT_OFFERED:
                return None
            raise
        if asked.flags & abi.CTRL_FLAG_DISABLED:
            return None
        active = not asked.flags & abi.CTRL_FLAG_INACTIVE
        return ControlRange(asked.minimum, asked.maximum, asked.step, asked.default_value, active)

    def offers_item(self, number: int, item: int) -> bool:
        """Whether a control that is a menu has this item."""
        try:
            self.ask(abi.QUERYMENU, abi.QueryMenu(id=number, index=item))
        except OSError as error:
            if error.errno in _NOT_OFFERED:
                return False
            raise
        return True

    def value(self, number: int) -> int:
        asked = abi.Control(id=number)
        self.ask(abi.G_CTRL, asked)
        return int(asked.value)

    def set_value(self, number: int, value: int) -> None:
        self.ask(abi.S_CTRL, abi.Control(id=number, value=value))

    def _each(self, request: int, kind: type[T], **fields: int) -> Iterator[T]:
        """The answers of an enumeration, until the driver says that there is no more."""
        for index in range(_MOST):
            asked = kind(index=index, **fields)
            try:
                self.ask(request, asked)
            except OSError as error:
                if error.errno in _NOT_OFFERED:
                    return
                raise
            yield asked


def device_paths() -> list[Path]:
    """Every V4L2 device's path, in the order of their numbers."""
    found = (path for path in Path("/dev").glob("video*") if path.name[5:].isdecimal())
    return sorted(found, key=lambda path: int(path.name[5:]))


def lasting_name(path: Path) -> Path:
    """The device's name under /dev/v4l/by-id, which stays with the camera; `path` without one."""
    device = path.resolve()
    names = sorted(BY_ID.glob("*")) if BY_ID.is_dir() else []
    return next((name for name in names if name.resolve() == device), path)


def _there() -> str:
    paths = device_paths()
    names = ", ".join(str(lasting_name(path)) for path in paths)
    return f"There are: {names}" if paths else "No camera is seen here."


def _text(field: Array[c_uint8]) -> str:
    return bytes(field).split(b"\0")[0].decode("utf-8", "replace")


def _rate(interval: abi.Fraction) -> float:
    return round(interval.denominator / interval.numerator, 3) if interval.numerator else 0.0


def _number(fourcc: str) -> int:
    return int.from_bytes(fourcc.encode("ascii"), "little")


def _fourcc(number: int) -> str:
    return (number & 0x7FFF_FFFF).to_bytes(4, "little").decode("ascii", "replace")


@dataclass(frozen=True, slots=True)
class Filled:
    """A buffer that the driver has filled: ours until it is given back by `Stream.give_back`.

    `stamped_at`: when the driver says that it was captured, `time.monotonic()` seconds; None where
    the driver has another clock.
    """

    index: int
    content: np.ndarray[Any, np.dtype[np.uint8]]
    stamped_at: float | None


class Stream:
    """Streams from its making to `close`. Methods raise OSError as the kernel does."""

    def __init__(self, device: VideoDevice) -> None:
        self._device = device
        self._maps: list[mmap.mmap] = []
        asked = abi.RequestBuffers(
            count=BUFFERS, type=abi.BUF_TYPE_VIDEO_CAPTURE, memory=abi.MEMORY_MMAP
        )
        device.ask(abi.REQBUFS, asked)
        try:
            for index in range(asked.count):
                buffer = self._buffer(index)
                device.ask(abi.QUERYBUF, buffer)
                self._maps.append(mmap.mmap(device.fd, buffer.length, offset=buffer.m.offset))
                self._queue(index)
            self._switch(abi.STREAMON)
        except OSError:
            self._maps.clear()
            raise
        self._poll = select.poll()
        self._poll.register(device.fd, select.POLLIN)

    def newest(self, within_s: float) -> Filled:
        """Wait for a picture, and of those that are ready take the newest.

        Raises CameraUnavailable where none came in time: the device hangs or was unplugged.
        """
        until = time.monotonic() + within_s
        while True:
            events = self._poll.poll(max(0.0, until - time.monotonic()) * 1000)
            if not events:
                raise CameraUnavailable(
                    f"{self._device.path}: no picture for {within_s:.1f} s. The camera hangs; "
                    "plug it in again if it does not come back."
                )
            if events[0][1] & (select.POLLHUP | select.POLLNVAL):
                raise CameraUnavailable(f"{self._device.path}: unplugged.")
            newest = self._take_newest()
            if newest is not None:
                return newest

    def give_back(self, filled: Filled) -> None:
        """Let the driver fill it again. Its `content` may not be read any more."""
        self._queue(filled.index)

    def close(self) -> None:
        with suppress(OSError):  # it was unplugged
            self._switch(abi.STREAMOFF)
        self._maps.clear()

    def _take_newest(self) -> Filled | None:
        newest: Filled | None = None
        while (filled := self._dequeue()) is not None:
            if newest is not None:
                self._queue(newest.index)
            newest = filled
        return newest

    def _dequeue(self) -> Filled | None:
        """A whole picture; None where there is none now. Broken ones go straight back."""
        while True:
            buffer = self._buffer(0)
            try:
                self._device.ask(abi.DQBUF, buffer)
            except BlockingIOError:
                return None
            if not buffer.flags & abi.BUF_FLAG_ERROR and buffer.bytesused:
                break
            self._queue(buffer.index)
        clock = buffer.flags & abi.BUF_FLAG_TIMESTAMP_MASK
        stamp = buffer.timestamp.seconds + buffer.timestamp.microseconds / 1e6
        content = np.frombuffer(self._maps[buffer.index], np.uint8, buffer.bytesused)
        monotonic = clock == abi.BUF_FLAG_TIMESTAMP_MONOTONIC
        return Filled(buffer.index, content, stamp if monotonic else None)

    def _queue(self, index: int) -> None:
        self._device.ask(abi.QBUF, self._buffer(index))

    def _buffer(self, index: int) -> abi.Buffer:
        return abi.Buffer(index=index, type=abi.BUF_TYPE_VIDEO_CAPTURE, memory=abi.MEMORY_MMAP)

    def _switch(self, request: int) -> None:
        self._device.ask(request, c_int32(abi.BUF_TYPE_VIDEO_CAPTURE))
