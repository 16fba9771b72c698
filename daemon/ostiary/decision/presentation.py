"""Error rates of presentation attack detection, as ISO/IEC 30107-3 defines them.

APCER: the share of presentations of one kind of attack that are taken for live. BPCER: the share of
people's presentations that are not.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

LEVEL = 0.95

Scores = NDArray[np.float64]
"""P(live) of each presentation, (n,), 0 to 1."""


@dataclass(frozen=True, slots=True)
class Rate:
    """A share of `of` presentations, and the interval that holds it with 95 % confidence."""

    value: float
    low: float
    high: float
    of: int


def share(errors: int, of: int) -> Rate:
    """The share of errors with Wilson's score interval ("Probable Inference", JASA 22, 1927), which
    holds where few or no errors were seen. With `of` 0 the interval is 0 to 1."""
    if of == 0:
        return Rate(0.0, 0.0, 1.0, 0)
    z = NormalDist().inv_cdf((1 + LEVEL) / 2)
    value = errors / of
    centre = (value + z * z / (2 * of)) / (1 + z * z / of)
    half = z / (1 + z * z / of) * sqrt(value * (1 - value) / of + z * z / (4 * of * of))
    return Rate(value, max(0.0, centre - half), min(1.0, centre + half), of)


def apcer(scores: Scores, threshold: float) -> Rate:
    """APCER of one kind: the share of attacks with P(live) from `threshold` on."""
    return share(int(np.sum(scores >= threshold)), len(scores))


def bpcer(scores: Scores, threshold: float) -> Rate:
    """BPCER: the share of people with P(live) below `threshold`."""
    return share(int(np.sum(scores < threshold)), len(scores))


def threshold_for(attacks: Mapping[str, Scores], asked: float) -> float:
    """The least threshold at which no kind of attack passes more often than `asked`."""
    scores = np.concatenate(list(attacks.values()))
    for threshold in np.unique(np.append(np.nextafter(scores, 2.0), 0.0)):
        if max(apcer(each, threshold).value for each in attacks.values()) <= asked:
            return float(threshold)
    return 1.0
