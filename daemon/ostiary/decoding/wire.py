"""What goes between the daemon and the processes that decode.

A picture's bytes, and then its pixels, stand in memory that process and daemon see; messages only
say how many. They go over a socket of its own, which the daemon gets from the process that
forks them. Sockets keep messages whole (SOCK_SEQPACKET).
"""

import mmap
from struct import Struct

SLOTS = 2
"""Memories, used in turn: one process decodes, and the next is there already."""

NUMBER = Struct("<I")
"""Of a process; its memory is that modulo SLOTS. With a socket: it is there, at the other end. From
the daemon: it is to be ended. In answer to that: it has ended."""

REQUEST = Struct("<4I")
"""Length of the file; the limits: bytes, pixels, side."""

ANSWER = Struct("<B2I")
"""How it went; height and width of the picture."""

DONE, INVALID, TOO_LARGE = range(3)
TEXT_BYTES = 1000
"""Of the message that follows an answer which is not DONE."""

READY = b"ready"


def shared_size(most_bytes: int, most_pixels: int) -> int:
    """Bytes of a memory: the file from 0 on, and the pixels from `pixels_at`."""
    return pixels_at(most_bytes) + 3 * most_pixels


def pixels_at(most_bytes: int) -> int:
    """Where the pixels begin: at the next whole page."""
    return -(-most_bytes // mmap.PAGESIZE) * mmap.PAGESIZE
