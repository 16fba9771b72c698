"""A small file that costs a decoder seconds or gigabytes is refused before it is decoded."""

import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from ostiary.camera.mjpeg import PICTURE_LIMITS
from ostiary.errors import ImageTooLarge
from ostiary.vision.image import JPEG_MOST_SCANS, decode_image


def progressive(scans: int) -> bytes:
    """A progressive JPEG whose last scan is said again and again."""
    image = np.full((512, 512, 3), 128, np.uint8)
    done, encoded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])
    assert done
    data = encoded.tobytes()
    last = data.rindex(b"\xff\xda")
    return data[:last] + data[last:-2] * scans + data[-2:]


def test_a_progressive_jpeg_of_many_scans_is_refused_at_once() -> None:
    bomb = progressive(1500)
    begun = time.process_time()
    with pytest.raises(ImageTooLarge, match="scans"):
        decode_image(bomb)
    assert time.process_time() - begun < 1.0  # it is not decoded


def test_an_ordinary_progressive_jpeg_is_taken(portraits: Path) -> None:
    image = decode_image(portraits.joinpath("obama.jpg").read_bytes())
    done, encoded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])
    assert done
    assert encoded.tobytes().count(b"\xff\xda") < JPEG_MOST_SCANS
    assert decode_image(encoded.tobytes()).shape == image.shape


def test_a_camera_may_not_send_a_picture_of_gigabytes() -> None:
    done, encoded = cv2.imencode(".jpg", np.zeros((4320, 7680, 3), np.uint8))
    assert done
    with pytest.raises(ImageTooLarge):
        decode_image(encoded.tobytes(), PICTURE_LIMITS)
