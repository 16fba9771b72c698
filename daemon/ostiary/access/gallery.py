"""The registered people, searched for the nearest descriptor."""

import math
import threading
from collections.abc import Iterable

import numpy as np

from ostiary.access.decision import Candidate
from ostiary.vision.arrays import Descriptor, FloatArray

DIMENSIONS = 128
LARGEST_NORM = 1000.0
FIRST_CAPACITY = 64


class Gallery:
    """Descriptors in one contiguous float32 matrix, several a user.

    `best_match` is exact: the smallest Euclidean distance of all, and of equal distances the
    alphabetically first name. Every method may be called from any thread.
    """

    def __init__(self, templates: Iterable[tuple[str, Descriptor]] = ()) -> None:
        self._lock = threading.Lock()
        self._names: list[str] = []
        self._rows: dict[str, list[int]] = {}
        self._matrix = np.empty((FIRST_CAPACITY, DIMENSIONS), np.float32)
        self._half_squares = np.empty(FIRST_CAPACITY, np.float32)
        self._largest_square = 0.0
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
                self._matrix = _grown(self._matrix)
                self._half_squares = _grown(self._half_squares)
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

    def rename(self, old: str, new: str) -> None:
        """Give a user another name. KeyError: no such user; ValueError: the new name is taken."""
        with self._lock:
            if old not in self._rows:
                raise KeyError(old)
            if new == old:
                return
            if new in self._rows:
                raise ValueError(f"{new!r} is in the gallery already")
            self._rows[new] = self._rows.pop(old)
            for at in self._rows[new]:
                self._names[at] = new

    def best_match(self, descriptor: Descriptor) -> Candidate | None:
        """The nearest template's user and distance; None where the gallery is empty.

        ValueError unless the descriptor is 128 finite numbers of a sane size.
        """
        probe = _checked(descriptor)
        with self._lock:
            count = len(self._names)
            if count == 0:
                return None
            # |x-q|²/2 = |q|²/2 - (x·q - |x|²/2): one BLAS product ranks all rows. Its rounding can
            # swap near-equal rows, so all within that error are compared in float64.
            scores = self._matrix[:count] @ probe
            scores -= self._half_squares[:count]
            error = 1e-5 * (self._largest_square + float(probe @ probe))
            return self._nearest(np.flatnonzero(scores >= scores.max() - error), probe)

    def _nearest(self, rows: np.ndarray, probe: Descriptor) -> Candidate:
        apart = self._matrix[rows].astype(np.float64) - probe
        squares = np.einsum("ij,ij->i", apart, apart)
        least = squares.min()
        username = min(self._names[at] for at in rows[squares == least])
        return Candidate(username, math.sqrt(least))

    def _fill_from_last(self, at: int) -> None:
        last = len(self._names) - 1
        name = self._names.pop()
        if at != last:
            self._matrix[at] = self._matrix[last]
            self._half_squares[at] = self._half_squares[last]
            self._names[at] = name
            rows = self._rows[name]
            rows[rows.index(last)] = at


def _checked(descriptor: Descriptor) -> Descriptor:
    row = np.asarray(descriptor, np.float32)
    if row.shape != (DIMENSIONS,):
        raise ValueError(f"a descriptor has {DIMENSIONS} numbers, not shape {row.shape}")
    if not float(row @ row) <= LARGEST_NORM**2:  # also refuses NaN
        raise ValueError("the descriptor is not finite or not a face descriptor")
    return row


def _grown(array: FloatArray) -> FloatArray:
    larger = np.empty((2 * len(array), *array.shape[1:]), array.dtype)
    larger[: len(array)] = array
    return larger
