"""What is compared with the gallery: one look at a face, or several as one; and who is nearest."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ostiary.messages.words import UNIT_LENGTH, RecognizerName
from ostiary.vision.arrays import Descriptor


@dataclass(frozen=True, slots=True, eq=False)
class Probe:
    """A face's descriptors, one a recogniser that looked at it: (128,) float32.

    `quality` is how much the picture counts among others, above 0.
    """

    descriptors: Mapping[RecognizerName, Descriptor]
    quality: float = 1.0


def fused(looks: Sequence[Probe]) -> Probe:
    """Several looks at one person as one probe: the mean, weighted by quality.

    Of descriptors of length 1 the mean *direction*: what they have in common counts, what one
    picture adds cancels out (Best-Rowden et al., "Unconstrained Face Recognition: Identifying a
    Person of Interest from a Media Collection", IEEE TIFS 2014). For each recogniser only the looks
    count that have its descriptor. ValueError for no looks.
    """
    if not looks:
        raise ValueError("nothing to fuse")
    names = dict.fromkeys(name for look in looks for name in look.descriptors)
    return Probe(
        {name: _mean(name, [look for look in looks if name in look.descriptors]) for name in names},
        float(np.mean([look.quality for look in looks])),
    )


def distance(one: Probe, other: Probe, recognizer: RecognizerName) -> float | None:
    """Distance of two looks; None where one has no descriptor of the recogniser."""
    if recognizer not in one.descriptors or recognizer not in other.descriptors:
        return None
    apart = one.descriptors[recognizer].astype(np.float64) - other.descriptors[recognizer]
    return float(np.linalg.norm(apart))


def differing(looks: Sequence[Probe], recognizer: RecognizerName, apart: float) -> list[Probe]:
    """The looks worth keeping as templates: the best, then each that is at least `apart` from all
    kept before, best first."""
    kept: list[Probe] = []
    for look in sorted(looks, key=lambda each: -each.quality):
        if all((distance(look, each, recognizer) or 0.0) >= apart for each in kept):
            kept.append(look)
    return kept


def _mean(name: RecognizerName, looks: Sequence[Probe]) -> Descriptor:
    rows = np.stack([look.descriptors[name] for look in looks]).astype(np.float64)
    mean = np.average(rows, axis=0, weights=[look.quality for look in looks])
    if name in UNIT_LENGTH:
        length = np.linalg.norm(mean)
        mean = mean / length if length > 0 else rows[0]
    return mean.astype(np.float32)


@dataclass(frozen=True, slots=True)
class Candidate:
    """The nearest registered person.

    `distance` is Euclidean, 0 or more, between descriptors of `recognizer`. `threshold` is the
    largest distance that was near enough at that moment. `ambiguous`: another person is about as
    near, and near enough.
    """

    username: str
    distance: float
    threshold: float
    recognizer: RecognizerName
    ambiguous: bool = False

    @property
    def is_near(self) -> bool:
        """Whether the face is taken for this person."""
        return self.distance <= self.threshold and not self.ambiguous
