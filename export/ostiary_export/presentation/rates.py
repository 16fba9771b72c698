"""The figures that are told of a set of presentations (`ostiary.access.presentation`).

ACER: the mean of BPCER and the worst kind's APCER.
"""

import json
from dataclasses import dataclass

from ostiary.access.presentation import Rate, apcer, bpcer, threshold_for
from ostiary_export.presentation.collect import DETECTORS, LIVE, Presentations

APCER_ASKED = (0.1, 0.05, 0.01)


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


def lines_of(found: Presentations, in_force: float) -> list[Line]:
    """All figures: at the threshold in force, and at those that follow from what is asked."""
    lines: list[Line] = []
    for detector in DETECTORS:
        lines += at_threshold(found, detector, in_force)
        scores = {each: found.of(each, detector) for each in found.attacks}
        for asked in APCER_ASKED:
            threshold = threshold_for(scores, asked)
            people = bpcer(found.of(LIVE, detector), threshold)
            lines.append(Line("bpcer_at_apcer", detector, threshold, {"apcer": asked}, people))
    return lines
