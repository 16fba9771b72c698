"""What a `source` setting means, and what of it may be shown."""

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ostiary.camera.address import SourceKind, is_open_on_the_way, kind_of, redact
from ostiary.camera.reader import open_source
from ostiary.errors import CameraUnavailable
from ostiary.settings import CameraSettings


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
        ("http://cam?token=s3cret", "http://cam?…"),
        ("/srv/clips/what?.mp4", "/srv/clips/what?.mp4"),
        ("/dev/v4l/by-id/usb-046d_HD_Pro_Webcam-video-index0",) * 2,
        ("clips/door.mp4", "clips/door.mp4"),
        ("rtsp://10.0.0.7:554/h264Preview_01_main", "rtsp://10.0.0.7:554/h264Preview_01_main"),
        ("http://[fe80::1]:80/axis-cgi/mjpg/video.cgi",) * 2,
        ("https://cam.lan/ISAPI/Streaming/channels/101/httpPreview",) * 2,
        # A password that was not percent-encoded.
        ("rtsp://admin:s3cret/123@10.0.0.7/ch1", "rtsp://…@10.0.0.7/ch1"),
        ("rtsp://admin:a/s3cret@b/s3cret@10.0.0.7/ch1", "rtsp://…@10.0.0.7/ch1"),
        ("rtsp://admin:s3cret?1@10.0.0.7/ch1", "rtsp://…"),
        ("rtsp://admin:s3cret#1@10.0.0.7/ch1", "rtsp://…"),
        ("rtsp://admin:s3cret", "rtsp://…"),
        ("rtsp://admin:s3cret%40cam/ch1", "rtsp://…"),
        # A password in the path, as XMeye, Dahua, Foscam and others have it.
        ("rtsp://cam/user=admin&password=s3cret&channel=1&stream=0.sdp", "rtsp://cam/user=…"),
        ("rtsp://cam/user=admin_password=s3cret_channel=1", "rtsp://cam/user=…"),
        ("rtsp://cam/user%3Dadmin%26password%3Ds3cret", "rtsp://cam/user%3D…"),
        ("rtsp://cam/live/password/s3cret/1", "rtsp://cam/live/password/…"),
        ("rtsp://cam/admin:s3cret/1", "rtsp://cam/admin:…"),
        ("rtsp://cam/video;pwd=s3cret", "rtsp://cam/video;…"),
        ("http://cam/videostream.cgi?user=a&pwd=s3cret", "http://cam/videostream.cgi?…"),
        ("rtsps://cam:7441/AbCdEfGhs3cretKl?enableSrtp", "rtsps://cam:7441/…?…"),
        # Where an @ may be the password's.
        ("http://cam/video?user=a&password=x@s3cret", "http://…"),
        ("rtsp://b:x@cam/user=a&password=x@s3cret", "rtsp://…"),
        # No address at all.
        ("admin:s3cret@10.0.0.7/ch1", "…@10.0.0.7/ch1"),
        ("admin:s3cret@rtsp://10.0.0.7/ch1", "…@rtsp://10.0.0.7/ch1"),
        ("rtsp:/admin:s3cret@10.0.0.7/ch1", "…@10.0.0.7/ch1"),
        ("//admin:s3cret@10.0.0.7/ch1", "…@10.0.0.7/ch1"),
        ("10.0.0.7/user=admin&password=s3cret", "10.0.0.7/user=…"),
        ("ftp://admin:s3cret@cam", "ftp://…@cam"),
    ],
)
def test_neither_password_nor_query_is_shown(source: str, shown: str) -> None:
    assert redact(source) == shown
    assert source == shown or "s3cret" not in shown


secrets = st.text("s3cret/?#@:%&=+ÄÖ!$ ", min_size=6, max_size=24).map(lambda text: f"Q{text}Q")


@given(
    secrets,
    st.sampled_from(
        [
            "rtsp://admin:{}@10.0.0.7/ch1",
            "http://admin:{}@[::1]:80/ch1?x=1",
            "rtsp://cam/user=admin&password={}",
            "rtsp://cam/user=admin_password={}_channel=1",
            "http://cam/video?pwd={}&user=a",
            "http://cam/video?token={}",
            "admin:{}@cam",
        ]
    ),
)
def test_no_part_of_a_secret_is_ever_shown_whatever_is_in_it(secret: str, form: str) -> None:
    shown = redact(form.format(secret))
    assert "Q" not in shown
    assert "s3c" not in shown
    for source in (form.format(secret), form.format(secret).replace("://", ":/")):
        with contextlib.suppress(CameraUnavailable):
            kind_of(source)
            continue
        with pytest.raises(CameraUnavailable) as refused:
            kind_of(source)
        assert "Q" not in refused.value.message


@pytest.mark.parametrize(
    "source",
    [
        "rtsp://admin:Geheim/123@10.0.0.7/ch1",
        "rtsp://admin:12/34@10.0.0.7/ch1",
        "http://admin:Ge@heim/12@10.0.0.7/ch1",
        "rtsp://admin:12?34@10.0.0.7/ch1",
        "rtsp://admin:12#34@10.0.0.7/ch1",
    ],
)
def test_a_password_that_was_not_percent_encoded_is_refused_with_how_it_is_written(
    source: str,
) -> None:
    with pytest.raises(CameraUnavailable, match="percent-encode special characters: / as %2F"):
        kind_of(source)


def test_a_percent_encoded_password_and_one_in_the_query_are_taken() -> None:
    assert kind_of("rtsp://admin:Ge%2Fheim%40@10.0.0.7/ch1") is SourceKind.RTSP
    assert kind_of("http://10.0.0.7/video?user=a&password=b@c/d") is SourceKind.HTTP


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
        ("rtsps://camera.lan/1", True),
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


def test_rtsps_is_verified_by_the_certificates_that_are_named_only() -> None:
    assert not is_open_on_the_way("rtsps://camera.lan/1", Path("/etc/ostiary/camera.pem"))
    assert is_open_on_the_way("rtsp://camera.lan/1", Path("/etc/ostiary/camera.pem"))
