"""People whom the door might take for each other."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ostiary.vision.arrays import FloatArray

LISTED_TO = 5000
"""Above so many templates the pairs are not looked for: it would take seconds. The clear margin
that each of them needs holds all the same."""
BLOCK = 512


@dataclass(frozen=True, slots=True)
class LookAlike:
    """Two people and the Euclidean distance between their nearest templates."""

    one: str
    other: str
    distance: float


@dataclass(frozen=True, slots=True)
class LookAlikes:
    """The pairs, nearest first. `complete` is False where there were too many to look."""

    pairs: tuple[LookAlike, ...]
    complete: bool = True

    def of(self, username: str) -> tuple[str, ...]:
        """Who looks like this person, nearest first."""
        return tuple(
            pair.other if pair.one == username else pair.one
            for pair in self.pairs
            if username in (pair.one, pair.other)
        )


def pairs_within(names: Sequence[str], templates: FloatArray, distance: float) -> LookAlikes:
    """Pairs of different people with templates, (N, 128), at most `distance` apart."""
    if len(names) > LISTED_TO:
        return LookAlikes((), complete=False)
    halves = np.einsum("ij,ij->i", templates, templates) / 2
    least: dict[tuple[str, str], float] = {}
    for at in range(0, len(names), BLOCK):
        block = templates[at : at + BLOCK]
        halved = halves[at : at + BLOCK, np.newaxis] + halves - block @ templates.T
        for row, column in np.argwhere(halved <= distance * distance / 2):
            one, other = sorted((names[at + row], names[column]))
            if one != other:
                apart = float(np.sqrt(max(0.0, 2 * halved[row, column])))
                least[one, other] = min(apart, least.get((one, other), apart))
    found = sorted((apart, one, other) for (one, other), apart in least.items())
    return LookAlikes(tuple(LookAlike(one, other, apart) for apart, one, other in found))
