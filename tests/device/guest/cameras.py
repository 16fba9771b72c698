"""Run inside the machine: what our capture makes of the kernel's cameras. Prints one JSON object,
by scenario; one that failed has its error instead.

/dev/video0 and /dev/video4 are vivid's two cameras, /dev/video10 is v4l2loopback's.
"""

import contextlib
import json
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

from ostiary.camera.reader import CameraReader
from ostiary.camera.v4l2.device import VideoDevice, device_paths, lasting_name
from ostiary.camera.v4l2.source import DeviceSource, chosen_mode
from ostiary.errors import CameraUnavailable
from ostiary.settings import CameraSettings

VIVID, OTHER, LOOPBACK = "/dev/video0", "/dev/video4", "/dev/video10"
BY_ID = Path("/dev/v4l/by-id/usb-Test_Camera-video-index0")
SMALL = {"width": 320, "height": 180, "fps": 10}
PATIENCE_S = 120.0
"""What has not happened after so long, in however slow a machine, is not going to happen."""


def settings(source: str = VIVID, **more: Any) -> CameraSettings:
    return CameraSettings.model_validate({"source": source, **SMALL, **more})


def vivid(control: str, value: int = 1, device: str = VIVID) -> None:
    subprocess.run(["v4l2-ctl", "-d", device, "-c", f"{control}={value}"], check=True)


def plug(*options: str) -> None:
    subprocess.run(["modprobe", "vivid", "n_devs=2", *options], check=True)
    subprocess.run(["udevadm", "settle"], check=True)


def unplug() -> None:
    """As pulling the cable: the driver lets go of the device under whoever has it open. Then the
    module is taken out."""
    Path("/sys/bus/platform/drivers/vivid/unbind").write_text("vivid.0")
    until(
        lambda: subprocess.run(["modprobe", "-r", "vivid"], capture_output=True).returncode == 0,
    )


def until(holds: Callable[[], bool], within_s: float = PATIENCE_S) -> float:
    began = time.monotonic()
    while not holds():
        assert time.monotonic() - began < within_s, f"not within {within_s} s"
        time.sleep(0.01)
    return time.monotonic() - began


@contextlib.contextmanager
def opened(**more: Any) -> Iterator[DeviceSource]:
    source = DeviceSource(settings(**more))
    try:
        yield source
    finally:
        source.close()


def sizes() -> Any:
    """What is given for what is wanted."""
    with VideoDevice.open(Path(VIVID)) as device:
        return {
            f"{width}x{height}@{fps}": (
                mode := chosen_mode(device, settings(width=width, height=height, fps=fps))
            ).rate_for(fps)
            and [mode.width, mode.height, mode.rate_for(fps)]
            for width, height, fps in [(640, 480, 15), (650, 500, 11), (7680, 4320, 1), (64, 64, 9)]
        }


def picture() -> Any:
    with opened(width=640, height=360) as source:
        taken = source.read()
        assert taken is not None
        return [*taken.image.shape, str(taken.image.dtype), float(taken.image.std())]


def not_offered() -> Any:
    try:
        DeviceSource(settings(pixel_format="mjpeg"))
    except CameraUnavailable as error:
        return error.message
    return None


def no_camera() -> Any:
    """What is said of a device that gives no pictures, and of one that is not there."""
    messages = []
    for path in ("/dev/video1", "/dev/video99"):
        try:
            DeviceSource(settings(path))
        except CameraUnavailable as error:
            messages.append(error.message)
    return messages


def in_use() -> Any:
    with opened():
        try:
            DeviceSource(settings())
        except CameraUnavailable as error:
            return error.message
    return None


def time_to_frame() -> Any:
    """Milliseconds from the driver's stamp to the decoded picture (vivid stamps the future: its
    stamp is that of the picture's end; so it is asked for the picture's start)."""
    vivid("timestamp_source", 1)
    ages = []
    with opened(width=640, height=480) as source:
        for _ in range(30):
            taken = source.read()
            assert taken is not None
            ages.append((time.monotonic() - taken.captured_at) * 1000)
    return {"median_ms": round(median(ages), 1), "most_ms": round(max(ages), 1)}


def broken_pictures() -> Any:
    """One that the driver calls broken is left out; the next comes."""
    with opened() as source:
        source.read()
        vivid("inject_v4l2_buf_flag_error")
        return source.read() is not None


def hangs() -> Any:
    """A camera that gives no picture any more is told, and is back when it gives some."""
    with CameraReader(settings(stall_after_s=1.5)) as reader:
        first = reader.newest(0, PATIENCE_S)
        assert first is not None
        vivid("percentage_of_dropped_buffers", 100)
        try:
            noticed = until(lambda: reader.state.status != "ok")
            until(lambda: reader.state.reconnects > 0)
            detail = reader.state.detail
        finally:
            vivid("percentage_of_dropped_buffers", 0)
        back = until(lambda: reader.state.status == "ok")
        return {"noticed_s": noticed, "detail": detail, "back_s": back}


