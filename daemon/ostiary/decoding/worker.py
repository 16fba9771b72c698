"""The process that decodes pictures of strangers, and what it and the daemon say to each other.

`python -m ostiary.decoding.worker` starts OpenCV once and forks children that give up everything
(`sandbox`). The daemon says which of them is to be ended, and another is always there in advance,
with a memory of its own.

A picture's bytes, and then its pixels, stand in memory that process and daemon share; messages only
say how many. The messages go over a socket of the process's own, which the daemon gets from the
process that forks. Sockets keep messages whole (SOCK_SEQPACKET).
"""

import mmap
import os
import select
import signal
import socket
import sys
from contextlib import suppress
from struct import Struct

import cv2
import numpy as np

from ostiary.decoding import sandbox
from ostiary.errors import ImageInvalid, ImageTooLarge
from ostiary.vision.image import ImageLimits, decode_image

CUT_SHORT = "The image is cut short. Send a whole file."
DECODE_LIMIT_S = 3.0
MOST_UNSERVED = 3
MEMORY_BESIDE_PIXELS = 100_000_000
KEPT_BYTES = 16_000_000
MOST_COPIES = 3
"""Copies that a decoder holds at once: coefficients, the picture, the picture turned upright."""
SLOTS = 2
"""Memories, used in turn: one process decodes while the next waits."""
NUMBER = Struct("<I")
"""The number of a process; its memory is that modulo SLOTS. With a socket: it waits at the other
end. From the daemon: it is to be ended. In answer to that: it has ended."""
REQUEST = Struct("<4I")
"""Length of the file; the limits: bytes, pixels, side."""
ANSWER = Struct("<B2I")
"""How it went; height and width of the picture."""
DONE, INVALID, TOO_LARGE = range(3)
TEXT_BYTES = 1000
"""Largest message behind an answer that is not DONE."""
READY = b"ready"


def main(arguments: list[str]) -> int:
    """Run the process that forks. `arguments`: file descriptors of the daemon's socket and of the
    memories, largest file, most pixels."""
    descriptor, *memory_descriptors, most_bytes, most_pixels = map(int, arguments)
    cv2.setNumThreads(1)
    size = shared_size(most_bytes, most_pixels)
    memories = [mmap.mmap(each, size) for each in memory_descriptors]
    for each in memory_descriptors:
        os.close(each)
    control = socket.socket(fileno=descriptor)
    return Nursery(control, memories, most_bytes, most_pixels).run()


class Nursery:
    """Forks processes that decode, one ahead, and sees that they end."""

    def __init__(
        self,
        control: socket.socket,
        memories: list[mmap.mmap],
        most_bytes: int,
        most_pixels: int,
    ) -> None:
        self._control = control
        self._memories = memories
        self._most = (most_bytes, most_pixels)
        self._numbers: dict[int, int] = {}  # of the living, by their process
        self._ended: list[int] = []
        self._served = mmap.mmap(-1, 1)  # whether the newest came as far as to serve
        self._unserved = 0
        self._woken, wakes = socket.socketpair()
        for each in (self._woken, wakes):
            each.setblocking(False)
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        signal.set_wakeup_fd(wakes.fileno())
        self._wakes = wakes

    def run(self) -> int:
        """Until the daemon has gone (0), or no process serves (1)."""
        try:
            for number in range(len(self._memories)):
                self._fork(number)
            while True:
                select.select([self._control, self._woken], [], [])
                with suppress(BlockingIOError):
                    while self._woken.recv(64):
                        pass
                with suppress(BlockingIOError):
                    message = self._control.recv(NUMBER.size, socket.MSG_DONTWAIT)
                    if not message:
                        return 0
                    self._end(*NUMBER.unpack(message))
                    self._control.send(message)
                self._reap(os.WNOHANG)
                while self._ended and self._unserved < MOST_UNSERVED:
                    self._fork(self._ended.pop(0) + len(self._memories))
                if self._unserved >= MOST_UNSERVED:  # the next would not serve either
                    return 1
        except OSError:  # the daemon has gone
            return 0
        finally:
            signal.set_wakeup_fd(-1)  # its socket closes before the last of them has ended
            for process in self._numbers:
                os.kill(process, signal.SIGKILL)

    def _end(self, number: int) -> None:
        for process, known in list(self._numbers.items()):
            if known == number:
                os.kill(process, signal.SIGKILL)
                while number in self._numbers.values():
                    self._reap(0)

    def _reap(self, options: int) -> None:
        """Take note of processes that have ended, whose memories are free now."""
        while self._numbers:
            process, _ = os.waitpid(-1, options)
            if process == 0:
                return
            self._ended.append(self._numbers.pop(process))
            self._unserved = 0 if self._served[0] else self._unserved + 1
            options = os.WNOHANG

    def _fork(self, number: int) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._served[0] = 0
        child = os.fork()
        if child == 0:
            for each in (self._control, self._woken, self._wakes, ours):
                each.close()
            own = self._memories[number % len(self._memories)]
            for memory in self._memories:
                if memory is not own:
                    memory.close()
            _serve(theirs, own, self._served, *self._most)
        self._numbers[child] = number
        with ours, theirs:
            socket.send_fds(self._control, [NUMBER.pack(number)], [ours.fileno()])


