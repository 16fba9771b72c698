"""Cameras as a reader sees them: folders and clips of real portraits, and a real MJPEG server."""

import socket
import threading
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from ostiary.camera.frame import CameraStatus, Frame, ViewCondition, same_picture, turned
from ostiary.camera.reader import CameraReader
from ostiary.errors import CameraUnavailable
from testing.cameras import MjpegCamera, ages, is_fresh, reader, until, watch
from testing.ports import free_port
from testing.waiting import PATIENCE_S, wait_until

LOOPS = 4


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def folder(portraits: Path, tmp_path: Path) -> Path:
    """Obama, Obama again, Biden: three real portraits, 480×360."""
    for number, name in enumerate(("obama.jpg", "obama2.jpg", "biden.jpg")):
        image = cv2.imread(str(portraits / name))
        assert image is not None
        cv2.imwrite(str(tmp_path / f"{number}.png"), cv2.resize(image, (480, 360)))
    return tmp_path


@pytest.fixture
def clip(folder: Path, tmp_path: Path) -> Path:
    """The three as a video of 10 frames a second."""
    path = tmp_path / "clip.avi"
    video = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10.0, (480, 360))
    for image in sorted(folder.glob("*.png")):
        loaded = cv2.imread(str(image))
        assert loaded is not None
        video.write(loaded)
    video.release()
    return path


# --- folders and files ------------------------------------------------------------------------


def shown(source: Path, **settings: object) -> list[Frame]:
    """Every frame of a source of three that ends, seen by somebody who missed none."""

    def seen() -> list[Frame]:
        with reader(source, **settings) as camera:
            frames = watch(camera, 0.6)
            until(lambda: camera.state.status is CameraStatus.ENDED)
        gaps = np.diff([frame.captured_at for frame in frames])
        return frames if len(gaps) == 2 and np.all(gaps > 0.05) else []

    return wait_until(seen, "a showing in its own time of which no frame is missed")


def test_a_folder_is_shown_in_order_at_its_rate_and_ends(folder: Path) -> None:
    frames = shown(folder, fps=10)
    assert [frame.number for frame in frames] == [1, 2, 3]
    for frame, path in zip(frames, sorted(folder.glob("*.png")), strict=True):
        expected = cv2.imread(str(path))
        assert expected is not None
        assert same_picture(frame.image, expected.astype(np.uint8))


def test_the_last_image_can_still_be_had_after_the_end_but_only_once(folder: Path) -> None:
    with reader(folder, fps=100) as camera:
        until(lambda: camera.state.status is CameraStatus.ENDED)
        last = camera.newest()
        assert last is not None
        assert last.number == 3
        assert camera.newest(last.number, 0.1) is None


def test_a_looped_folder_goes_on_and_its_numbers_never_repeat(folder: Path) -> None:
    with reader(folder, fps=50, loop=True) as camera:
        numbers = [0]
        while numbers[-1] <= 3 * LOOPS:
            frame = camera.newest(numbers[-1], PATIENCE_S)
            assert frame is not None
            numbers.append(frame.number)
        assert camera.state.status is CameraStatus.OK
    assert numbers == sorted(set(numbers))
    assert numbers[-1] > 10


def test_a_folder_of_one_image_is_a_picture_again_and_again(folder: Path) -> None:
    for path in sorted(folder.glob("*.png"))[1:]:
        path.unlink()
    with reader(folder, fps=50, loop=True) as camera:
        until(lambda: (frame := camera.newest()) is not None and frame.number > 5)
        assert camera.state.status is CameraStatus.OK


@pytest.mark.parametrize(("degrees", "shape"), [(90, (480, 360)), (180, (360, 480))])
def test_a_turned_camera_gives_upright_pictures(
    folder: Path, degrees: int, shape: tuple[int, int]
) -> None:
    with reader(folder, fps=50, rotate=degrees) as camera:
        until(lambda: camera.state.status is CameraStatus.ENDED)
        frame = camera.newest()
    assert frame is not None
    assert frame.image.shape[:2] == shape
    sent = cv2.imread(str(folder / "2.png"))
    assert sent is not None
    assert same_picture(frame.image, turned(sent.astype(np.uint8), degrees))


