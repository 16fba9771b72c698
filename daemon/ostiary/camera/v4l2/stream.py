"""Pictures out of an open device, by buffers that the driver fills and we read in place."""

import mmap
import select
import time
from contextlib import suppress
from ctypes import c_int32
from dataclasses import dataclass
from typing import Any

import numpy as np

from ostiary.camera.v4l2 import abi
from ostiary.camera.v4l2.device import VideoDevice
from ostiary.errors import CameraUnavailable

BUFFERS = 4


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
