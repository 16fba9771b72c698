"""An RTSP camera that fails as real ones do: late, killed, frozen, back with another size."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from ostiary.camera.frame import CameraStatus
from ostiary.camera.reader import CameraReader
from testing.cameras import ages, is_fresh, is_ok, reader, until, watch
from testing.ports import free_port
from testing.rtsp import RtspServer
from testing.waiting import PATIENCE_S


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def camera(port: int) -> Iterator[CameraReader]:
    with reader(f"rtsp://127.0.0.1:{port}/door", stall_after_s=1.5) as reading:
        yield reading


def test_a_frame_is_new_when_handed_over(port: int, camera: CameraReader) -> None:
    with RtspServer(port, fps=15):
        until(lambda: is_ok(camera))
        until(lambda: is_fresh(camera, 30, at_most_s=0.2))
        until(lambda: camera.state.fps == pytest.approx(15, abs=3))
        state = camera.state
    assert (state.width, state.height) == (640, 480)


def test_the_pictures_of_the_probing_are_never_handed_over(port: int) -> None:
    with RtspServer(port) as server:

        def are_new_from_the_first() -> bool:
            with reader(server.url) as camera:
                return is_fresh(camera, 10)

        for _ in range(3):
            until(are_new_from_the_first)


def test_a_server_started_late_is_found(port: int, camera: CameraReader) -> None:
    until(lambda: camera.state.status is CameraStatus.ABSENT)
    with RtspServer(port):
        until(lambda: is_ok(camera))
        until(lambda: is_fresh(camera, 5))


def test_a_killed_server_is_noticed_and_found_again(port: int, camera: CameraReader) -> None:
    with RtspServer(port):
        until(lambda: is_ok(camera))
        ages(camera, 5)
    until(lambda: camera.state.status is CameraStatus.RECONNECTING)
    time.sleep(1)
    assert camera.newest(0, 1.0) is None
    with RtspServer(port):
        until(lambda: is_ok(camera))
        until(lambda: is_fresh(camera, 5))
        assert camera.state.reconnects >= 1  # a slow machine may stall it once more


def test_a_frozen_server_is_stalled_and_back_with_new_pictures_only(
    port: int, camera: CameraReader
) -> None:
    with RtspServer(port) as server:
        until(lambda: is_ok(camera))
        ages(camera, 5)
        server.freeze()
        until(lambda: camera.state.status is CameraStatus.STALLED)
        assert camera.newest(0, 0.2) is None
        time.sleep(4)
        assert not is_ok(camera)
        assert camera.newest(0, 0.2) is None
        server.thaw()
        until(lambda: is_ok(camera))
        until(lambda: is_fresh(camera, 10))


def test_a_hang_too_short_for_a_stall_brings_no_old_pictures(
    port: int, camera: CameraReader
) -> None:
    with RtspServer(port) as server:
        until(lambda: is_ok(camera))
        ages(camera, 15)

        def are_new_after_a_hang() -> bool:
            server.freeze()
            time.sleep(1)
            number = frame.number if (frame := camera.newest()) else 0
            server.thaw()
            return max(ages(camera, 15, after=number)) <= 0.35

        until(are_new_after_a_hang)


def test_a_held_picture_is_frozen_though_the_stream_goes_on(
    port: int, camera: CameraReader
) -> None:
    with RtspServer(port) as server:
        until(lambda: is_ok(camera))
        ages(camera, 5)
        server.hold_picture()
        until(lambda: camera.state.view == "frozen")
        assert camera.state.status is CameraStatus.STALLED
        assert camera.newest(0, 0.3) is None
        server.hold_picture()
        until(lambda: is_ok(camera))
        until(lambda: is_fresh(camera, 5))


def test_a_server_restarted_with_another_size_is_followed(port: int, camera: CameraReader) -> None:
    with RtspServer(port, width=640, height=480):
        until(lambda: is_ok(camera))
        assert camera.state.width == 640
    with RtspServer(port, width=1280, height=720):
        until(lambda: camera.state.width == 1280)
        frame = camera.newest(0, PATIENCE_S)
        assert frame is not None
        assert frame.image.shape == (720, 1280, 3)
        until(lambda: is_ok(camera))


def test_real_portraits_arrive_as_they_were_sent(
    port: int, camera: CameraReader, portraits: Path, tmp_path: Path
) -> None:
    portrait = cv2.imread(str(portraits / "obama.jpg"))
    assert portrait is not None
    portrait = cv2.resize(portrait, (640, 480))
    for number in range(30):  # a living sensor's noise
        noise = np.random.default_rng(number).integers(0, 6, portrait.shape, np.uint8)
        cv2.imwrite(str(tmp_path / f"{number:05d}.jpg"), cv2.add(portrait, noise))
    with RtspServer(port, frames=tmp_path):
        frame = camera.newest(0, PATIENCE_S)
        assert frame is not None
        assert cv2.PSNR(frame.image, portrait.astype(np.uint8)) > 25
        until(lambda: len(watch(camera, 3)) > 1 and is_ok(camera))


def test_a_login_works_and_a_wrong_one_is_explained(port: int) -> None:
    with RtspServer(port, login="door:s3cret"):
        with reader(f"rtsp://door:s3cret@127.0.0.1:{port}/door") as camera:
            assert camera.newest(0, PATIENCE_S) is not None
        with reader(f"rtsp://door:wrong-s3cret@127.0.0.1:{port}/door") as camera:
            until(lambda: camera.state.status is CameraStatus.ABSENT)
            assert "user and password" in (camera.state.detail or "")
            assert "s3cret" not in repr(camera.state)


@pytest.mark.parametrize(
    "source",
    [
        "rtsp://door:s3cret@127.0.0.1:{port}/door",
        "rtsp://127.0.0.1:{port}/user=door&password=s3cret&channel=1",
        "http://127.0.0.1:{port}/video?user=door&pwd=s3cret",
    ],
)
def test_nothing_is_written_of_a_failing_camera_but_one_line_without_its_password(
    port: int, source: str
) -> None:
    program = f"""
import time
from ostiary.camera.reader import CameraReader
from ostiary.settings import CameraSettings
with CameraReader(CameraSettings(source="{source.format(port=port)}")) as camera:
    while camera.state.detail is None:
        time.sleep(0.1)
    time.sleep(2)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    written = done.stdout + done.stderr
    assert "camera_lost" in written
    assert "s3cret" not in written
    assert len(written.splitlines()) == 1


def test_stop_does_not_wait_for_a_server_that_is_frozen(port: int) -> None:
    with RtspServer(port) as server:

        def stops_at_once() -> bool:
            server.thaw()
            camera = reader(server.url).start()
            ages(camera, 5)
            server.freeze()
            time.sleep(0.5)
            began = time.monotonic()
            camera.stop()
            took = time.monotonic() - began
            assert camera.newest(0, 1) is None
            return took < 1.0

        until(stops_at_once)
