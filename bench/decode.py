"""Measures what it costs to decode strangers' pictures in another process."""

import statistics
import time
from collections.abc import Callable, Iterator

from bench.harness import PORTRAITS, Measure
from ostiary.decoding.decoder import Decoder
from ostiary.vision.image import decode_image

ROUNDS = 100


def run() -> Iterator[Measure]:
    """The median of what one decode took more than the one beside it, so that a slow moment of
    the machine falls on both."""
    data = (PORTRAITS / "obama.jpg").read_bytes()
    with Decoder() as decoder:
        decoder.decode(data)
        more = [_ms(decoder.decode, data) - _ms(decode_image, data) for _ in range(ROUNDS)]
    yield Measure("decode_apart_costs_more", statistics.median(more), "ms", 2.0)


def _ms(decode: Callable[[bytes], object], data: bytes) -> float:
    """By the wall: the work is done elsewhere."""
    begun = time.perf_counter()
    decode(data)
    return 1000 * (time.perf_counter() - begun)
