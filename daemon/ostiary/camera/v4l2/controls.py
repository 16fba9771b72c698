"""Exposure and power-line frequency of a device."""

from dataclasses import dataclass

from ostiary.camera.v4l2 import abi
from ostiary.camera.v4l2.device import VideoDevice
from ostiary.settings import CameraSettings

PER_MS = 10
"""V4L2_CID_EXPOSURE_ABSOLUTE counts in 100 µs."""
POWER_LINE = {0: 0, 50: 1, 60: 2}


@dataclass(frozen=True, slots=True)
class Plan:
    """What will be set, control and value, in this order; and, for people, what will not."""

    values: tuple[tuple[int, int], ...] = ()
    remarks: tuple[str, ...] = ()

    def __add__(self, other: "Plan") -> "Plan":
        return Plan(self.values + other.values, self.remarks + other.remarks)


def plan(device: VideoDevice, settings: CameraSettings) -> Plan:
    """What the settings mean on this device. A door with another camera than it was set up for goes
    on: nothing that it lacks here is a reason to stop."""
    planned = Plan()
    if settings.power_line_hz is not None:
        planned += _power_line(device, settings.power_line_hz)
    if settings.exposure_ms == "auto":
        planned += _automatic(device)
    elif settings.exposure_ms is not None:
        planned += _exposure(device, settings.exposure_ms)
    return planned


def _power_line(device: VideoDevice, hertz: int) -> Plan:
    control, item = abi.CID_POWER_LINE_FREQUENCY, POWER_LINE[hertz]
    if device.control(control) is None:
        return Plan(remarks=("it has no power-line setting; remove power_line_hz",))
    if not device.offers_item(control, item):
        return Plan(remarks=(f"it does not know power_line_hz = {hertz}",))
    return Plan(((control, item),))


def _automatic(device: VideoDevice) -> Plan:
    for item in (abi.EXPOSURE_APERTURE_PRIORITY, abi.EXPOSURE_AUTO):
        if device.offers_item(abi.CID_EXPOSURE_AUTO, item):
            return Plan(((abi.CID_EXPOSURE_AUTO, item),))
    return Plan(remarks=("it has no automatic exposure; remove exposure_ms",))


def _exposure(device: VideoDevice, milliseconds: float) -> Plan:
    span = device.control(abi.CID_EXPOSURE_ABSOLUTE)
    if span is None:
        return Plan(remarks=("its exposure cannot be set; remove exposure_ms",))
    wanted = round(milliseconds * PER_MS)
    given = min(max(wanted, span.least), span.most)
    values = [(abi.CID_EXPOSURE_ABSOLUTE, given)]
    if device.offers_item(abi.CID_EXPOSURE_AUTO, abi.EXPOSURE_MANUAL):
        values.insert(0, (abi.CID_EXPOSURE_AUTO, abi.EXPOSURE_MANUAL))
    if given == wanted:
        return Plan(tuple(values))
    limits = f"{span.least / PER_MS:g} to {span.most / PER_MS:g} ms"
    became = f"exposure_ms = {milliseconds:g} becomes {given / PER_MS:g}"
    return Plan(tuple(values), (f"it exposes {limits}; {became}",))