def test_a_file_among_the_images_that_is_none_is_passed_over(folder: Path) -> None:
    (folder / "00.jpg").write_bytes(b"not an image")
    (folder / "notes.txt").write_text("a note")
    with reader(folder, fps=50) as camera:
        until(lambda: camera.state.status is CameraStatus.ENDED)
        frame = camera.newest()
        assert frame is not None
        assert frame.number == 3


def test_a_clip_is_shown_in_its_own_time_and_ends(clip: Path) -> None:
    frames = shown(clip, fps=100)
    assert frames[0].image.shape == (360, 480, 3)


def test_a_looped_clip_goes_on(clip: Path) -> None:
    with reader(clip, loop=True) as camera:
        until(lambda: (frame := camera.newest()) is not None and frame.number > 3 * LOOPS)
        assert camera.state.status is CameraStatus.OK


def test_only_the_newest_picture_is_kept(folder: Path) -> None:
    with reader(folder, fps=50, loop=True) as camera:
        assert camera.newest(0, PATIENCE_S) is not None
        time.sleep(0.5)

        def is_new() -> bool:
            late = camera.newest()
            return late is not None and time.monotonic() - late.captured_at < 0.1

        until(is_new)


def test_what_cannot_be_shown_is_refused_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(CameraUnavailable, match="no image in it"):
        reader(tmp_path).start()
    with pytest.raises(CameraUnavailable, match="no such file"):
        reader(tmp_path / "missing.mp4")


# --- HTTP MJPEG -------------------------------------------------------------------------------


@pytest.mark.parametrize("say_length", [True, False])
def test_an_mjpeg_frame_is_new_when_handed_over(say_length: bool) -> None:
    with MjpegCamera(say_length=say_length) as served, reader(served.url) as camera:
        until(lambda: is_fresh(camera, 15, at_most_s=0.2))
        until(lambda: camera.state.fps == pytest.approx(15, abs=3))
        state = camera.state
    assert state.status is CameraStatus.OK
    assert (state.width, state.height) == (640, 480)


def test_the_first_mjpeg_picture_is_handed_over() -> None:
    with MjpegCamera() as served, reader(served.url) as camera:
        assert camera.newest(0, PATIENCE_S) is not None


def test_a_slow_consumer_gets_new_pictures_and_no_queue() -> None:
    with MjpegCamera(fps=30) as served, reader(served.url) as camera:

        def are_new() -> bool:
            seen = []
            for _ in range(6):
                time.sleep(0.4)
                seen += ages(camera, 1)
            return max(seen) <= 0.2

        until(are_new)


def test_a_camera_that_falls_silent_is_stalled_and_hands_over_nothing() -> None:
    with MjpegCamera() as served, reader(served.url, stall_after_s=1) as camera:
        ages(camera, 5)
        last = camera.newest(0, PATIENCE_S)
        served.silent.set()
        until(lambda: camera.state.status is CameraStatus.STALLED)
        assert last is not None
        assert camera.newest(0, 0.2) is None
        served.silent.clear()
        until(lambda: camera.state.status is CameraStatus.OK)
        until(lambda: is_fresh(camera, 5))


def test_the_same_picture_again_and_again_is_frozen_and_none_of_them_is_new() -> None:
    with MjpegCamera() as served, reader(served.url, stall_after_s=1) as camera:
        ages(camera, 5)
        served.held.set()
        time.sleep(0.2)

        def hands_over_nothing_new() -> bool:
            newest = camera.newest()
            return newest is None or camera.newest(newest.number, 0.5) is None

        until(hands_over_nothing_new)
        until(lambda: camera.state.status is CameraStatus.STALLED)
        assert camera.state.view == "frozen"
        assert camera.newest(0, 0.2) is None
        served.held.clear()
        until(lambda: camera.state.status is CameraStatus.OK)
        assert camera.state.view == "clear"


def test_a_covered_and_an_overexposed_camera_are_reported_as_such(portraits: Path) -> None:
    portrait = cv2.imread(str(portraits / "obama.jpg"))
    assert portrait is not None
    with MjpegCamera() as served:
        served.painted = portrait.astype(np.uint8)
        with reader(served.url) as camera:
            until(lambda: camera.state.status is CameraStatus.OK)
            until(lambda: camera.state.view is ViewCondition.CLEAR)
            for painted, view in (
                (np.full_like(served.painted, 9), ViewCondition.COVERED),
                (np.full_like(served.painted, 250), ViewCondition.OVEREXPOSED),
            ):
                served.painted = painted
                until(lambda: camera.state.view is view)  # noqa: B023 - used at once
                frame = camera.newest(0, PATIENCE_S)
                assert frame is not None
                assert frame.view is view
                assert camera.state.status is CameraStatus.OK
            served.painted = portrait.astype(np.uint8)
            until(lambda: camera.state.view is ViewCondition.CLEAR)


