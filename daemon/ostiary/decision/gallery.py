"""The registered people, searched for the nearest descriptor.

A search through many descriptors is as slow as the memory they are read from, so a `Sketch` rules
out almost all of them after a quarter of each was read. Descriptors of faces lie near a subspace.
Turned onto its principal axes about their mean, most of the length of each is in the first
coordinates, its *head*; the rest is its *tail*. With x and q turned so,

    |x - q|² / 2 = |q|² / 2 - (x·q - |x|² / 2)
    x·q ≤ head(x)·head(q) + |tail(x)| |tail(q)|                  (Cauchy-Schwarz)

so (head(x), |tail(x)|, |x|² / 2) · (head(q), |tail(q)|, -1) is never below what makes x near. A row
that falls short of a distance known to occur cannot be the nearest. This is exact for any data, and
fast for faces: about one row in a thousand is left to be compared in full.
"""

import math
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from ostiary.vision.arrays import Descriptor, FloatArray

COLUMNS = 32
HEAD = COLUMNS - 2
SAMPLE = 8192
DRAWN_AT_ONCE = 65536
DIMENSIONS = 128
LARGEST_NORM = 1000.0
FIRST_CAPACITY = 64
SKETCH_FROM = 8192
"""Templates from which a sketch pays; fewer fit the processor's cache."""
ROUNDING = 1e-4
"""No product of float32 descriptors is off by more than this, relative to their squared norms."""
BLOCK = 4096


