"""Error rates of presentation attack detection, as ISO/IEC 30107-3 defines them.

APCER: the share of presentations of one kind of attack that are taken for live. BPCER: the share of
people's presentations that are not. ACER: the mean of BPCER and the worst kind's APCER.
"""

import json
from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from ostiary_export.presentation.collect import DETECTORS, LIVE, Presentations

LEVEL = 0.95
APCER_ASKED = (0.1, 0.05, 0.01)


@dataclass(frozen=True, slots=True)
class Rate:
    """A share of `of` presentations, and the interval that holds it with 95 % confidence."""

    value: float
    low: float
    high: float
    of: int


@dataclass(frozen=True, slots=True)
class Line:
    """One figure of one detector at one threshold."""

    figure: str
    detector: str
    threshold: float
    about: dict[str, str | float]
    rate: Rate

    def to_json(self) -> str:
        """As the benches print theirs."""
        found = self.rate
        numbers = {key: round(getattr(found, key), 4) for key in ("value", "low", "high")}
        head = {"liveness": self.figure, "detector": self.detector}
        about = {"threshold": round(self.threshold, 6), **self.about}
        return json.dumps({**head, **about, **numbers, "presentations": found.of})


def share(errors: int, of: int) -> Rate:
    """Wilson's score interval ("Probable Inference", JASA 22, 1927), which is honest where few or
    no errors were seen."""
    z = NormalDist().inv_cdf((1 + LEVEL) / 2)
    value = errors / of
    centre = (value + z * z / (2 * of)) / (1 + z * z / of)
    half = z / (1 + z * z / of) * sqrt(value * (1 - value) / of + z * z / (4 * of * of))
    return Rate(value, max(0.0, centre - half), min(1.0, centre + half), of)


def apcer(scores: NDArray[np.float64], threshold: float) -> Rate:
    """Attacks with P(live) from `threshold` on."""
    return share(int(np.sum(scores >= threshold)), len(scores))


def bpcer(scores: NDArray[np.float64], threshold: float) -> Rate:
    """People below it."""
    return share(int(np.sum(scores < threshold)), len(scores))


def at_threshold(found: Presentations, detector: str, threshold: float) -> list[Line]:
    """APCER by kind, BPCER, and ACER."""
    kinds = {each: apcer(found.of(each, detector), threshold) for each in found.attacks}
    people = bpcer(found.of(LIVE, detector), threshold)
    worst = max(kinds.values(), key=lambda rate: rate.value)
    mean = Rate(
        (people.value + worst.value) / 2,
        (people.low + worst.low) / 2,
        (people.high + worst.high) / 2,
        people.of + worst.of,
    )
    return [
        *(Line("apcer", detector, threshold, {"species": k}, rate) for k, rate in kinds.items()),
        Line("bpcer", detector, threshold, {}, people),
        Line("acer", detector, threshold, {}, mean),
    ]


def threshold_for(found: Presentations, detector: str, asked: float) -> float:
    """The least threshold at which no kind of attack passes more often than `asked`."""
    scores = np.concatenate([found.of(each, detector) for each in found.attacks])
    for threshold in np.unique(np.append(np.nextafter(scores, 2.0), 0.0)):
        worst = max(apcer(found.of(each, detector), threshold).value for each in found.attacks)
        if worst <= asked:
            return float(threshold)
    return 1.0


def lines_of(found: Presentations, in_force: float) -> list[Line]:
    """All figures: at the threshold in force, and at those that follow from what is asked."""
    lines: list[Line] = []
    for detector in DETECTORS:
        lines += at_threshold(found, detector, in_force)
        for asked in APCER_ASKED:
            threshold = threshold_for(found, detector, asked)
            people = bpcer(found.of(LIVE, detector), threshold)
            lines.append(Line("bpcer_at_apcer", detector, threshold, {"apcer": asked}, people))
    return lines
