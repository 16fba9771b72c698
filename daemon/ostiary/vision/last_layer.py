"""A last layer of its own for one camera: from MiniFASNet's features to P(live).

The networks learnt from other cameras, and what gives an attack away differs from one to the next.
A few people, live and attacked before *this* camera, are enough to weigh the 512 features of
MiniFASNetV2 anew (docs/accuracy.md tells what it gains). Plain NumPy: a door fits it in seconds.
"""

import struct
from dataclasses import dataclass
from math import exp, isfinite, log
from typing import Self

import numpy as np
from numpy.typing import NDArray

from ostiary.errors import LastLayerInvalid
from ostiary.vision.arrays import FloatArray

FEATURES = 512
OF_NOBODY = 2.0
"""A value of `LastLayer.sure` that no P(live) reaches: the layer is sure of nobody."""
VETO = 0.1
"""Up to this P(live) of the networks themselves it is an attack, whatever the layer says."""
FIT = 1.0
"""Weight of all frames together against the squared weights of the layer."""
_STEPS, _SETTLED = 50, 1e-6
_NUMBERS = struct.Struct("<dd")


@dataclass(frozen=True, slots=True, eq=False)
class LastLayer:
    """P(live) = 1 / (1 + exp(-(weights · features + bias))).

    `weights` is (512,) float32. `sure`: a P(live) that no attack in the sitting came near, judged
    without the person whom it showed; above 1: there is none. Raises LastLayerInvalid for another
    shape, or for a number that is not finite.
    """

    weights: FloatArray
    bias: float
    sure: float = OF_NOBODY

    def __post_init__(self) -> None:
        if self.weights.shape != (FEATURES,):
            raise LastLayerInvalid(f"a last layer of {self.weights.shape}, not ({FEATURES},).")
        if not (np.isfinite(self.weights).all() and isfinite(self.bias) and self.sure > 0):
            raise LastLayerInvalid("a last layer with a number that is none.")

    def probability(self, features: FloatArray) -> float:
        """P(live), 0 to 1, of (512,) features; 0 where they are not finite."""
        found = float(self.weights.astype(np.float64) @ features.astype(np.float64)) + self.bias
        return _logistic(found) if isfinite(found) else 0.0

    def to_bytes(self) -> bytes:
        """Bias, `sure` and weights, little-endian, for `from_bytes`."""
        return _NUMBERS.pack(self.bias, self.sure) + self.weights.astype("<f4").tobytes()

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """The layer that `to_bytes` wrote. Raises LastLayerInvalid for other bytes."""
        if len(data) != _NUMBERS.size + 4 * FEATURES:
            raise LastLayerInvalid(f"a last layer of {len(data)} bytes: cut off, or another's.")
        bias, sure = _NUMBERS.unpack_from(data)
        return cls(np.frombuffer(data, "<f4", offset=_NUMBERS.size).copy(), bias, sure)


@dataclass(frozen=True, slots=True, eq=False)
class Direction:
    """The direction that `fit` found; along it people lie above 0, and attacks below."""

    weights: NDArray[np.float64]
    bias: float

    def along(self, features: FloatArray) -> NDArray[np.float64]:
        """(n, 512) features to (n,) numbers, the logarithm of the odds."""
        return np.asarray(features.astype(np.float64) @ self.weights + self.bias)

    def layer(
        self, low: tuple[float, float], high: tuple[float, float], sure: float, surer: float
    ) -> LastLayer:
        """The layer by which two numbers of `along` have a given P(live): `low` and `high` are
        pairs of number and P(live). It is sure from `surer` times the odds of the number `sure`."""
        (low_at, low_p), (high_at, high_p) = low, high
        slope = (_logit(high_p) - _logit(low_p)) / (high_at - low_at)
        bias = _logit(high_p) + slope * (self.bias - high_at)
        sure_p = _logistic(_logit(high_p) + slope * (sure - high_at) + log(surer))
        return LastLayer((slope * self.weights).astype(np.float32), bias, sure_p)


def fit(features: FloatArray, live: NDArray[np.bool_], counts: NDArray[np.float64]) -> Direction:
    """Ridge logistic regression (le Cessie and van Houwelingen, "Ridge Estimators in Logistic
    Regression", 1992) on standardised features, by Newton's method.

    `features` is (n, 512), `live` (n,); `counts` (n,), with the sum 1, says how much each frame
    counts.
    """
    mean = counts @ features
    spread = np.sqrt(counts @ (features - mean) ** 2) + 1e-6
    rows = np.hstack([(features - mean) / spread, np.ones((len(features), 1))])
    ridge = np.append(np.ones(features.shape[1]), 1e-9)  # the bias is free
    found = np.zeros(rows.shape[1])
    for _ in range(_STEPS):
        p = 1 / (1 + np.exp(-np.clip(rows @ found, -50, 50)))
        slope = ridge * found + FIT * rows.T @ (counts * (p - live))
        curve = FIT * (rows.T * (counts * p * (1 - p))) @ rows + np.diag(ridge)
        change = np.linalg.solve(curve, slope)
        found = found - change
        if np.abs(change).max() < _SETTLED:
            break
    weights = found[:-1] / spread
    return Direction(weights, float(found[-1] - weights @ mean))


def _logistic(x: float) -> float:
    return 1 / (1 + exp(-max(-700.0, x)))


def _logit(p: float) -> float:
    return log(p / (1 - p))
