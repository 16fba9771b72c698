"""Photos for the door: as they are, or made smaller where the broker does not take them.

Recognition looks at 112 and liveness at 80 pixels of a face, so one of 250 loses nothing.
"""

import base64
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import cv2
import numpy as np

from ostiary.errors import ImageInvalid, ModelInvalid, ModelMissing, RequestTooLarge
from ostiary.vision.arrays import BGRImage
from ostiary.vision.detect import Detector, YuNetDetector
from ostiary.vision.face import Box
from ostiary.vision.image import ImageLimits, decode_image, encode_jpeg
from ostiary.vision.models import YUNET, models_directory

FACE_WIDTH = 250
"""Pixels that a face keeps, where it had them."""
SURROUNDINGS = 2.7
"""Sides of the face that are kept around it at least: as much as liveness looks at."""
USUAL_BYTES = 1_000_000
"""A larger photo is always made smaller: not every broker says what it takes."""
ENVELOPE_BYTES = 2048
"""Bytes around a picture in a command: names, groups, a signature."""

_OF_ANY_CAMERA = ImageLimits(bytes=2**28, pixels=250_000_000, side=40_000)
_TAKEN = ImageLimits()
_SHORT_SIDE = 1000
_STEP = 0.8
_MEASURED_AGAIN = 1.04  # the detector is not exact to the pixel
_SEARCHED = 640
_QUALITIES = (92, 85, 75, 65, 55)


def read_photo(photo: Path, packet_limit: int | None) -> str:
    """The photo in base64, small enough for a broker of that limit. Raises ImageInvalid where it
    cannot be read or is empty, RequestTooLarge where the limit is too small for a face."""
    try:
        data = photo.read_bytes()
    except IsADirectoryError:
        raise ImageInvalid(f"{photo}: no JPEG, PNG or WebP image that can be read.") from None
    except (OSError, ValueError) as error:
        said = error.strerror if isinstance(error, OSError) else "no such file"
        raise ImageInvalid(f"{photo}: {said}.") from error
    if not data:
        raise ImageInvalid(f"{photo}: the file is empty.")
    most = USUAL_BYTES
    if packet_limit is not None:
        most = min(most, max(0, packet_limit - ENVELOPE_BYTES) * 3 // 4)
    fitted = fit(data, most)
    if fitted is None:
        raise RequestTooLarge(
            f"{photo.name} has {len(data):,} bytes, and this broker takes messages of "
            f"{packet_limit or USUAL_BYTES:,} at most: too few for a face of {FACE_WIDTH} pixels. "
            "Raise its limit (mosquitto: max_packet_size), or enrol at the console."
        )
    return base64.b64encode(fitted).decode("ascii")


def fit(data: bytes, most: int) -> bytes | None:
    """An image file of at most `most` bytes: `data`, or a JPEG of it in which the largest face
    still has FACE_WIDTH pixels; None where that is too large. A file that is no image is left to
    the door where it fits. Raises ImageInvalid where it does not."""
    try:
        image = decode_image(data, _OF_ANY_CAMERA)
    except ImageInvalid:
        if len(data) <= most:
            return data
        raise
    height, width = image.shape[:2]
    is_taken = max(height, width) <= _TAKEN.side and height * width <= _TAKEN.pixels
    if len(data) <= most and is_taken:
        return data
    found = (encode_jpeg(each, quality) for each, quality in _smaller(image))
    return next((each for each in found if len(each) <= most), None)


def _smaller(image: BGRImage) -> Iterator[tuple[BGRImage, int]]:
    """Ever smaller pictures, each with the JPEG's quality."""
    height, width = image.shape[:2]
    face = _largest_face(image)
    if face is None:
        least = min(1.0, _SHORT_SIDE / min(height, width))
    else:
        least = min(1.0, FACE_WIDTH * _MEASURED_AGAIN / face.width)
    scale = min(1.0, _TAKEN.side / max(height, width), (_TAKEN.pixels / (height * width)) ** 0.5)
    least = min(least, scale)
    while scale > least:
        yield _scaled(image, scale), _QUALITIES[0]
        scale *= _STEP
    smallest = _scaled(image, least)
    yield from ((smallest, quality) for quality in _QUALITIES)
    if face is not None:
        near = _scaled(_around(image, face), least)
        yield from ((near, quality) for quality in _QUALITIES)


def _scaled(image: BGRImage, scale: float) -> BGRImage:
    if scale >= 1:
        return image
    height, width = image.shape[:2]
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def _around(image: BGRImage, face: Box) -> BGRImage:
    """The face with its surroundings."""
    reach = SURROUNDINGS * max(face.width, face.height) / 2
    across, down = face.x + face.width / 2, face.y + face.height / 2
    left, top = max(0, int(across - reach)), max(0, int(down - reach))
    return image[top : int(down + reach) + 1, left : int(across + reach) + 1]


def _largest_face(image: BGRImage) -> Box | None:
    detector = _detector()
    faces = () if detector is None else detector.detect(image, _SEARCHED)
    return faces[0].box if faces else None


@cache
def _detector() -> Detector | None:
    """The face detector; None where this machine, an operator's perhaps, has no models."""
    try:
        return YuNetDetector(models_directory() / YUNET)
    except (ModelMissing, ModelInvalid):
        return None