def _serve(
    talk: socket.socket, memory: mmap.mmap, served: mmap.mmap, most_bytes: int, most_pixels: int
) -> None:
    """Decode in the child process. Never returns."""
    status = 1
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        complaints, written = os.pipe()
        os.set_blocking(complaints, False)
        report = os.dup(sys.stderr.fileno())
        os.dup2(written, sys.stderr.fileno())
        sandbox.keep_memory(KEPT_BYTES)
        sandbox.bound_memory(MOST_COPIES * 3 * most_pixels + MEMORY_BESIDE_PIXELS)
        sandbox.give_up_system_calls()
        served[0] = 1
        talk.send(READY)
        while request := talk.recv(REQUEST.size):
            signal.setitimer(signal.ITIMER_REAL, DECODE_LIMIT_S)
            answer = _answer(request, memory, most_bytes, most_pixels)
            if _was_cut_short(complaints):
                answer = _refused(INVALID, CUT_SHORT)
            signal.setitimer(signal.ITIMER_REAL, 0)
            talk.send(answer)
        status = 0
    except ConnectionError:  # the daemon has gone
        status = 0
    except OSError as error:
        os.write(report, f"ostiary: the decoder does not start: {error}\n".encode())
    finally:
        os._exit(status)


def _was_cut_short(complaints: int) -> bool:
    """Whether the file was cut short: libjpeg fills the rest with grey, and only writes so to
    standard error."""
    try:
        said = os.read(complaints, 65_536)
    except BlockingIOError:
        return False
    return b"premature end" in said.lower()


def _refused(kind: int, text: str) -> bytes:
    return ANSWER.pack(kind, 0, 0) + text.encode()[:TEXT_BYTES]


def _answer(request: bytes, memory: mmap.mmap, most_bytes: int, most_pixels: int) -> bytes:
    length, limit, pixels, side = REQUEST.unpack(request)
    try:
        image = decode_image(memory[:length], ImageLimits(limit, pixels, side))
        if image.size > 3 * most_pixels:
            raise ImageTooLarge(f"The image has more than {most_pixels} pixels.")
    except (ImageInvalid, ImageTooLarge) as error:
        kind = TOO_LARGE if isinstance(error, ImageTooLarge) else INVALID
        return _refused(kind, error.message)
    except MemoryError:
        return _refused(TOO_LARGE, "The image takes too much memory.")
    start = pixels_at(most_bytes)
    pixels_out = np.frombuffer(memory, np.uint8, image.size, start)
    pixels_out[:] = image.reshape(-1)
    return ANSWER.pack(DONE, image.shape[0], image.shape[1])


def shared_size(most_bytes: int, most_pixels: int) -> int:
    """Bytes of a memory: the file from 0 on, and the pixels from `pixels_at`."""
    return pixels_at(most_bytes) + 3 * most_pixels


def pixels_at(most_bytes: int) -> int:
    """Where the pixels begin: at the next whole page."""
    return -(-most_bytes // mmap.PAGESIZE) * mmap.PAGESIZE


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
