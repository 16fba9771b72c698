"""What goes between the daemon and the process that decodes: one message each way.

The picture's bytes, and then its pixels, stand in memory that both see; messages only say how
many. The socket keeps messages whole (SOCK_SEQPACKET).
"""

import mmap
from struct import Struct

REQUEST = Struct("<5I")
"""The request's number; length of the file; the limits: bytes, pixels, side."""

ANSWER = Struct("<BI2I")
"""How it went; the number of the request (of a death: 0); height and width of the picture."""

DONE, INVALID, TOO_LARGE, DIED = range(4)
TEXT_BYTES = 1000
"""Of the message that follows an answer which is not DONE."""

READY = b"ready"


def shared_size(most_bytes: int, most_pixels: int) -> int:
    """Bytes of the memory that both see: the file from 0 on, and the pixels from `pixels_at`."""
    return pixels_at(most_bytes) + 3 * most_pixels


def pixels_at(most_bytes: int) -> int:
    """Where the pixels begin: at the next whole page."""
    return -(-most_bytes // mmap.PAGESIZE) * mmap.PAGESIZE