@dataclass(frozen=True, slots=True, eq=False)
class Sketch:
    """The axes of a sketch: `mean` is (128,) and `axes` (128, 30), both float32."""

    mean: FloatArray
    axes: FloatArray

    @classmethod
    def fit(cls, matrix: FloatArray) -> Self:
        """The principal axes of (N, 128) descriptors, from at most 8192 of them, evenly spread."""
        sample = matrix[:: -(-len(matrix) // SAMPLE)].astype(np.float64)
        mean = sample.mean(axis=0)
        _, vectors = np.linalg.eigh((sample - mean).T @ (sample - mean))
        axes = vectors[:, : -HEAD - 1 : -1]
        return cls(mean.astype(np.float32), np.ascontiguousarray(axes, np.float32))

    def draw(self, matrix: FloatArray, out: FloatArray) -> None:
        """Write the sketch of (N, 128) descriptors into `out`, (N, 32)."""
        for at in range(0, len(matrix), DRAWN_AT_ONCE):
            part = slice(at, at + DRAWN_AT_ONCE)
            head, tail, square = self._parts(matrix[part])
            out[part, :HEAD] = head
            out[part, HEAD] = tail
            out[part, HEAD + 1] = square / 2

    def probe(self, descriptor: Descriptor) -> tuple[FloatArray, float]:
        """The factors, (32,), by which sketches are multiplied, and the descriptor's |q|²."""
        head, tail, square = self._parts(descriptor[np.newaxis])
        return np.concatenate([head[0], tail, [np.float32(-1)]]), float(square[0])

    def _parts(self, matrix: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        centred = matrix - self.mean
        head = np.asarray(centred @ self.axes, np.float32)
        square = np.asarray(np.einsum("ij,ij->i", centred, centred), np.float32)
        # Rounding must not make a tail shorter than it is.
        rest = np.maximum(square - np.einsum("ij,ij->i", head, head), 0) + 1e-6 * square
        return head, np.asarray(np.sqrt(rest), np.float32), square


@dataclass(frozen=True, slots=True)
class Nearest:
    """The nearest person and the Euclidean distance, 0 or more. `rival` is the nearest *other*
    person, where one was asked for and is near enough."""

    username: str
    distance: float
    rival: "Nearest | None" = None


class Gallery:
    """Descriptors in one contiguous float32 matrix, several a user.

    `best_match` is exact: the smallest Euclidean distance of all, and of equal distances the
    alphabetically first name. Every method may be called from any thread.
    A large gallery keeps a sketch beside the matrix, brought up to date by the next search and
    fitted anew whenever the gallery has doubled.
    """

    def __init__(self, templates: Iterable[tuple[str, Descriptor]] = ()) -> None:
        self._lock = threading.Lock()
        self._names: list[str] = []
        self._rows: dict[str, list[int]] = {}
        self._matrix = np.empty((FIRST_CAPACITY, DIMENSIONS), np.float32)
        self._half_squares = np.empty(FIRST_CAPACITY, np.float32)
        self._largest_square = 0.0
        self._sketch: Sketch | None = None
        self._sketched = np.empty((0, COLUMNS), np.float32)
        self._sketched_rows = 0
        self._fitted_rows = 0
        for username, descriptor in templates:
            self.add(username, descriptor)

    def __len__(self) -> int:
        """The number of templates."""
        return len(self._names)

    def users(self) -> tuple[str, ...]:
        """All names, sorted."""
        with self._lock:
            return tuple(sorted(self._rows))

    def add(self, username: str, descriptor: Descriptor) -> None:
        """Add one template. ValueError unless it is 128 finite numbers of a sane size."""
        row = _checked(descriptor)
        with self._lock:
            at = len(self._names)
            if at == len(self._matrix):
                self._matrix = _resized(self._matrix, 2 * at)
                self._half_squares = _resized(self._half_squares, 2 * at)
            square = float(row @ row)
            self._matrix[at] = row
            self._half_squares[at] = square / 2
            self._largest_square = max(self._largest_square, square)
            self._names.append(username)
            self._rows.setdefault(username, []).append(at)

    def remove(self, username: str) -> int:
        """Remove a user's templates and return how many there were (0: nobody has that name)."""
        with self._lock:
            rows = self._rows.pop(username, [])
            for at in sorted(rows, reverse=True):
                self._fill_from_last(at)
            return len(rows)

    def best_match(self, descriptor: Descriptor, margin: float | None = None) -> Nearest | None:
        """The nearest template's user and distance; None where the gallery is empty.

        With a `margin`, 0 or more, also the nearest of another user who is at most so much
        farther away. ValueError unless the descriptor is 128 finite numbers of a sane size.
        """
        probe = _checked(descriptor)
        with self._lock:
            if not self._names:
                return None
            return self._nearest(self._possible(probe, margin or 0.0), probe, margin)

    def snapshot(self) -> tuple[tuple[str, ...], FloatArray]:
        """All names and templates, (N,) and (N, 128), as they are now."""
        with self._lock:
            return tuple(self._names), self._matrix[: len(self._names)].copy()

    def _possible(self, probe: Descriptor, margin: float) -> NDArray[np.intp] | slice:
        """Rows that include all as near as `margin` asks; few, where there is a sketch."""
        everything = slice(0, len(self._names))
        sketch = self._up_to_date_sketch()
        if sketch is None:
            return everything
        multiplier, square = sketch.probe(probe)
        bounds = self._sketched[everything] @ multiplier
        occurs = float(_squared_distances(self._matrix[[bounds.argmax()]], probe)[0])
        reach = (math.sqrt(occurs) + margin) ** 2
        rows = np.flatnonzero(bounds >= (square - reach) / 2 - self._error(probe))
        return rows if 8 * len(rows) < len(bounds) else everything

    def _nearest(
        self, rows: NDArray[np.intp] | slice, probe: Descriptor, margin: float | None
    ) -> Nearest:
        # |x-q|²/2 = |q|²/2 - (x·q - |x|²/2): one BLAS product ranks the rows. Its rounding can
        # swap near-equal ones, so all that are as near within it are compared in float64.
        scores = self._matrix[rows] @ probe
        scores -= self._half_squares[rows]
        best, error = float(scores.max()), self._error(probe)
        least = math.sqrt(max(0.0, float(probe @ probe) - 2 * best) + 2 * error)
        # (least + margin)² less least², halved.
        reach = 0.0 if margin is None else margin * (least + margin / 2)
        near = np.flatnonzero(scores >= best - reach - error)
        if not isinstance(rows, slice):
            near = rows[near]
        squares = np.concatenate(
            [
                _squared_distances(self._matrix[near[at : at + BLOCK]], probe)
                for at in range(0, len(near), BLOCK)
            ]
        )
        nearest = self._first(near, squares)
        if margin is None:
            return nearest
        others = np.array([self._names[at] != nearest.username for at in near], np.bool_)
        others &= squares <= (nearest.distance + margin) ** 2
        if not others.any():
            return nearest
        rival = self._first(near[others], squares[others])
        return Nearest(nearest.username, nearest.distance, rival)

    def _first(self, rows: NDArray[np.intp], squares: NDArray[np.float64]) -> Nearest:
        least = squares.min()
        return Nearest(min(self._names[at] for at in rows[squares == least]), math.sqrt(least))

    def _error(self, probe: Descriptor) -> float:
        return ROUNDING * (self._largest_square + float(probe @ probe))

    def _up_to_date_sketch(self) -> Sketch | None:
        """The sketch with all rows drawn; None where the gallery is small."""
        count = len(self._names)
        if count < SKETCH_FROM:
            self._sketch = None
            return None
        sketch = self._sketch
        if sketch is None or count >= 2 * self._fitted_rows:
            sketch = self._sketch = Sketch.fit(self._matrix[:count])
            self._fitted_rows, self._sketched_rows = count, 0
        if len(self._sketched) < len(self._matrix):
            self._sketched = _resized(self._sketched, len(self._matrix))
        pending = slice(self._sketched_rows, count)
        sketch.draw(self._matrix[pending], self._sketched[pending])
        self._sketched_rows = count
        return sketch

    def _fill_from_last(self, at: int) -> None:
        last = len(self._names) - 1
        name = self._names.pop()
        if at != last:
            self._matrix[at] = self._matrix[last]
            self._half_squares[at] = self._half_squares[last]
            if self._sketch is not None and at < self._sketched_rows:
                row = slice(at, at + 1)
                self._sketch.draw(self._matrix[row], self._sketched[row])
            self._names[at] = name
            rows = self._rows[name]
            rows[rows.index(last)] = at
        self._sketched_rows = min(self._sketched_rows, last)


def _checked(descriptor: Descriptor) -> Descriptor:
    row = np.array(descriptor, np.float32)
    if row.shape != (DIMENSIONS,):
        raise ValueError(f"a descriptor has {DIMENSIONS} numbers, not shape {row.shape}")
    if not np.linalg.norm(row.astype(np.float64)) <= LARGEST_NORM:  # also refuses NaN
        raise ValueError("the descriptor is not finite or not a face descriptor")
    return row


def _squared_distances(rows: FloatArray, probe: Descriptor) -> NDArray[np.float64]:
    apart = rows.astype(np.float64) - probe
    return np.asarray(np.einsum("ij,ij->i", apart, apart), np.float64)


def _resized(array: FloatArray, length: int) -> FloatArray:
    larger = np.empty((length, *array.shape[1:]), array.dtype)
    larger[: len(array)] = array
    return larger
