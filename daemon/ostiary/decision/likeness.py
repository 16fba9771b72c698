"""How much the people of a house resemble each other, and who might be taken for whom.

A recogniser finds people of one family, region or age more alike than people at large. The
distances between templates of *different* people show by how much: their mean and their standard
deviation. This needs no label of anybody, and compares nobody with anything but the roster.
"""

import math
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from ostiary.vision.arrays import Descriptor, FloatArray
from ostiary.vision.recognizer import ErrorRates

LARGEST = 4_000
"""People who are compared with each other at most; of more people a sample, which gives the same to
less than 0.001 of a distance."""
CLIPPED = 6.0
"""A pair counts as at most so many standard deviations from the mean: one person under two names,
or twins, say little about others."""
SHRUNK_BY = 10
"""People at large who count beside those of the roster."""
LEAST = 3
"""Fewer people have no likeness that means anything."""
DIMENSIONS = 128
BLOCK = 256
LISTED_TO = 5000
"""Above so many templates the pairs are not searched: it would take seconds. The clear margin that
a match needs holds all the same."""
COMPARED_AT_ONCE = 512


@dataclass(frozen=True, slots=True)
class Likeness:
    """Mean and standard deviation of the distances between `people` different people, one template
    of each; 0 where there are no pairs."""

    people: int
    mean: float
    deviation: float


class Resemblance:
    """The likeness of a roster, kept up to date by one pass for each change.

    It is for one thread at a time. A person's first template counts: a second one adds nothing
    about other people. Beyond `LARGEST` people a reservoir is kept (Vitter, "Random sampling with a
    reservoir", ACM TOMS 1985), drawn by a fixed seed.
    """

    def __init__(self, rates: ErrorRates, largest: int = LARGEST) -> None:
        """`rates` are those of the recogniser whose templates are put in."""
        self._center = rates.mean or 0.0
        self._reach = CLIPPED * rates.deviation if rates.deviation else np.inf
        self._largest = largest
        self._random = random.Random(largest)
        self._names: list[str] = []
        self._at: dict[str, int] = {}
        self._rows: FloatArray = np.empty((0, DIMENSIONS), np.float32)
        self._counted = 0  # rows that are in the sums
        self._seen: set[str] = set()
        self._sum = self._squares = 0.0

    def put(self, username: str, template: Descriptor) -> None:
        """Set a person's first template."""
        known = self._at.get(username)
        if known is not None and np.array_equal(self._rows[known], template):
            return
        if known is not None:
            self._drop(known)
        elif username in self._seen:
            return
        self._seen.add(username)
        if len(self._names) >= self._largest:
            place = self._random.randrange(len(self._seen))
            if place >= self._largest:
                return
            self._drop(place)
        self._append(username, template)

    def remove(self, username: str) -> None:
        """Remove a person; nothing happens where nobody has the name."""
        self._seen.discard(username)
        if username in self._at:
            self._drop(self._at[username])

    def measured(self) -> Likeness:
        """The likeness as it is now."""
        count = len(self._names)
        for start in range(self._counted, count, BLOCK):
            end = min(count, start + BLOCK)
            block = self._rows[start:end]
            self._add(block, self._rows[:start])
            self._add_distances(_distances(block, block)[np.triu_indices(end - start, 1)])
        self._counted = count
        pairs = count * (count - 1) // 2
        if not pairs:
            return Likeness(count, 0.0, 0.0)
        off = self._sum / pairs
        variance = max(0.0, self._squares / pairs - off * off)
        return Likeness(count, self._center + off, math.sqrt(variance))

    def _append(self, username: str, template: Descriptor) -> None:
        at = len(self._names)
        if at == len(self._rows):
            larger = np.empty((max(64, min(2 * at, self._largest)), DIMENSIONS), np.float32)
            larger[:at] = self._rows
            self._rows = larger
        self._rows[at] = template
        self._names.append(username)
        self._at[username] = at

    def _drop(self, at: int) -> None:
        """Remove a row; the last one takes its place."""
        if at < self._counted < len(self._names):
            self.measured()
        last = len(self._names) - 1
        self._rows[[at, last]] = self._rows[[last, at]]
        moved, gone = self._names[last], self._names[at]
        self._names[at], self._at[moved] = moved, at
        self._names.pop()
        del self._at[gone]
        if at < self._counted:
            self._add(self._rows[last : last + 1], self._rows[:last], sign=-1)
            self._counted = last
        if self._counted < 2:
            self._sum = self._squares = 0.0

    def _add(self, block: FloatArray, others: FloatArray, sign: int = 1) -> None:
        self._add_distances(_distances(block, others), sign)

    def _add_distances(self, apart: FloatArray, sign: int = 1) -> None:
        off = np.clip(apart - self._center, -self._reach, self._reach)
        self._sum += sign * float(off.sum(dtype=np.float64))
        self._squares += sign * float(np.square(off).sum(dtype=np.float64))


