"""Rule out almost all descriptors after reading a quarter of each.

A search through many descriptors is as slow as the memory they are read from. Descriptors of faces
lie near a subspace: turned onto its principal axes about their mean, most of the length of each is
in the first coordinates, its *head*; the rest is its *tail*. With x and q turned so,

    |x - q|² / 2 = |q|² / 2 - (x·q - |x|² / 2)
    x·q ≤ head(x)·head(q) + |tail(x)| |tail(q)|                  (Cauchy-Schwarz)

so (head(x), |tail(x)|, |x|² / 2) · (head(q), |tail(q)|, -1) is never below what makes x near, and
whatever row falls short of a distance known to occur cannot be the nearest. Exact for any data;
fast for faces, where about one row in a thousand is left to be compared in full.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np

from ostiary.vision.arrays import Descriptor, FloatArray

COLUMNS = 32
HEAD = COLUMNS - 2
SAMPLE = 8192
BLOCK = 65536


@dataclass(frozen=True, slots=True, eq=False)
class Sketch:
    """The axes: `mean` is (128,) and `axes` (128, 30), both float32."""

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
        for at in range(0, len(matrix), BLOCK):
            part = slice(at, at + BLOCK)
            head, tail, square = self._parts(matrix[part])
            out[part, :HEAD] = head
            out[part, HEAD] = tail
            out[part, HEAD + 1] = square / 2

    def probe(self, descriptor: Descriptor) -> tuple[FloatArray, float]:
        """What to multiply sketches with, (32,), and the descriptor's |q|²."""
        head, tail, square = self._parts(descriptor[np.newaxis])
        return np.concatenate([head[0], tail, [np.float32(-1)]]), float(square[0])

    def _parts(self, matrix: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        centred = matrix - self.mean
        head = np.asarray(centred @ self.axes, np.float32)
        square = np.asarray(np.einsum("ij,ij->i", centred, centred), np.float32)
        # Rounding must not make a tail shorter than it is.
        rest = np.maximum(square - np.einsum("ij,ij->i", head, head), 0) + 1e-6 * square
        return head, np.asarray(np.sqrt(rest), np.float32), square
