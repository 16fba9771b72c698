"""Made-up faces, for tests that are not about faces."""

import numpy as np

from ostiary.decision.probe import Probe
from ostiary.vision.arrays import Descriptor, FloatArray
from ostiary.vision.recognizer import ErrorRates

RATES = ErrorRates(
    distance=(0.8, 0.9, 1.0, 1.1, 1.2),
    false_match=(1e-6, 1e-5, 1e-4, 1e-3, 1e-2),
    false_non_match=(0.5, 0.3, 0.1, 0.05, 0.01),
    people=1000,
    pairs=1_000_000,
    carried=3e-5,
    measured_on="made up for a test",
)


def some_descriptor(number: int = 0) -> Descriptor:
    """A direction of its own for each number, as SFace gives them: (128,) float32 of length 1."""
    row = np.random.default_rng(number).standard_normal(128)
    return (row / np.linalg.norm(row)).astype(np.float32)


def some_look(number: int = 0) -> Probe:
    """One look at the made-up face of that number."""
    return Probe({"sface": some_descriptor(number)})


def of_one_family(count: int, alike: float = 0.5, seed: int = 0) -> FloatArray:
    """People who share a part of their direction: the larger, the more."""
    own = np.random.default_rng(seed).standard_normal((count, 128))
    rows = alike * 11.3 * np.eye(128)[0] + own
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)
