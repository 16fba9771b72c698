"""Descriptors of many people, spread as dlib's are.

There is no set of a million faces at hand, so they are drawn: around a common mean of length 1.28
(dlib's descriptors of all faces point much the same way), with a spectrum that falls off along
the axes of real ones, so that two people are 0.8 ± 0.1 apart, and two templates of one 0.3.
"""

import numpy as np

from ostiary.vision.arrays import Descriptor

MEAN_LENGTH = 1.28
VARIANCE = 0.32
DECAY = 20.0
WITHIN = 0.4
TEMPLATES = 2


def matrix_of_people(real: list[Descriptor], count: int, seed: int) -> np.ndarray:
    """(count, 128) float32, two templates after each other a person."""
    random = np.random.default_rng(seed)
    mean = np.mean(real, axis=0)
    mean *= MEAN_LENGTH / np.linalg.norm(mean)
    spectrum = np.exp(-np.arange(128) / DECAY)
    deviations = np.sqrt(VARIANCE * spectrum / spectrum.sum())
    axes, _ = np.linalg.qr(np.random.default_rng(0).standard_normal((128, 128)))
    across = (deviations[:, np.newaxis] * axes.T).astype(np.float32)
    people = random.standard_normal((-(-count // TEMPLATES), 128), dtype=np.float32) @ across
    rows = np.repeat(people, TEMPLATES, axis=0)[:count]
    rows += WITHIN * (random.standard_normal((count, 128), dtype=np.float32) @ across)
    rows += mean.astype(np.float32)
    return rows


def descriptors_of_people(
    real: list[Descriptor], count: int, seed: int
) -> list[tuple[str, Descriptor]]:
    """As the gallery takes them."""
    rows = matrix_of_people(real, count, seed)
    return [(f"person {number // TEMPLATES}", row) for number, row in enumerate(rows)]
