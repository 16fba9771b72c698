"""The formats and sizes that a device offers: which one is chosen, and how it becomes BGR. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log
from typing import Any

import cv2
import numpy as np

from ostiary.settings.cameras import PixelFormat
from ostiary.vision.arrays import BGRImage

PREFERRED = ("MJPG", "JPEG", "YUYV", "UYVY", "NV12", "YU12", "BGR3", "GREY")
"""What can be decoded, best first. Motion JPEG before what is not compressed: two uncompressed
cameras seldom fit through one USB 2."""
NAMED: dict[PixelFormat, tuple[str, ...]] = {
    "auto": PREFERRED,
    "mjpeg": ("MJPG", "JPEG"),
    "yuyv": ("YUYV",),
}
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


@dataclass(frozen=True, slots=True)
class Span:
    """Numbers from `least` to `most` in steps of `step`."""

    least: int
    most: int
    step: int = 1

    def nearest(self, wanted: int) -> int:
        step = max(1, self.step)
        steps = round((wanted - self.least) / step)
        return self.least + min(max(steps, 0), (self.most - self.least) // step) * step


@dataclass(frozen=True, slots=True)
class VideoMode:
    """A format (FourCC) and size as the device offers it.

    `width` and `height` in pixels; `rates` in frames a second, ascending; empty where the device
    does not tell. `any_rate`: whatever lies between the first and the last, too.
    """

    fourcc: str
    width: int
    height: int
    rates: tuple[float, ...] = ()
    any_rate: bool = False

    def rate_for(self, wanted: float) -> float:
        """The lowest rate that is not below `wanted`, else the highest; `wanted` where unknown."""
        if not self.rates:
            return wanted
        if self.any_rate:
            return min(max(wanted, self.rates[0]), self.rates[-1])
        return next((rate for rate in self.rates if rate >= wanted - 0.01), self.rates[-1])

    def __str__(self) -> str:
        return f"{self.fourcc} {self.width}×{self.height}"


def choose(
    modes: Sequence[VideoMode], width: int, height: int, fps: float, pixel_format: PixelFormat
) -> VideoMode | None:
    """The nearest size, and of its formats one that reaches the rate. None where no format fits.

    Two sizes are as far apart as their widths' and heights' ratios are from 1; of two equally far
    the larger is taken.
    """
    formats = NAMED[pixel_format]
    fitting = [mode for mode in modes if mode.fourcc in formats and mode.width and mode.height]

    def distance(mode: VideoMode) -> tuple[float, int, float, int]:
        off = abs(log(mode.width / width)) + abs(log(mode.height / height))
        short = max(0.0, fps - mode.rate_for(fps))
        return round(off, 6), -mode.width * mode.height, short, formats.index(mode.fourcc)

    return min(fitting, key=distance, default=None)


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
