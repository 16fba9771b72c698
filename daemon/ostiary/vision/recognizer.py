"""What every recogniser can do, and how often it errs. One file each: `sface.py`, `dlib.py`.

A new one is a class with the four members of `Recognizer`, its name in `messages/words.py`,
and its line in `engine.py`, which chooses.

Error rates are measured by `ostiary-export evaluate` and carried by the model's file, in the terms
of ISO/IEC 19795-1: the false match rate is the share of pairs of *different* people that are at
most so far apart, the false non-match rate the share of pairs of *one* person that are farther
apart.
"""

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, Self

import numpy as np

from ostiary.errors import ModelInvalid
from ostiary.messages.words import RecognizerName
from ostiary.vision.arrays import BGRImage, Descriptor, RGBImage
from ostiary.vision.face import Face

if TYPE_CHECKING:
    import onnxruntime as ort

RATES_KEY = "ostiary.error_rates"


DISTANCES = ("mean", "deviation")


@dataclass(frozen=True, slots=True)
class ErrorRates:
    """Both rates over a grid of rising distances.

    `people` and `pairs` (of different people) are what was measured on, `measured_on` says it in
    words, and `carried` is the least false match rate that so many pairs can show: smaller ones
    are extrapolated. `several_looks` is how many times as often a stranger matches when several
    quite different pictures are fused to one direction, 1 or more. `mean` and standard `deviation`
    are those of the distances between different people; None: an older model does not say.
    ValueError where the lists are not such rates.
    """

    distance: tuple[float, ...]
    false_match: tuple[float, ...]
    false_non_match: tuple[float, ...]
    people: int
    pairs: int
    carried: float
    measured_on: str
    several_looks: float = 1.0
    mean: float | None = None
    deviation: float | None = None

    def __post_init__(self) -> None:
        columns = (self.distance, self.false_match, self.false_non_match)
        if len({len(column) for column in columns}) != 1 or len(self.distance) < 2:
            raise ValueError("the lists of the error rates are not of one length, two or more")
        rising = all(np.all(np.diff(column) > 0) for column in columns[:2])
        falling = bool(np.all(np.diff(self.false_non_match) <= 0))
        shares = np.array(columns[1:])
        if not (rising and falling and shares.min() >= 0 and shares.max() <= 1):
            raise ValueError("error rates rise (false match) or fall (false non-match) from 0 to 1")
        if not (self.false_match[0] > 0 and 0 < self.carried < 1):
            raise ValueError("the least false match rate must be above 0")
        if not 1 <= self.several_looks < math.inf:
            raise ValueError("several looks cannot match strangers less often than one")
        if (self.mean is None) != (self.deviation is None):
            raise ValueError("mean and deviation belong together")
        if self.mean is not None and not (self.mean > 0 and (self.deviation or 0) > 0):
            raise ValueError("mean and deviation of distances are above 0")

    @classmethod
    def from_json(cls, text: str) -> Self:
        """As the model's file carries them. Raises ValueError."""
        try:
            table = json.loads(text)
            return cls(
                tuple(map(float, table["distance"])),
                tuple(map(float, table["false_match"])),
                tuple(map(float, table["false_non_match"])),
                int(table["people"]),
                int(table["pairs"]),
                float(table["carried"]),
                str(table["measured_on"]),
                float(table["several_looks"]),
                *(None if (it := table.get(each)) is None else float(it) for each in DISTANCES),
            )
        except (KeyError, TypeError) as error:
            raise ValueError(f"not a table of error rates: {error}") from error

    def false_match_at(self, distance: float) -> float:
        """The share of strangers' templates within `distance`. Its logarithm is interpolated, and
        below the grid goes on as its first step does."""
        return math.exp(_along(distance, self.distance, [math.log(p) for p in self.false_match]))

    def false_non_match_at(self, distance: float) -> float:
        """The share of a person's own templates beyond `distance`."""
        return float(np.interp(distance, (0.0, *self.distance), (1.0, *self.false_non_match)))

    def distance_for(self, false_match: float) -> float:
        """The distance within which that share of strangers' templates lies, never below 0."""
        logs = [math.log(p) for p in self.false_match]
        return max(0.0, _along(math.log(false_match), logs, self.distance))


UNKNOWN = ErrorRates((0.0, 1e-9), (1.0 - 1e-9, 1.0), (1.0, 1.0), 0, 0, 0.5, "nothing")
"""Of a recogniser that was never measured: whatever matches may be anybody."""


class Recognizer(Protocol):
    """From a face to a descriptor. Two descriptors are compared by their Euclidean distance, 0 or
    more; for those of length 1 that is from 0 to 2. Safe to share between threads."""

    @property
    def name(self) -> RecognizerName: ...

    @property
    def rates(self) -> ErrorRates:
        """How often it errs at which distance."""

    def align(self, bgr: BGRImage, face: Face) -> RGBImage:
        """The chip: the face of a BGR image turned, scaled and cut as the network learnt it,
        (side, side, 3) uint8 RGB."""

    def embed(self, chip: RGBImage) -> Descriptor:
        """(128,) float32. Raises ModelInvalid when the network gives anything but such numbers."""


def rates_of(session: "ort.InferenceSession", file: str) -> ErrorRates:
    """The error rates that the model's file carries. Raises ModelInvalid."""
    text = session.get_modelmeta().custom_metadata_map.get(RATES_KEY)
    if text is None:
        raise ModelInvalid(f"{file}: carries no measured error rates. Export it again.")
    try:
        return ErrorRates.from_json(text)
    except ValueError as error:
        raise ModelInvalid(f"{file}: {error}. Export it again.") from error


def unit(descriptor: Descriptor, file: str) -> Descriptor:
    """The same direction with length 1. Raises ModelInvalid for a descriptor without one."""
    length = float(np.linalg.norm(descriptor.astype(np.float64)))
    if not 0 < length < np.inf:
        raise ModelInvalid(f"{file}: the descriptor has no direction. Export it again.")
    return (descriptor / length).astype(np.float32)


def _along(x: float, xs: "np.typing.ArrayLike", ys: "np.typing.ArrayLike") -> float:
    """`y` at `x` on the line through the points; before the first on the line of the first two."""
    grid, values = np.asarray(xs, np.float64), np.asarray(ys, np.float64)
    if x < grid[0]:
        slope = (values[1] - values[0]) / (grid[1] - grid[0])
        return float(values[0] + slope * (x - grid[0]))
    return float(np.interp(x, grid, values))
