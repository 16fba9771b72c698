"""What a device sends, as BGR. Pure."""

from typing import Any

import cv2
import numpy as np

from ostiary.vision.arrays import BGRImage

Bytes = np.ndarray[Any, np.dtype[np.uint8]]
_CONVERSIONS = {
    "YUYV": cv2.COLOR_YUV2BGR_YUY2,
    "UYVY": cv2.COLOR_YUV2BGR_UYVY,
    "NV12": cv2.COLOR_YUV2BGR_NV12,
    "YU12": cv2.COLOR_YUV2BGR_I420,
    "GREY": cv2.COLOR_GRAY2BGR,
}
_BYTES = {"YUYV": 2, "UYVY": 2, "BGR3": 3}
"""Of a pixel, where all planes are one."""


def to_bgr(content: Bytes, fourcc: str, width: int, height: int, line: int) -> BGRImage | None:
    """(height, width, 3) uint8 BGR; None where the content is cut short or no picture.

    `content`: the bytes of one buffer, in a format of `mode.PREFERRED`; `line`: bytes from one row
    to the next (0: no padding; not used for JPEG).
    """
    if fourcc in ("MJPG", "JPEG"):
        image = cv2.imdecode(content, cv2.IMREAD_COLOR)
        return None if image is None or image.shape[:2] != (height, width) else _uint8(image)
    pixel = _BYTES.get(fourcc, 1)
    rows = height * 3 // 2 if fourcc in ("NV12", "YU12") else height
    line = line or width * pixel
    if content.size < rows * line:
        return None
    padded = content[: rows * line].reshape(rows, line)
    if fourcc == "YU12" and line != width:
        return None  # its small planes are padded in their own way
    packed = np.ascontiguousarray(padded[:, : width * pixel])
    if fourcc == "BGR3":
        return packed.reshape(height, width, 3).copy()
    return _uint8(cv2.cvtColor(packed.reshape(rows, width, pixel), _CONVERSIONS[fourcc]))


def _uint8(image: "cv2.typing.MatLike") -> BGRImage:
    return image.astype(np.uint8, copy=False)
