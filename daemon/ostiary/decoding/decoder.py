"""Decodes pictures of strangers in a process of its own, which can do nothing else.

A picture that crashes the decoder, or takes too long, is an error response, and the door goes on. A
file that was no picture may have taken its decoder over, so the next one gets a fresh process.
"""

import mmap
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from typing import Self

import numpy as np
import structlog

from ostiary.decoding import worker
from ostiary.errors import DecoderUnavailable, ImageInvalid, ImageTooLarge
from ostiary.vision.arrays import BGRImage
from ostiary.vision.image import ImageLimits

log = structlog.get_logger(__name__)

START_LIMIT_S = 20.0
SPARE_S = 2.0
ATTEMPTS = 2
ENDS_WITHIN_S = 0.1
"""So long after the decoding processes the process that forks has ended, where all are killed."""
SERVES_S = 3.0
"""After so long a process is ended, also without a refusal: an attacker may have taken it over."""
KEPT_BYTES = 8_000_000
"""Memory of larger pictures is given back to the system after use, bytes of pixels."""


@dataclass(frozen=True, slots=True)
class _Process:
    """A process that decodes, the socket to it, and since when it serves (monotonic s)."""

    number: int
    talk: socket.socket
    since: float


class Decoder:
    """Decodes in another process. Safe to use from several threads, which wait for each other."""

    def __init__(self, limits: ImageLimits | None = None) -> None:
        """Start the process; `limits` are the widest that it will be asked for."""
        self._most = limits or ImageLimits()
        self._lock = threading.Lock()
        self._closed = False
        self._used: _Process | None = None
        size = worker.shared_size(self._most.bytes, self._most.pixels)
        self._memory_files = [os.memfd_create("ostiary-decoder") for _ in range(worker.SLOTS)]
        for each in self._memory_files:
            os.ftruncate(each, size)
        self._memories = [mmap.mmap(each, size) for each in self._memory_files]
        self._start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def pid(self) -> int:
        """The id of the process that forks the decoding ones."""
        return self._process.pid

    def decode(self, data: bytes, limits: ImageLimits | None = None) -> BGRImage:
        """Decode to (height, width, 3) uint8 BGR, as `vision.image.decode_image` does.

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
            request = (
                len(data),
                asked.bytes,
                min(asked.pixels, self._most.pixels),
                asked.side,
            )
            for _ in range(ATTEMPTS):
                try:
                    return self._decoded(data, request)
                except ConnectionError:  # maybe it died before it saw the picture
                    continue
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(ENDS_WITHIN_S)
                raise self._begun_anew()  # all were taken away: the picture is not to blame
        log.warning("decoder_died")
        raise ImageInvalid("The image ended its decoder. Save it anew as a baseline JPEG or PNG.")

    def close(self) -> None:
        """End the process. May be called twice."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._end()
            for memory, file in zip(self._memories, self._memory_files, strict=True):
                memory.close()
                os.close(file)

    def _decoded(self, data: bytes, request: tuple[int, int, int, int]) -> BGRImage:
        """Raises ConnectionError where the process ended by itself, and what `decode` raises."""
        used = self._process_in_use()
        memory = self._memories[used.number % worker.SLOTS]
        memory[: len(data)] = data
        try:
            used.talk.send(worker.REQUEST.pack(*request))
            used.talk.settimeout(worker.DECODE_LIMIT_S + SPARE_S)
            answer = used.talk.recv(worker.ANSWER.size + worker.TEXT_BYTES)
        except TimeoutError as error:
            self._end_process(used)
            raise ImageTooLarge(
                "The image takes too long to decode. Save it anew, smaller."
            ) from error
        except ConnectionError:
            self._end_process(used)
            raise
        if len(answer) < worker.ANSWER.size:
            self._end_process(used)
            raise ConnectionError("it ended")
        kind, height, width = worker.ANSWER.unpack_from(answer)
        if kind == worker.DONE and 0 < 3 * height * width <= 3 * self._most.pixels:
            self._used = used
            return self._copied(memory, height, width)
        self._end_process(used)
        if kind == worker.DONE:
            raise ImageInvalid("The image cannot be decoded.")
        text = answer[worker.ANSWER.size :].decode("utf-8", errors="replace")
        raise ImageTooLarge(text) if kind == worker.TOO_LARGE else ImageInvalid(text)

    def _process_in_use(self) -> _Process:
        """The process of the last picture, where that was a picture and it has not served for long;
        otherwise a fresh one. Raises DecoderUnavailable."""
        used = self._used
        self._used = None
        if used is None:
            return self._next_process()
        if time.monotonic() - used.since < SERVES_S and not _is_hung_up(used.talk):
            return used
        with suppress(OSError):  # the next process has another memory: nobody waits for the end
            self._control.send(worker.NUMBER.pack(used.number))
        used.talk.close()
        return self._next_process()

    def _end_process(self, used: _Process) -> None:
        """End a process; it has ended when this returns."""
        used.talk.close()
        until = time.monotonic() + SPARE_S
        with suppress(OSError):
            self._control.send(worker.NUMBER.pack(used.number))
            while self._hear(until) != used.number:
                continue

    def _next_process(self) -> _Process:
        """A process that waits for a picture; those that died meanwhile are passed over. Raises
        DecoderUnavailable."""
        until = time.monotonic() + START_LIMIT_S
        try:
            while True:
                if not self._waiting:
                    self._hear(until)
                    continue
                number, talk = self._waiting.popleft()
                talk.settimeout(max(0.01, until - time.monotonic()))
                with suppress(ConnectionError):
                    if talk.recv(len(worker.READY)) == worker.READY and not _is_hung_up(talk):
                        return _Process(number, talk, time.monotonic())
                talk.close()
        except OSError as error:
            raise self._begun_anew() from error

    def _begun_anew(self) -> DecoderUnavailable:
        self._end()
        self._start()
        return DecoderUnavailable(
            "Pictures cannot be decoded now: their process does not start. Try again; see "
            "`ostiary doctor` (libseccomp2 is needed)."
        )

    def _hear(self, until: float) -> int | None:
        """The number of a process that has ended; None: a new one waits. Raises OSError."""
        self._control.settimeout(max(0.01, until - time.monotonic()))
        message, files, _, _ = socket.recv_fds(self._control, worker.NUMBER.size, 1)
        if not message:
            raise ConnectionError("it ended")
        (number,) = worker.NUMBER.unpack(message)
        if not files:
            return int(number)
        self._waiting.append((number, socket.socket(fileno=files[0])))
        return None

    def _copied(self, memory: mmap.mmap, height: int, width: int) -> BGRImage:
        size = 3 * height * width
        start = worker.pixels_at(self._most.bytes)
        shared = np.frombuffer(memory, np.uint8, size, start)
        image = shared.reshape(height, width, 3).copy()
        del shared
        if size > KEPT_BYTES:
            with suppress(OSError, ValueError):
                memory.madvise(mmap.MADV_REMOVE, start, size // mmap.PAGESIZE * mmap.PAGESIZE)
        return image

    def _start(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        handed = (theirs.fileno(), *self._memory_files)
        numbers = (*handed, self._most.bytes, self._most.pixels)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "ostiary.decoding.worker", *map(str, numbers)],
                pass_fds=handed,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                start_new_session=True,
            )
        self._control = ours
        self._used = None
        self._waiting: deque[tuple[int, socket.socket]] = deque()

    def _end(self) -> None:
        self._control.close()
        for _, talk in self._waiting:
            talk.close()
        if self._used is not None:
            self._used.talk.close()
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


def _is_hung_up(talk: socket.socket) -> bool:
    """Whether whoever was at the other end has gone."""
    poll = select.poll()
    poll.register(talk, select.POLLIN)
    return bool(poll.poll(0))  # nothing is to come before it is asked
