"""What every recogniser can do. One file each: `sface.py`, `dlib.py`; `engine.py` chooses.

A new one is a class with these four members, its name in `messages/words.py`, and its line
in `engine.py`.
"""

from typing import Protocol

import numpy as np
import onnxruntime as ort

from ostiary.errors import ModelInvalid
from ostiary.messages.words import RecognizerName
from ostiary.vision.arrays import BGRImage, Descriptor, RGBImage
from ostiary.vision.face import Face
from ostiary.vision.rates import ErrorRates

RATES_KEY = "ostiary.error_rates"


class Recognizer(Protocol):
    """From a face to a descriptor. Two descriptors are compared by their Euclidean distance, 0 or
    more; for those of length 1 that is from 0 to 2. Safe to share between threads."""

    @property
    def name(self) -> RecognizerName: ...

    @property
    def rates(self) -> ErrorRates:
        """How often it errs at which distance."""
        ...

    def align(self, bgr: BGRImage, face: Face) -> RGBImage:
        """The chip: the face of a BGR image turned, scaled and cut as the network learnt it,
        (side, side, 3) uint8 RGB."""
        ...

    def embed(self, chip: RGBImage) -> Descriptor:
        """(128,) float32. Raises ModelInvalid when the network gives anything but such numbers."""
        ...


def rates_of(session: ort.InferenceSession, file: str) -> ErrorRates:
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