def unplugged() -> Any:
    """The module is taken out and put in again under a reader that goes on."""
    with CameraReader(settings()) as reader:
        assert reader.newest(0, PATIENCE_S) is not None
        unplug()
        until(lambda: reader.state.status != "ok")
        gone = reader.state.detail
        plug()
        back = until(lambda: reader.state.status == "ok")
        return {"gone": gone, "back_s": back, "reconnects": reader.state.reconnects}


def by_id() -> Any:
    """The lasting name leads to the camera in whatever socket it is put in again."""
    BY_ID.parent.mkdir(parents=True, exist_ok=True)
    BY_ID.symlink_to("../../video0")
    try:
        name = str(lasting_name(Path(VIVID)))
        with CameraReader(settings(str(BY_ID))) as reader:
            assert reader.newest(0, PATIENCE_S) is not None
            BY_ID.unlink()
            vivid("percentage_of_dropped_buffers", 100)
            until(lambda: reader.state.reconnects > 0)
            BY_ID.symlink_to("../../video4")
            until(lambda: reader.state.status == "ok")
            return name
    finally:
        vivid("percentage_of_dropped_buffers", 0)
        BY_ID.unlink(missing_ok=True)


def two() -> Any:
    with (
        CameraReader(settings(name="in")) as inner,
        CameraReader(settings(OTHER, name="out")) as outer,
    ):
        seen = [camera.newest(0, PATIENCE_S) for camera in (inner, outer)]
        unaffected = [frame.camera for frame in seen if frame]
        vivid("percentage_of_dropped_buffers", 100)
        try:
            until(lambda: inner.state.status != "ok")
            last = outer.newest(0)
            assert last is not None
            later = outer.newest(last.number, PATIENCE_S)
        finally:
            vivid("percentage_of_dropped_buffers", 0)
        return {"cameras": unaffected, "the_other_goes_on": later is not None}


def controls() -> Any:
    """Set on v4l2loopback, which was given the controls of a USB camera; read by v4l2-ctl."""
    loopback = settings(LOOPBACK, width=640, height=480)
    seen: dict[str, Any] = {}
    wanted: dict[str, dict[str, Any]] = {
        "50 Hz, 10 ms": {"power_line_hz": 50, "exposure_ms": 10},
        "60 Hz, too long": {"power_line_hz": 60, "exposure_ms": 900},
        "automatic": {"exposure_ms": "auto", "power_line_hz": 0},
    }
    for name, more in wanted.items():
        source = DeviceSource(loopback.model_copy(update=more))
        names = "power_line_frequency,auto_exposure,exposure_time_absolute"
        said = subprocess.run(
            ["v4l2-ctl", "-d", LOOPBACK, "-C", names], check=True, capture_output=True, text=True
        )
        seen[name] = [line.split(": ")[1].split()[0] for line in said.stdout.splitlines()]
        seen[f"{name}: remarks"] = list(source.remarks)
        source.close()
    with opened(power_line_hz=50, exposure_ms=10) as source:
        seen["vivid, which has none: remarks"] = list(source.remarks)
    return seen


def jpeg() -> Any:
    """Motion JPEG as a USB camera sends it, from v4l2loopback."""
    ages = []
    source = DeviceSource(settings(LOOPBACK, width=640, height=480, pixel_format="mjpeg"))
    try:
        for _ in range(20):
            taken = source.read()
            assert taken is not None
            ages.append((time.monotonic() - taken.captured_at) * 1000)
            shape = taken.image.shape
        return {"shape": list(shape), "median_ms": round(median(ages), 1)}
    finally:
        source.close()


SCENARIOS = (
    *(sizes, picture, not_offered, no_camera, in_use, time_to_frame, broken_pictures, hangs),
    *(two, by_id, controls, jpeg, unplugged),
)


def main() -> None:
    plug()
    found: dict[str, Any] = {"devices": [str(path) for path in device_paths()]}
    for scenario in SCENARIOS:
        began = time.monotonic()
        try:
            result = scenario()
        except Exception as error:  # noqa: BLE001  # told, not lost: the others are run, too
            result = {"error": f"{error!r} {traceback.format_exc()[-1500:]}"}
        found[scenario.__name__] = result
        found[f"{scenario.__name__} took"] = round(time.monotonic() - began, 1)
    left = [thread.name for thread in threading.enumerate() if thread.name.startswith("camera-")]
    found["threads left"] = left
    sys.stdout.write(f"JSON {json.dumps(found)}\n")


main()
