"""V4L2 by the kernel's own drivers: vivid (two cameras with errors on demand) and v4l2loopback."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.device.clips import jpegs
from tests.device.conftest import tell
from tests.device.door import Door
from tests.device.why_not import MARKS

pytestmark = MARKS


@pytest.fixture(scope="module")
def seen(door: Door, portraits: Path) -> dict[str, Any]:
    """What guest/cameras.py found."""
    door.stop()
    door.feed(jpegs(portraits))
    try:
        found: dict[str, Any] = door.run("cameras", timeout_s=900)
    finally:
        door.machine.run("systemctl stop feeder; modprobe -r vivid", check=False)
    tell(f"cameras: {json.dumps(found)}")
    return found


def of(seen: dict[str, Any], scenario: str) -> Any:
    result = seen[scenario]
    assert not (isinstance(result, dict) and "error" in result), result["error"]
    return result


def test_the_nearest_size_and_rate_that_the_device_offers_are_taken(seen: dict[str, Any]) -> None:
    given = of(seen, "sizes")
    assert given["640x480@15"] == [640, 480, 15.0]
    assert given["650x500@11"] == [640, 480, 12.5]
    assert given["7680x4320@1"][:2] == [3840, 2160]
    assert given["64x64@9"] == [320, 180, 10.0]


def test_a_picture_is_bgr_of_the_size_that_was_agreed(seen: dict[str, Any]) -> None:
    height, width, channels, dtype, deviation = of(seen, "picture")
    assert (height, width, channels, dtype) == (360, 640, 3, "uint8")
    assert deviation > 20


def test_a_format_that_is_not_offered_is_an_error_that_lists_those_that_are(
    seen: dict[str, Any],
) -> None:
    message = of(seen, "not_offered")
    assert "pixel_format = mjpeg" in message
    assert "YUYV" in message


def test_what_is_no_camera_and_what_is_not_there_is_said(seen: dict[str, Any]) -> None:
    not_pictures, absent = of(seen, "no_camera")
    assert "gives no pictures here" in not_pictures
    assert "no such device" in absent
    assert "/dev/video0" in absent


def test_a_camera_that_another_program_has_is_said(seen: dict[str, Any]) -> None:
    assert "another program" in of(seen, "in_use")


def test_the_drivers_time_stamp_becomes_the_frames(seen: dict[str, Any]) -> None:
    """In the clock of `time.monotonic`: another one's would be years away."""
    times = of(seen, "time_to_frame")
    assert 0 < times["median_ms"] < 60_000


def test_a_picture_that_the_driver_calls_broken_is_left_out(seen: dict[str, Any]) -> None:
    assert of(seen, "broken_pictures") is True


def test_a_camera_that_hangs_is_told_and_comes_back(seen: dict[str, Any]) -> None:
    hung = of(seen, "hangs")
    assert "no picture for 1.5 s" in hung["detail"]


def test_a_camera_that_is_unplugged_comes_back_when_it_is_plugged_in(seen: dict[str, Any]) -> None:
    gone = of(seen, "unplugged")
    assert gone["gone"]
    assert gone["reconnects"] >= 1


def test_the_lasting_name_follows_the_camera_to_another_number(seen: dict[str, Any]) -> None:
    assert of(seen, "by_id") == "/dev/v4l/by-id/usb-Test_Camera-video-index0"


def test_two_cameras_and_one_that_hangs_leaves_the_other_alone(seen: dict[str, Any]) -> None:
    both = of(seen, "two")
    assert both == {"cameras": ["in", "out"], "the_other_goes_on": True}


def test_exposure_and_power_line_frequency_are_set(seen: dict[str, Any]) -> None:
    set_to = of(seen, "controls")
    assert set_to["50 Hz, 10 ms"] == ["1", "1", "100"]
    assert set_to["50 Hz, 10 ms: remarks"] == []
    assert set_to["60 Hz, too long"] == ["2", "1", "2047"]
    assert "0.3 to 204.7 ms" in set_to["60 Hz, too long: remarks"][0]
    assert set_to["automatic"][:2] == ["0", "3"]
    assert len(set_to["vivid, which has none: remarks"]) == 2


def test_motion_jpeg_is_decoded(seen: dict[str, Any]) -> None:
    assert of(seen, "jpeg")["shape"] == [640, 480, 3]


def test_no_reader_is_left_behind(seen: dict[str, Any]) -> None:
    assert seen["threads left"] == []
