"""Every picture against every other: distances of one person's pairs and of different people's."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ostiary.messages.words import RecognizerName
from ostiary.vision.arrays import FloatArray
from ostiary_export.evaluate.faces import Collection, Ids

Distances = NDArray[np.float64]

TAIL_FROM = 1e-4
"""Below this false match rate the tail is fitted, above it counted."""
ONE_PERSON = 0.01
"""Two folders are one person where, by the fitted tail, so few pairs should be as near."""
CARRIED_BY = 30
"""Pairs that a rate needs below its distance to be told from the next."""


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """Distances, sorted: `genuine` (mated), with the person of each in `genuine_of`, and `impostor`
    (non-mated)."""

    genuine: Distances
    genuine_of: Ids
    impostor: Distances

    def distance_at(self, false_match: float) -> float:
        """The distance within which that share of impostor pairs lies, by counting."""
        return float(self.impostor[max(0, int(false_match * len(self.impostor)) - 1)])

    def false_non_match_at(self, distance: float) -> float:
        return float(1 - np.searchsorted(self.genuine, distance, "right") / len(self.genuine))

    @property
    def are_enough(self) -> bool:
        """Whether a tail can be fitted."""
        return TAIL_FROM * len(self.impostor) >= CARRIED_BY

    @property
    def carried(self) -> float:
        """The least false match rate that these pairs show."""
        return CARRIED_BY / len(self.impostor)


@dataclass(frozen=True, slots=True)
class Tail:
    """The false match rate below `start`: TAIL_FROM · exp((d - start) / scale).

    Peaks over a threshold follow a generalised Pareto law (Pickands, "Statistical inference using
    extreme order statistics", 1975); its shape is taken as 0, the exponential law, which is the
    careful choice for a distance whose tail falls off faster. The scale is the median excess over
    ln 2: unlike the mean it is not moved by the few pairs that are one person under two names.
    """

    start: float
    scale: float

    @classmethod
    def of(cls, pairs: Pairs) -> "Tail":
        count = max(2, int(TAIL_FROM * len(pairs.impostor)))
        start = float(pairs.impostor[count - 1])
        return cls(start, float(np.median(start - pairs.impostor[:count]) / np.log(2)))

    def distance_at(self, false_match: float) -> float:
        return self.start + self.scale * float(np.log(false_match / TAIL_FROM))


def pairs_of(collection: Collection, name: RecognizerName) -> Pairs:
    """All pairs of the collection's pictures."""
    rows, person = collection.descriptors[name], collection.person
    genuine, of, impostor = [], [], []
    for at in range(len(rows) - 1):
        apart = distances(rows[at : at + 1], rows[at + 1 :])[0]
        same = person[at + 1 :] == person[at]
        genuine.append(apart[same])
        of.append(np.full(int(same.sum()), person[at]))
        impostor.append(apart[~same])
    mated, whose = np.concatenate(genuine), np.concatenate(of)
    order = np.argsort(mated)
    return Pairs(mated[order], whose[order], np.sort(np.concatenate(impostor)))


def distances(probes: FloatArray, templates: FloatArray) -> Distances:
    """(N, M) Euclidean distances between (N, 128) and (M, 128)."""
    one, other = probes.astype(np.float64), templates.astype(np.float64)
    squares = (one**2).sum(axis=1)[:, np.newaxis] + (other**2).sum(axis=1) - 2 * one @ other.T
    return np.asarray(np.sqrt(np.maximum(squares, 0)))


def joined(collection: Collection, pairs: Pairs) -> Collection:
    """Put together folders that show one person: by SFace their nearest pictures are nearer than
    the tail of all pairs leaves room for, a picture filed twice for example. The report names them.
    """
    if not pairs.are_enough:
        return collection
    limit = Tail.of(pairs).distance_at(ONE_PERSON / len(pairs.impostor))
    rows, person = collection.descriptors["sface"], collection.person.copy()
    found: dict[tuple[str, str], None] = {}
    for at in range(len(rows) - 1):
        near = np.flatnonzero(distances(rows[at : at + 1], rows[at + 1 :])[0] < limit) + at + 1
        for other in near[collection.person[near] != collection.person[at]]:
            first, second = sorted((int(collection.person[at]), int(collection.person[other])))
            found[collection.names[first], collection.names[second]] = None
            person[person == person[other]] = person[at]
    return replace(collection, person=_numbered(person), joined=tuple(found))


def part(collection: Collection, people: Ids) -> Collection:
    """Only these people's pictures."""
    kept = np.flatnonzero(np.isin(collection.person, people))
    return replace(
        collection,
        person=collection.person[kept],
        quality=collection.quality[kept],
        descriptors={name: rows[kept] for name, rows in collection.descriptors.items()},
    )


def _numbered(person: Ids) -> Ids:
    return np.asarray(np.unique(person, return_inverse=True)[1], np.intp)
