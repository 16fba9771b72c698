"""Made-up faces, for tests that are not about faces."""

import numpy as np

from ostiary.access.probe import Probe
from ostiary.vision.arrays import Descriptor


def some_descriptor(number: int = 0) -> Descriptor:
    """A direction of its own for each number, as SFace gives them: (128,) float32 of length 1."""
    row = np.random.default_rng(number).standard_normal(128)
    return (row / np.linalg.norm(row)).astype(np.float32)


def some_look(number: int = 0) -> Probe:
    """One look at the made-up face of that number."""
    return Probe({"sface": some_descriptor(number)})
