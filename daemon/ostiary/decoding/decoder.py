"""Decodes pictures of strangers in a process of its own, which can do nothing else.

A picture that crashes a decoder, or takes it too long, is an error response; the door goes on.
"""

import mmap
import os
import signal
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from typing import Self

import numpy as np
import structlog

from ostiary.decoding import wire
from ostiary.decoding.worker import DECODE_LIMIT_S
from ostiary.errors import DecoderUnavailable, ImageInvalid, ImageTooLarge
from ostiary.vision.arrays import BGRImage
from ostiary.vision.image import ImageLimits

log = structlog.get_logger(__name__)

START_LIMIT_S = 20.0
SPARE_S = 2.0
ATTEMPTS = 2
MOST_NUMBER = 2**31
KEPT_BYTES = 8_000_000
"""More than so many bytes of pixels are given back to the system after use."""


class Decoder:
    """Safe to use from several threads, which wait for each other."""

    def __init__(self, limits: ImageLimits | None = None) -> None:
        """Starts the process; `limits` are the widest that it will be asked for."""
        self._most = limits or ImageLimits()
        self._lock = threading.Lock()
        self._closed = False
        self._number = 0
        size = wire.shared_size(self._most.bytes, self._most.pixels)
        self._memory_file = os.memfd_create("ostiary-decoder")
        os.ftruncate(self._memory_file, size)
        self._memory = mmap.mmap(self._memory_file, size)
        self._start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def pid(self) -> int:
        """Of the process that forks the one which decodes."""
        return self._process.pid

    def decode(self, data: bytes, limits: ImageLimits | None = None) -> BGRImage:
        """As `vision.image.decode_image`, in the other process.

        Raises ImageTooLarge also for what takes longer than DECODE_LIMIT_S or too much memory,
        ImageInvalid also for what crashes the decoder, DecoderUnavailable where it does not start.
        """
        asked = limits or self._most
        if len(data) > min(asked.bytes, self._most.bytes):
            most = min(asked.bytes, self._most.bytes)
            raise ImageTooLarge(f"The image has {len(data)} bytes; at most {most} are taken.")
        with self._lock:
            if self._closed:
                raise DecoderUnavailable("The door is stopping.")
            self._await_ready()
            self._memory[: len(data)] = data
            request = (
                len(data),
                asked.bytes,
                min(asked.pixels, self._most.pixels),
                asked.side,
            )
            try:
                kind, height, width, text = self._ask(request)
            except OSError as error:  # it does not even end when its time is over
                self._end()
                self._start()
                raise ImageTooLarge(
                    "The image takes too long to decode. Save it anew, smaller."
                ) from error
            if kind == wire.DONE:
                return self._copied(height, width)
        if kind == wire.TOO_LARGE:
            raise ImageTooLarge(text)
        if kind == wire.DIED:
            log.warning("decoder_died")
            text = "The image ended its decoder. Save it anew as a baseline JPEG or PNG."
        raise ImageInvalid(text)

    def close(self) -> None:
        """End the process. May be called twice."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._end()
            self._memory.close()
            os.close(self._memory_file)

    def _ask(self, request: tuple[int, int, int, int]) -> tuple[int, int, int, str]:
        """How it went, height, width and message. Asked again where the process died: it may have
        been before it saw the picture. Raises OSError where nothing answers in time."""
        for _ in range(ATTEMPTS):
            self._number = self._number % MOST_NUMBER + 1
            self._talk.settimeout(DECODE_LIMIT_S + SPARE_S)
            self._talk.send(wire.REQUEST.pack(self._number, *request))
            while True:
                answer = self._talk.recv(wire.ANSWER.size + wire.TEXT_BYTES)
                if not answer:
                    raise ConnectionError("its process ended")
                if answer == wire.READY:
                    continue
                kind, number, height, width = wire.ANSWER.unpack_from(answer)
                if kind == wire.DIED:
                    break
                if number == self._number:
                    text = answer[wire.ANSWER.size :].decode("utf-8", errors="replace")
                    return kind, height, width, text
        self._ready = False
        return wire.DIED, 0, 0, ""

    def _copied(self, height: int, width: int) -> BGRImage:
        size = 3 * height * width
        if not 0 < size <= 3 * self._most.pixels:
            raise ImageInvalid("The image cannot be decoded.")
        start = wire.pixels_at(self._most.bytes)
        shared = np.frombuffer(self._memory, np.uint8, size, start)
        image = shared.reshape(height, width, 3).copy()
        del shared
        if size > KEPT_BYTES:
            with suppress(OSError, ValueError):
                self._memory.madvise(mmap.MADV_REMOVE, start, size // mmap.PAGESIZE * mmap.PAGESIZE)
        return image

    def _start(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        numbers = (theirs.fileno(), self._memory_file, self._most.bytes, self._most.pixels)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "ostiary.decoding.worker", *map(str, numbers)],
                pass_fds=(theirs.fileno(), self._memory_file),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                start_new_session=True,
            )
        self._talk = ours
        self._ready = False

    def _await_ready(self) -> None:
        """A child that died before, while nothing was asked of it, has left a message."""
        try:
            self._talk.settimeout(0 if self._ready else START_LIMIT_S)
            while True:
                message = self._talk.recv(wire.ANSWER.size + wire.TEXT_BYTES)
                if not message:
                    raise ConnectionError("its process ended")
                self._ready = message == wire.READY
                self._talk.settimeout(0 if self._ready else START_LIMIT_S)
        except BlockingIOError:
            return
        except OSError as error:
            self._end()
            self._start()
            raise DecoderUnavailable(
                "Pictures cannot be decoded now: their process does not start. Try again; see "
                "`ostiary doctor` (libseccomp2 is needed)."
            ) from error

    def _end(self) -> None:
        self._talk.close()
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
