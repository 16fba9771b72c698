"""What a `source` setting means, and what of it may be shown."""

from pathlib import Path

import pytest

from ostiary.camera.address import SourceKind, is_open_on_the_way, kind_of, redact
from ostiary.camera.source import open_source
from ostiary.config import CameraSettings
from ostiary.errors import CameraUnavailable


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("0", SourceKind.V4L2),
        ("/dev/video2", SourceKind.V4L2),
        ("/dev/v4l/by-id/usb-046d_HD_Pro_Webcam-video-index0", SourceKind.V4L2),
        ("rtsp://10.0.0.7/stream1", SourceKind.RTSP),
        ("RTSP://camera.lan:8554/a", SourceKind.RTSP),
        ("http://127.0.0.1:8000/video.mjpg", SourceKind.HTTP),
        ("https://camera.lan/video", SourceKind.HTTP),
    ],
)
def test_a_source_is_known_by_its_form(source: str, kind: SourceKind) -> None:
    assert kind_of(source) is kind
    assert kind.live


def test_a_file_and_a_folder_are_told_apart_and_are_not_live(tmp_path: Path) -> None:
    clip = tmp_path / "clip.mp4"
    clip.touch()
    assert kind_of(str(clip)) is SourceKind.FILE
    assert kind_of(str(tmp_path)) is SourceKind.FOLDER
    assert not SourceKind.FILE.live
    assert not SourceKind.FOLDER.live


@pytest.mark.parametrize(
    ("source", "advice"),
    [
        ("ftp://camera/stream", "not supported"),
        ("rtsp://", "whole address"),
        ("rtsp://user:s3cret@host:port/", "whole address"),
        ("no/such/folder", "no such file or folder"),
        ("", "no such file or folder"),
    ],
)
def test_a_source_that_can_never_be_a_camera_is_refused_with_advice(
    source: str, advice: str
) -> None:
    with pytest.raises(CameraUnavailable, match=advice) as refused:
        kind_of(source)
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("rtsp://admin:s3cret@10.0.0.7:554/ch1", "rtsp://…@10.0.0.7:554/ch1"),
        ("rtsp://admin:p@ss@10.0.0.7/ch1", "rtsp://…@10.0.0.7/ch1"),
        ("http://cam/video?user=a&token=s3cret", "http://cam/video?…"),
        ("http://cam/video", "http://cam/video"),
        ("/srv/clips/what?.mp4", "/srv/clips/what?.mp4"),
    ],
)
def test_neither_password_nor_query_is_shown(source: str, shown: str) -> None:
    assert redact(source) == shown


@pytest.mark.parametrize(
    ("source", "advice"),
    [("97", "no such device"), ("/dev/video97", "no such device"), ("/dev/null", "not a camera")],
)
def test_a_device_that_is_no_camera_is_refused_with_advice(source: str, advice: str) -> None:
    with pytest.raises(CameraUnavailable, match=advice):
        open_source(CameraSettings(source=source))


def test_an_empty_folder_and_a_file_that_is_no_video_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CameraUnavailable, match="no image in it"):
        open_source(CameraSettings(source=str(tmp_path)))
    text = tmp_path / "clip.mp4"
    text.write_text("this is not a video")
    with pytest.raises(CameraUnavailable, match="not a video"):
        open_source(CameraSettings(source=str(text)))


@pytest.mark.parametrize(
    ("source", "is_open"),
    [
        ("http://10.0.0.5/video", True),
        ("rtsp://anna:secret@camera.lan/1", True),
        ("https://camera.lan/video", False),
        ("http://127.0.0.1:8080/", False),
        ("rtsp://localhost/1", False),
        ("0", False),
    ],
)
def test_a_network_camera_that_others_could_stand_in_for_is_known(
    source: str, is_open: bool
) -> None:
    assert is_open_on_the_way(source) is is_open