def test_a_camera_started_late_is_absent_and_then_found(port: int) -> None:
    with reader(f"http://127.0.0.1:{port}/video") as camera:
        until(lambda: camera.state.status is CameraStatus.ABSENT)
        assert "Check that the camera is on" in (camera.state.detail or "")
        time.sleep(2)
        with MjpegCamera(port):
            until(lambda: camera.state.status is CameraStatus.OK)
            assert camera.state.detail is None


def test_a_camera_that_comes_back_with_another_size_goes_on(port: int) -> None:
    with reader(f"http://127.0.0.1:{port}/video") as camera:
        with MjpegCamera(port):
            assert ages(camera, 5)
        until(lambda: camera.state.status is CameraStatus.RECONNECTING)
        assert watch(camera, 0.5)[1:] == []
        with MjpegCamera(port, width=800, height=600):
            until(lambda: camera.state.status is CameraStatus.OK)
            frame = camera.newest(0, PATIENCE_S)
            assert frame is not None
            assert frame.image.shape == (600, 800, 3)
            assert (camera.state.width, camera.state.height) == (800, 600)
            assert camera.state.reconnects >= 1


def test_a_size_that_changes_within_the_stream_is_survived() -> None:
    with MjpegCamera() as served, reader(served.url) as camera:
        ages(camera, 3)
        served.size = (800, 600)
        until(lambda: camera.state.width == 800)
        assert camera.state.reconnects == 0


def test_login_to_a_camera_works_and_no_secret_is_told(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with MjpegCamera(login="door:s3c/ret") as served:
        right = served.url.replace("://", "://door:s3c%2Fret@")
        wrong = served.url.replace("://", "://door:not-s3cret@")
        with reader(right) as camera:
            assert camera.newest(0, PATIENCE_S) is not None
            told = repr(camera.state)
        with reader(wrong) as camera:
            until(lambda: camera.state.status is CameraStatus.ABSENT)
            told += repr(camera.state)
    assert "user and password" in told
    written = capsys.readouterr()
    for secret in ("s3c/ret", "s3c%2Fret", "not-s3cret"):
        assert secret not in told + written.out + written.err


def test_an_address_that_is_no_mjpeg_stream_says_what_it_is() -> None:
    with MjpegCamera() as served, reader(served.url + ".html") as camera:
        until(lambda: camera.state.detail is not None)
        assert "text/html, not a multipart/x-mixed-replace" in (camera.state.detail or "")


@pytest.mark.parametrize("scheme", ["http", "rtsp"])
def test_stop_does_not_wait_for_an_opening_that_hangs(scheme: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as never_answers:
        address = f"{scheme}://127.0.0.1:{never_answers.getsockname()[1]}/x"

        def stops_at_once() -> bool:
            camera = reader(address).start()
            time.sleep(0.3)
            took = stopping_took(camera)
            assert camera.newest(0, 5) is None
            return took < 1.0

        until(stops_at_once)


def test_stop_does_not_wait_for_a_read_that_hangs() -> None:
    with MjpegCamera() as served:

        def stops_at_once() -> bool:
            served.silent.clear()
            camera = reader(served.url, stall_after_s=3).start()
            ages(camera, 3)
            served.silent.set()
            time.sleep(0.3)
            return stopping_took(camera) < 1.0

        until(stops_at_once)


def test_readers_leave_neither_threads_nor_connections_behind() -> None:
    with MjpegCamera() as served:
        for _ in range(5):
            with reader(served.url) as camera:
                assert camera.newest(0, PATIENCE_S) is not None
        until(
            lambda: not [each for each in threading.enumerate() if each.name.startswith("camera-")]
        )


def stopping_took(camera: CameraReader) -> float:
    began = time.monotonic()
    camera.stop()
    return time.monotonic() - began
