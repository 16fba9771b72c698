"""A disk with a cache that forgets, for nbdkit: `nbdkit python volatile_disk.py file=DISK`.

A write is acknowledged at once. Each of its blocks, by a toss of a coin, reaches the file at once
or waits for the next flush. Killed, it forgets what waits, as a disk does when its power is cut:
some later writes are kept and some earlier ones lost.
"""

import os
import random
from typing import Any

import nbdkit  # type: ignore[import-not-found]  # is there inside nbdkit only

API_VERSION = 2
BLOCK = 4096
path = ""
waiting: dict[int, bytes] = {}
"""By the block's number."""


def config(key: str, value: str) -> None:
    global path
    if key != "file":
        raise ValueError(f"{key} is not known")
    path = value


def thread_model() -> int:
    return int(nbdkit.THREAD_MODEL_SERIALIZE_ALL_REQUESTS)


def open(readonly: bool) -> int:
    return os.open(path, os.O_RDONLY if readonly else os.O_RDWR)


def close(handle: int) -> None:
    os.close(handle)


def get_size(handle: int) -> int:
    return os.fstat(handle).st_size


def can_flush(_handle: int) -> bool:
    return True


def can_fua(_handle: int) -> Any:
    return nbdkit.FUA_EMULATE


def pread(handle: int, buffer: Any, offset: int, _flags: int) -> None:
    end = offset + len(buffer)
    buffer[:] = os.pread(handle, len(buffer), offset)
    for number in range(offset // BLOCK, -(-end // BLOCK)) if waiting else ():
        if (block := waiting.get(number)) is not None:
            first, last = max(offset, number * BLOCK), min(end, (number + 1) * BLOCK)
            buffer[first - offset : last - offset] = block[
                first - number * BLOCK : last - number * BLOCK
            ]


def pwrite(handle: int, buffer: Any, offset: int, _flags: int) -> None:
    end = offset + len(buffer)
    at = offset
    while at < end:
        number, within = divmod(at, BLOCK)
        size = min(BLOCK - within, end - at)
        part = bytes(buffer[at - offset : at - offset + size])
        if number in waiting or random.random() < 0.5:
            before = waiting.get(number) or os.pread(handle, BLOCK, number * BLOCK)
            waiting[number] = before[:within] + part + before[within + size :]
        else:
            os.pwrite(handle, part, at)
        at += size


def flush(handle: int, _flags: int) -> None:
    for number, block in waiting.items():
        os.pwrite(handle, block, number * BLOCK)
    waiting.clear()
