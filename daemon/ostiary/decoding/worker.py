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

DECODE_LIMIT_S = 3.0
MEMORY_BESIDE_PIXELS = 100_000_000
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
    while True:
        served[0] = 0
        child = os.fork()
        if child == 0:
            _serve(talk, memory, served, most_bytes, most_pixels)
        _, status = os.waitpid(child, 0)
        if os.waitstatus_to_exitcode(status) == 0:  # the daemon has gone
            return 0
        if not served[0]:  # it would never
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
        sandbox.bound_memory(MOST_COPIES * 3 * most_pixels + MEMORY_BESIDE_PIXELS)
        sandbox.give_up_system_calls()
        served[0] = 1
        talk.send(wire.READY)
        while request := talk.recv(wire.REQUEST.size):
            signal.setitimer(signal.ITIMER_REAL, DECODE_LIMIT_S)
            answer = _answer(request, memory, most_bytes, most_pixels)
            signal.setitimer(signal.ITIMER_REAL, 0)
            talk.send(answer)
        status = 0
    except OSError as error:
        print(f"ostiary: the decoder does not start: {error}", file=sys.stderr)  # noqa: T201
    finally:
        os._exit(status)


def _answer(request: bytes, memory: mmap.mmap, most_bytes: int, most_pixels: int) -> bytes:
    number, length, limit, pixels, side = wire.REQUEST.unpack(request)
    try:
        image = decode_image(memory[:length], ImageLimits(limit, pixels, side))
        if image.size > 3 * most_pixels:
            raise ImageTooLarge(f"The image has more than {most_pixels} pixels.")
    except (ImageInvalid, ImageTooLarge) as error:
        kind = wire.TOO_LARGE if isinstance(error, ImageTooLarge) else wire.INVALID
        return wire.ANSWER.pack(kind, number, 0, 0) + error.message.encode()[: wire.TEXT_BYTES]
    except MemoryError:
        return wire.ANSWER.pack(wire.TOO_LARGE, number, 0, 0) + b"The image takes too much memory."
    start = wire.pixels_at(most_bytes)
    pixels_out = np.frombuffer(memory, np.uint8, image.size, start)
    pixels_out[:] = image.reshape(-1)
    return wire.ANSWER.pack(wire.DONE, number, image.shape[0], image.shape[1])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