def likeness_of(templates: Iterable[Descriptor], rates: ErrorRates) -> Likeness:
    """The likeness of these people, one template each."""
    kept = Resemblance(rates)
    for number, template in enumerate(templates):
        kept.put(str(number), template)
    return kept.measured()


def at_this_site(distance: float, rates: ErrorRates, likeness: Likeness) -> float:
    """The distance that errs as often among people of this likeness as `distance` among those
    measured; never a larger one.

    Standardised by mean and deviation, distances of different people follow one law for both
    (a z-norm: Auckenthaler et al., "Score normalization for text-independent speaker verification
    systems", Digital Signal Processing 2000). Both are shrunk towards those measured.
    """
    if rates.mean is None or rates.deviation is None or likeness.people < LEAST:
        return distance
    weight = likeness.people / (likeness.people + SHRUNK_BY)
    mean = rates.mean + weight * (likeness.mean - rates.mean)
    deviation = rates.deviation + weight * (likeness.deviation - rates.deviation)
    scaled = mean + (distance - rates.mean) * deviation / rates.deviation
    return max(0.0, min(distance, scaled))


def _distances(some: FloatArray, others: FloatArray) -> FloatArray:
    """(N, M) Euclidean distances between (N, 128) and (M, 128), as float32."""
    squares = np.einsum("ij,ij->i", some, some)[:, np.newaxis]
    apart = squares + np.einsum("ij,ij->i", others, others) - 2 * (some @ others.T)
    return np.asarray(np.sqrt(np.maximum(apart, 0, out=apart), out=apart), np.float32)


@dataclass(frozen=True, slots=True)
class LookAlike:
    """Two people and the Euclidean distance between their nearest templates."""

    one: str
    other: str
    distance: float


@dataclass(frozen=True, slots=True)
class LookAlikes:
    """The pairs, nearest first. `complete` is False where there were too many templates."""

    pairs: tuple[LookAlike, ...]
    complete: bool = True

    def of(self, username: str) -> tuple[str, ...]:
        """People who look like this person, nearest first."""
        return tuple(
            pair.other if pair.one == username else pair.one
            for pair in self.pairs
            if username in (pair.one, pair.other)
        )


def pairs_within(names: Sequence[str], templates: FloatArray, distance: float) -> LookAlikes:
    """Pairs of different people whose templates, (N, 128), are at most `distance` apart."""
    if len(names) > LISTED_TO:
        return LookAlikes((), complete=False)
    halves = np.einsum("ij,ij->i", templates, templates) / 2
    least: dict[tuple[str, str], float] = {}
    for at in range(0, len(names), COMPARED_AT_ONCE):
        block = templates[at : at + COMPARED_AT_ONCE]
        halved = halves[at : at + COMPARED_AT_ONCE, np.newaxis] + halves - block @ templates.T
        for row, column in np.argwhere(halved <= distance * distance / 2):
            one, other = sorted((names[at + row], names[column]))
            if one != other:
                apart = float(np.sqrt(max(0.0, 2 * halved[row, column])))
                least[one, other] = min(apart, least.get((one, other), apart))
    found = sorted((apart, one, other) for (one, other), apart in least.items())
    return LookAlikes(tuple(LookAlike(one, other, apart) for apart, one, other in found))
