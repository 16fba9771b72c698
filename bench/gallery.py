"""The exact best match among 1,000 to 1,000,000 templates, one thread.

The reference is the plain product of all of them with the probe by the same BLAS. Half of the
probes are somebody who is registered, half are strangers.
"""

from collections.abc import Iterator
from itertools import cycle

import cv2
import numpy as np

from bench.harness import MODELS, PORTRAITS, Line, Measure, compare
from bench.people import TEMPLATES, matrix_of_people
from ostiary.decision.gallery import Gallery
from ostiary.settings import VisionSettings
from ostiary.vision.arrays import Descriptor
from ostiary.vision.engine import VisionEngine

AT_MOST_MS = {1_000: 1.0, 10_000: 1.0, 100_000: 3.0, 1_000_000: 40.0}
ROUNDS = 40
PROBES = 8


def real_descriptors() -> list[Descriptor]:
    engine = VisionEngine.load(VisionSettings(models=MODELS, recognizer="dlib"))
    found = []
    for path in sorted(PORTRAITS.glob("*.jpg")):
        bgr = np.asarray(cv2.imread(str(path)), np.uint8)
        found += [engine.describe(bgr, face) for face in engine.detect(bgr)]
    return found


def run() -> Iterator[Line | Measure]:
    """A line against the plain search and one against the target, for each size."""
    real = real_descriptors()
    for count, at_most in AT_MOST_MS.items():
        result = against_plain(real, count)
        yield result
        yield Measure(f"gallery_{count}", result.ours_ms, "ms", at_most)


def against_plain(real: list[Descriptor], count: int) -> Line:
    rows = matrix_of_people(real, count, seed=1)
    gallery = Gallery((f"person {at // TEMPLATES}", row) for at, row in enumerate(rows))
    random = np.random.default_rng(2)
    known = rows[random.integers(0, count, PROBES // 2)]
    known = known + 0.02 * random.standard_normal(known.shape).astype(np.float32)
    strangers = matrix_of_people(real, PROBES // 2, seed=3)
    probes = [probe for pair in zip(known, strangers, strict=True) for probe in pair]
    difference = max(_distance_error(gallery, rows, probe) for probe in probes)
    half_squares = np.einsum("ij,ij->i", rows, rows) / 2
    ours_probes, plain_probes = cycle(probes), cycle(probes)

    def ours() -> None:
        gallery.best_match(next(ours_probes))

    def plain() -> None:
        (rows @ next(plain_probes) - half_squares).argmax()

    return compare(f"gallery_{count}_vs_plain", ours, plain, ROUNDS, difference)


def _distance_error(gallery: Gallery, rows: np.ndarray, probe: Descriptor) -> float:
    """How far the gallery's distance is from the smallest of all, computed in float64."""
    found = gallery.best_match(probe)
    if found is None:
        raise RuntimeError("the gallery is empty")
    blocks = np.array_split(rows, -(-len(rows) // 100_000))
    least = min(np.linalg.norm(block.astype(np.float64) - probe, axis=1).min() for block in blocks)
    return abs(found.distance - float(least))
