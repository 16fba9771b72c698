"""The demo's camera is a camera: the daemon's own reader reads it."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from demo.room import HEIGHT, WIDTH, empty, with_sensor_noise
from demo.scenes import Scene
from demo.stream import Camera, to_and_fro, write_clip
from ostiary.camera.frame import Frame
from ostiary.camera.reader import CameraReader
from ostiary.settings import CameraSettings
from ostiary.vision.arrays import BGRImage
from testing.waiting import wait_until


def scene(picture: BGRImage, count: int = 5) -> Scene:
    frames = (with_sensor_noise(picture, number) for number in range(count))
    return Scene("test", "A test", tuple(cv2.imencode(".jpg", f)[1].tobytes() for f in frames))


@pytest.fixture(scope="module")
def room() -> Scene:
    return scene(empty())


@pytest.fixture(scope="module")
def dark() -> Scene:
    return scene(np.full((HEIGHT, WIDTH, 3), 60, dtype=np.uint8))


def next_frame(reader: CameraReader, after: int) -> Frame:
    frame = reader.newest(after=after, timeout=60)
    assert frame is not None
    return frame


def test_the_daemons_reader_reads_the_stream(room: Scene) -> None:
    with Camera(room) as camera, CameraReader(CameraSettings(source=camera.url)) as reader:
        frame = next_frame(reader, after=0)
        assert frame.image.shape == (HEIGHT, WIDTH, 3)
        assert abs(frame.image.mean() - empty().mean()) < 2


def test_another_scene_is_seen_at_once(room: Scene, dark: Scene) -> None:
    with Camera(room) as camera, CameraReader(CameraSettings(source=camera.url)) as reader:
        seen = next_frame(reader, after=0).number
        camera.show(dark)
        assert camera.frame() in dark.frames

        def is_dark() -> bool:  # once what was under way to the reader has been read
            nonlocal seen
            frame = next_frame(reader, after=seen)
            seen = frame.number
            return bool(frame.image.mean() < 70)

        wait_until(is_dark, "the second scene")


def test_a_scene_lasts_as_long_as_it_is_wanted(room: Scene) -> None:
    with Camera(room) as camera, CameraReader(CameraSettings(source=camera.url)) as reader:
        seen = 0
        for _ in range(3 * len(room.frames)):
            frame = next_frame(reader, after=seen)
            assert frame.number > seen
            seen = frame.number


def test_two_viewers_see_the_same_camera(room: Scene) -> None:
    with Camera(room) as camera:
        settings = CameraSettings(source=camera.url)
        with CameraReader(settings) as one, CameraReader(settings) as other:
            assert next_frame(one, after=0).image.shape == next_frame(other, after=0).image.shape


def test_a_camera_switched_off_refuses_viewers(room: Scene) -> None:
    with Camera(room) as camera:
        url = camera.url
    capture = cv2.VideoCapture(url)
    assert not capture.isOpened()


def test_a_held_scene_goes_to_and_fro_and_never_repeats_a_frame() -> None:
    shown = [to_and_fro(number, 4) for number in range(10)]
    assert shown == [0, 1, 2, 3, 2, 1, 0, 1, 2, 3]
    assert [to_and_fro(number, 1) for number in range(3)] == [0, 0, 0]


def test_the_clip_holds_every_frame(tmp_path: Path, room: Scene, dark: Scene) -> None:
    clip = tmp_path / "deep" / "clip.avi"
    write_clip(clip, [room, dark])
    capture = cv2.VideoCapture(str(clip))
    frames = []
    while (read := capture.read())[0]:
        frames.append(read[1])
    assert len(frames) == len(room.frames) + len(dark.frames)
    assert frames[0].shape == (HEIGHT, WIDTH, 3)
    assert frames[0].mean() > 100 > frames[-1].mean()


def test_the_clip_is_a_camera_of_the_daemon(tmp_path: Path, room: Scene) -> None:
    clip = tmp_path / "clip.avi"
    write_clip(clip, [room])
    with CameraReader(CameraSettings(source=str(clip))) as reader:
        assert next_frame(reader, after=0).image.shape == (HEIGHT, WIDTH, 3)
