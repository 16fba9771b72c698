"""A camera on this machine, USB or CSI: its mode, its exposure and its pictures."""

import time
from dataclasses import dataclass
from pathlib import Path

import structlog

from ostiary.camera.frame import Picture
from ostiary.camera.v4l2 import abi
from ostiary.camera.v4l2.device import Filled, Stream, VideoDevice
from ostiary.camera.v4l2.formats import VideoMode, choose, to_bgr
from ostiary.errors import CameraUnavailable
from ostiary.settings import CameraSettings

log = structlog.get_logger(__name__)

LATE_S = 1.0
"""A picture stamped longer ago than this is none."""
DISTRUST_AFTER = 30
"""So many such pictures in a row: the driver's clock is wrong, not the pictures old."""
PER_MS = 10
"""V4L2_CID_EXPOSURE_ABSOLUTE counts in 100 µs."""
POWER_LINE = {0: 0, 50: 1, 60: 2}


class DeviceSource:
    """`0`, `/dev/video0` or, best, `/dev/v4l/by-id/…`, which stays the same in another socket."""

    pace: float | None = None

    def __init__(self, settings: CameraSettings) -> None:
        """Raises CameraUnavailable when it is not there, not a camera, in use, or gives no pictures
        in a format that is wanted."""
        self._settings = settings
        self._path = path_of(settings.source)
        self._late = 0
        self._device = VideoDevice.open(self._path)
        try:
            self._mode, self._line, self.remarks = self._prepare()
            self._stream = Stream(self._device)
        except OSError as error:
            self._device.close()
            raise CameraUnavailable(self._why_not(error)) from error
        except CameraUnavailable:
            self._device.close()
            raise
        self.device: str | None = self._device.name
        log.info(
            "camera_format",
            camera=settings.name,
            device=self.device,
            requested=f"{settings.width}x{settings.height}@{settings.fps:g}",
            given=described(self._mode),
        )
        for remark in self.remarks:
            log.warning("camera_control", camera=settings.name, remark=remark)

    def read(self) -> Picture | None:
        until = time.monotonic() + self._settings.stall_after_s
        while (left := until - time.monotonic()) > 0:
            try:
                filled = self._stream.newest(left)
                picture = self._picture(filled)
                self._stream.give_back(filled)
            except OSError as error:
                raise CameraUnavailable(f"{self._path}: {error.strerror}. Unplugged?") from error
            if picture is not None:
                return picture
        raise CameraUnavailable(
            f"{self._path}: its pictures are late or cannot be decoded. Another cable or socket?"
        )

    def close(self) -> None:
        self._stream.close()
        self._device.close()

    def _prepare(self) -> tuple[VideoMode, int, tuple[str, ...]]:
        mode = chosen_mode(self._device, self._settings)
        given, line = self._device.set_mode(mode, self._settings.fps)
        if given.fourcc != mode.fourcc:
            raise CameraUnavailable(f"{self._path}: offers {mode}, but gives {given}.")
        planned = plan(self._device, self._settings)
        for control, value in planned.values:
            self._device.set_value(control, value)
        return given, line, planned.remarks

    def _picture(self, filled: Filled) -> Picture | None:
        mode, now = self._mode, time.monotonic()
        captured_at = self._captured_at(filled.stamped_at, now)
        if captured_at is None:
            return None
        image = to_bgr(filled.content, mode.fourcc, mode.width, mode.height, self._line)
        return None if image is None else Picture(image, captured_at)

    def _captured_at(self, stamped: float | None, now: float) -> float | None:
        """When the picture was captured; None where it is too old to be shown."""
        if stamped is None or stamped > now or self._late >= DISTRUST_AFTER:
            return now
        if now - LATE_S < stamped:
            self._late = 0
            return stamped
        self._late += 1
        if self._late == DISTRUST_AFTER:
            log.warning("camera_clock_distrusted", camera=self._settings.name, off_s=now - stamped)
        return None

    def _why_not(self, error: OSError) -> str:
        return (
            f"{self._path}: {error.strerror}. Does another program have it "
            f"(`fuser {self._path}` shows which), or two cameras one USB bus?"
        )


def path_of(source: str) -> Path:
    """The device that a setting names."""
    return Path(f"/dev/video{source}" if source.isdecimal() else source)


def chosen_mode(device: VideoDevice, settings: CameraSettings) -> VideoMode:
    """The mode to ask for. Raises CameraUnavailable where the device offers none that fits."""
    if not device.captures:
        raise CameraUnavailable(
            f"{device.path}: {device.name} gives no pictures here. A camera has several devices: "
            "`ostiary doctor` lists those that do."
        )
    modes = device.modes(settings.width, settings.height)
    mode = choose(modes, settings.width, settings.height, settings.fps, settings.pixel_format)
    if mode is None:
        offered = ", ".join(sorted(set(device.formats()))) or "none"
        raise CameraUnavailable(
            f"{device.path}: no format fits cameras.pixel_format = {settings.pixel_format}. "
            f"It offers: {offered}."
        )
    return mode


def described(mode: VideoMode) -> str:
    """A mode in force, as people read it."""
    rate = f" at {mode.rates[0]:g}" if mode.rates else ""
    return f"{mode}{rate}"


@dataclass(frozen=True, slots=True)
class Plan:
    """Controls and their values, to be set in this order; `remarks` say what cannot be set."""

    values: tuple[tuple[int, int], ...] = ()
    remarks: tuple[str, ...] = ()

    def __add__(self, other: "Plan") -> "Plan":
        return Plan(self.values + other.values, self.remarks + other.remarks)


def plan(device: VideoDevice, settings: CameraSettings) -> Plan:
    """What the settings set on this device. What the device lacks is a remark and no error: a door
    goes on with another camera than it was set up for."""
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
