"""The process that decodes pictures of strangers: `python -m ostiary.decoding.worker`.

It starts OpenCV once and forks a child that gives up everything (`sandbox`) and decodes. Where a
picture ends that child, the next is there within milliseconds, and the daemon hears of it.
"""

import mmap
import os
import signal
import socket
import sys

import cv2
import numpy as np

from ostiary.decoding import sandbox, wire
from ostiary.errors import ImageInvalid, ImageTooLarge
from ostiary.vision.image import ImageLimits, decode_image

CUT_SHORT = "The image is cut short. Send a whole file."
DECODE_LIMIT_S = 3.0
MOST_UNSERVED = 3
MEMORY_BESIDE_PIXELS = 100_000_000
KEPT_BYTES = 16_000_000
MOST_COPIES = 3
"""A decoder holds coefficients, the picture and the picture turned upright at once."""


def main(arguments: list[str]) -> int:
    """`arguments`: file descriptors of the socket and of the memory, largest file, most pixels."""
    descriptor, memory_descriptor, most_bytes, most_pixels = map(int, arguments)
    cv2.setNumThreads(1)
    talk = socket.socket(fileno=descriptor)
    memory = mmap.mmap(memory_descriptor, wire.shared_size(most_bytes, most_pixels))
    os.close(memory_descriptor)
    served = mmap.mmap(-1, 1)  # whether a child came as far as to serve
    unserved = 0
    while True:
        served[0] = 0
        child = os.fork()
        if child == 0:
            _serve(talk, memory, served, most_bytes, most_pixels)
        _, status = os.waitpid(child, 0)
        if os.waitstatus_to_exitcode(status) == 0:  # the daemon has gone
            return 0
        unserved = 0 if served[0] else unserved + 1
        if unserved == MOST_UNSERVED:  # the next would not serve either
            return 1
        try:
            talk.send(wire.ANSWER.pack(wire.DIED, 0, 0, 0))
        except OSError:
            return 0


def _serve(
    talk: socket.socket, memory: mmap.mmap, served: mmap.mmap, most_bytes: int, most_pixels: int
) -> None:
    """The child's life. Never returns."""
    status = 1
    try:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        complaints, written = os.pipe()
        os.set_blocking(complaints, False)
        report = os.dup(sys.stderr.fileno())
        os.dup2(written, sys.stderr.fileno())
        sandbox.keep_memory(KEPT_BYTES)
        sandbox.bound_memory(MOST_COPIES * 3 * most_pixels + MEMORY_BESIDE_PIXELS)
        sandbox.give_up_system_calls()
        served[0] = 1
        talk.send(wire.READY)
        while request := talk.recv(wire.REQUEST.size):
            signal.setitimer(signal.ITIMER_REAL, DECODE_LIMIT_S)
            answer = _answer(request, memory, most_bytes, most_pixels)
            if _was_cut_short(complaints):
                answer = _refused(wire.INVALID, request, CUT_SHORT)
            signal.setitimer(signal.ITIMER_REAL, 0)
            talk.send(answer)
        status = 0
    except OSError as error:
        os.write(report, f"ostiary: the decoder does not start: {error}\n".encode())
    finally:
        os._exit(status)


def _was_cut_short(complaints: int) -> bool:
    """libjpeg fills up with grey what a file does not hold, and only says so on standard error."""
    try:
        said = os.read(complaints, 65_536)
    except BlockingIOError:
        return False
    return b"premature end" in said.lower()


def _refused(kind: int, request: bytes, text: str) -> bytes:
    number = wire.REQUEST.unpack(request)[0]
    return wire.ANSWER.pack(kind, number, 0, 0) + text.encode()[: wire.TEXT_BYTES]


def _answer(request: bytes, memory: mmap.mmap, most_bytes: int, most_pixels: int) -> bytes:
    number, length, limit, pixels, side = wire.REQUEST.unpack(request)
    try:
        image = decode_image(memory[:length], ImageLimits(limit, pixels, side))
        if image.size > 3 * most_pixels:
            raise ImageTooLarge(f"The image has more than {most_pixels} pixels.")
    except (ImageInvalid, ImageTooLarge) as error:
        kind = wire.TOO_LARGE if isinstance(error, ImageTooLarge) else wire.INVALID
        return _refused(kind, request, error.message)
    except MemoryError:
        return _refused(wire.TOO_LARGE, request, "The image takes too much memory.")
    start = wire.pixels_at(most_bytes)
    pixels_out = np.frombuffer(memory, np.uint8, image.size, start)
    pixels_out[:] = image.reshape(-1)
    return wire.ANSWER.pack(wire.DONE, number, image.shape[0], image.shape[1])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
