"""Exposure and power-line frequency of a device."""

from collections.abc import Iterator

from ostiary.camera.v4l2 import abi
from ostiary.camera.v4l2.device import VideoDevice
from ostiary.config import CameraSettings

PER_MS = 10
"""V4L2_CID_EXPOSURE_ABSOLUTE counts in 100 µs."""
POWER_LINE = {0: 0, 50: 1, 60: 2}


def apply_controls(device: VideoDevice, settings: CameraSettings) -> Iterator[str]:
    """Set what is set in the settings; yields, for people, what the device does otherwise.

    A door with another camera than it was set up for goes on: none of this is a reason to stop.
    """
    if settings.power_line_hz is not None:
        yield from _power_line(device, settings.power_line_hz)
    if settings.exposure_ms == "auto":
        yield from _automatic(device)
    elif settings.exposure_ms is not None:
        yield from _exposure(device, settings.exposure_ms)


def _power_line(device: VideoDevice, hertz: int) -> Iterator[str]:
    if device.control(abi.CID_POWER_LINE_FREQUENCY) is None:
        yield "it has no power-line setting; remove power_line_hz"
    elif not device.offers_item(abi.CID_POWER_LINE_FREQUENCY, POWER_LINE[hertz]):
        yield f"it does not know power_line_hz = {hertz}"
    else:
        device.set_value(abi.CID_POWER_LINE_FREQUENCY, POWER_LINE[hertz])


def _automatic(device: VideoDevice) -> Iterator[str]:
    for item in (abi.EXPOSURE_APERTURE_PRIORITY, abi.EXPOSURE_AUTO):
        if device.offers_item(abi.CID_EXPOSURE_AUTO, item):
            device.set_value(abi.CID_EXPOSURE_AUTO, item)
            return
    yield "it has no automatic exposure; set exposure_ms to a number, or remove it"


def _exposure(device: VideoDevice, milliseconds: float) -> Iterator[str]:
    if device.offers_item(abi.CID_EXPOSURE_AUTO, abi.EXPOSURE_MANUAL):
        device.set_value(abi.CID_EXPOSURE_AUTO, abi.EXPOSURE_MANUAL)
    span = device.control(abi.CID_EXPOSURE_ABSOLUTE)
    if span is None:
        yield "its exposure cannot be set; remove exposure_ms"
        return
    wanted = round(milliseconds * PER_MS)
    given = min(max(wanted, span.least), span.most)
    device.set_value(abi.CID_EXPOSURE_ABSOLUTE, given)
    if given != wanted:
        yield (
            f"it exposes {span.least / PER_MS:g} to {span.most / PER_MS:g} ms; "
            f"exposure_ms = {milliseconds:g} became {given / PER_MS:g}"
        )
