"""Which of the pictures that a device offers come nearest to what is wanted. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log

from ostiary.settings.cameras import PixelFormat

PREFERRED = ("MJPG", "JPEG", "YUYV", "UYVY", "NV12", "YU12", "BGR3", "GREY")
"""What can be decoded, best first. Motion JPEG before what is not compressed: two uncompressed
cameras seldom fit through one USB 2."""
NAMED: dict[PixelFormat, tuple[str, ...]] = {
    "auto": PREFERRED,
    "mjpeg": ("MJPG", "JPEG"),
    "yuyv": ("YUYV",),
}


@dataclass(frozen=True, slots=True)
class Span:
    """Numbers from `least` to `most` by `step`."""

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
