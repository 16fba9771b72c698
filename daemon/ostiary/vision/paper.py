"""What is left of how points moved when all that a sheet of paper can do is taken off.

A sheet is moved, turned and tilted as a plane is (a homography), and bends about one axis at a time
(it is developable: do Carmo, "Differential Geometry of Curves and Surfaces", 1976, 3.5). A head is
round in every direction, and its nose, eyes and mouth are small things that no such bend explains.
"""

import numpy as np
from numpy.typing import NDArray

Ways = NDArray[np.float64]
"""How far each of n points moved, across and down: (n, 2)."""

_ANGLES = np.radians(np.arange(0, 180, 15))
AXES = np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], axis=1)
"""Directions, (12, 2), along which the sheet is tried to be bent."""


def beyond_paper(places: Ways, moved: Ways) -> Ways:
    """What the sheet that explains most leaves of how points `moved`, (n, 2), in the unit of
    `places`, (n, 2), of which the middle is 0 and the edge about 1.

    To first order: the 8 numbers of a homography, and along the axis's direction the second and
    third power of the way from it, each across and down.
    """
    x, y = places.T
    one, no = np.ones_like(x), np.zeros_like(x)
    across_and_down = (
        *((one, no), (x, no), (y, no), (no, one), (no, x), (no, y)),
        *((x * x, x * y), (x * y, y * y)),
    )
    flat = np.stack([np.concatenate(pair) for pair in across_and_down])
    along = AXES @ np.stack([x, y])
    powers = np.stack([along**2, along**3], axis=1)
    none = np.zeros_like(powers)
    bent = np.concatenate([np.dstack([powers, none]), np.dstack([none, powers])], axis=1)
    flat = np.broadcast_to(flat, (len(AXES), *flat.shape))
    terms = np.concatenate([flat, bent], axis=1)
    aims = moved.T.ravel()
    squares = terms @ terms.transpose(0, 2, 1) + 1e-9 * np.eye(terms.shape[1])
    products = terms @ aims
    shares = np.linalg.solve(squares, products[..., np.newaxis])[..., 0]
    best = int(np.argmax((shares * products).sum(axis=1)))
    return np.asarray((aims - shares[best] @ terms[best]).reshape(2, -1).T)
