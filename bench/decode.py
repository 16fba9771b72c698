"""What it costs that pictures of strangers are decoded in another process."""

import statistics
import time
from collections.abc import Callable, Iterator

from bench.harness import PORTRAITS, Measure
from ostiary.decoding.decoder import Decoder
from ostiary.vision.image import decode_image

ROUNDS = 60


def run() -> Iterator[Measure]:
    data = (PORTRAITS / "obama.jpg").read_bytes()
    with Decoder() as decoder:
        decoder.decode(data)
        apart, here = (_median_ms(decode, data) for decode in (decoder.decode, decode_image))
    yield Measure("decode_apart_costs_more", apart - here, "ms", 2.0)


def _median_ms(decode: Callable[[bytes], object], data: bytes) -> float:
    """By the wall: the work is done elsewhere."""
    times = []
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        decode(data)
        times.append(time.perf_counter() - begun)
    return 1000 * statistics.median(times)
