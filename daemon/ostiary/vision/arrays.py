"""Names for the arrays that go between the rooms of the house."""

import numpy as np
from numpy.typing import NDArray

BGRImage = NDArray[np.uint8]
"""(height, width, 3), blue first: what OpenCV and the cameras give."""

RGBImage = NDArray[np.uint8]
"""(height, width, 3), red first: what dlib's models were trained on."""

GrayImage = NDArray[np.uint8]
"""(height, width), 0 black to 255 white."""

FloatArray = NDArray[np.float32]
"""float32 of any shape; the function says which."""

Descriptor = NDArray[np.float32]
"""(128,): what a recogniser makes of a face. Two of one person are near (Euclid); only those of
the same recogniser may be compared."""
