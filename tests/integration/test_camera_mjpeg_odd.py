"""Motion JPEG as real cameras send it, and as browsers read it; their logins and certificates."""

import time
from pathlib import Path

import pytest

from ostiary.camera.mjpeg import open_stream
from ostiary.errors import CameraUnavailable
from ostiary.settings import CameraSettings
from testing.cameras import is_undisturbed, reader, until
from testing.certificates import Authority, self_signed
from testing.odd_mjpeg import OddCamera, Oddity
from testing.rtsp import shown_at
from testing.waiting import PATIENCE_S

ODDITIES = {
    "as the standard has it": Oddity(),
    "no boundary parameter": Oddity(content_type="multipart/x-mixed-replace"),
    "an empty boundary parameter": Oddity(content_type="multipart/x-mixed-replace; boundary="),
    "spaces about the boundary": Oddity(content_type="multipart/x-mixed-replace; boundary = frame"),
    "a quoted boundary with its dashes": Oddity(
        content_type='multipart/x-mixed-replace; boundary="--frame"'
    ),
    "an open quote": Oddity(content_type='multipart/x-mixed-replace; boundary="frame'),
    "another boundary in the body": Oddity(boundary=b"--myboundary"),
    "a boundary without dashes": Oddity(boundary=b"frame"),
    "another subtype": Oddity(content_type="multipart/mixed; boundary=frame"),
    "no content type": Oddity(content_type=None),
    "a content type of video": Oddity(content_type="video/x-motion-jpeg"),
    "no content type of the parts": Oddity(part_headers=()),
    "LF only": Oddity(newline=b"\n", before_boundary=b"\n"),
    "LF only and no length": Oddity(newline=b"\n", before_boundary=b"\n", length_off=None),
    "CR only": Oddity(newline=b"\r", before_boundary=b"\r"),
    "nothing before the boundary": Oddity(before_boundary=b"", length_off=None),
    "no length": Oddity(length_off=None),
    "a length too large": Oddity(length_off=2),
    "a length far too large": Oddity(length_off=100_000),
    "a length too small": Oddity(length_off=-500),
    "chunks": Oddity(chunked=True),
    "chunks and no length": Oddity(chunked=True, length_off=None),
    "a boundary after each picture": Oddity(begins_with_boundary=False),
    "no end marker": Oddity(end_marker=False),
    "no end marker and no length": Oddity(end_marker=False, length_off=None),
    "no Huffman tables": Oddity(tables=False),
    "zeros after the picture": Oddity(padding=bytes(512)),
}


@pytest.mark.parametrize("oddity", ODDITIES.values(), ids=ODDITIES)
def test_what_a_browser_shows_the_door_sees(oddity: Oddity) -> None:
    with OddCamera(oddity) as served, reader(served.url, stall_after_s=30) as camera:
        number = 0
        for _ in range(5):
            frame = camera.newest(number, PATIENCE_S)
            assert frame is not None, camera.state
            assert frame.image.shape == (480, 640, 3)
            assert 0 <= time.monotonic() - shown_at(frame.image) < PATIENCE_S
            number = frame.number
        assert is_undisturbed(camera), camera.state


@pytest.mark.parametrize("keeps_end", [True, False], ids=["with end marker", "without"])
@pytest.mark.parametrize("cut_at", [0.002, 0.1, 0.5, 0.9])
@pytest.mark.parametrize("length_off", [0, None], ids=["length", "no length"])
def test_a_picture_that_is_cut_off_is_passed_over_and_the_connection_kept(
    keeps_end: bool, cut_at: float, length_off: int | None
) -> None:
    oddity = Oddity(cut_every=3, keeps_end=keeps_end, cut_at=cut_at, length_off=length_off)
    with OddCamera(oddity, fps=30) as served, reader(served.url, stall_after_s=30) as camera:
        number = 0
        for _ in range(12):
            frame = camera.newest(number, PATIENCE_S)
            assert frame is not None, camera.state
            assert (frame.image[-4:, -4:] != 128).any(), "a picture that is grey where it was cut"
            number = frame.number
        assert is_undisturbed(camera), camera.state


def test_a_camera_all_of_whose_pictures_are_cut_off_is_told() -> None:
    with OddCamera(Oddity(cut_every=1)) as served, reader(served.url, stall_after_s=1) as camera:
        until(lambda: "cut off" in (camera.state.detail or ""))


# --- logins -----------------------------------------------------------------------------------


def test_a_login_is_kept_over_a_redirect_on_the_same_host() -> None:
    with OddCamera(login="cam:p@ss", redirects={"/start": "/deep/stream"}) as served:
        source = f"http://cam:p%40ss@127.0.0.1:{served.port}/start"
        with reader(source) as camera:
            assert camera.newest(0, PATIENCE_S) is not None, camera.state


def test_a_login_never_goes_to_another_host() -> None:
    with OddCamera(login="cam:p@ss") as other:
        away = {"/start": f"http://localhost:{other.port}/video"}
        with OddCamera(login="cam:p@ss", redirects=away) as served:
            source = f"http://cam:p%40ss@127.0.0.1:{served.port}/start"
            with pytest.raises(CameraUnavailable, match="401"):
                open_stream(CameraSettings(source=source))
        assert other.seen
        assert {login for _path, login in other.seen} == {None}


# --- certificates -----------------------------------------------------------------------------


def test_a_self_signed_camera_is_refused_with_what_to_do_and_taken_once_it_is_known(
    tmp_path: Path,
) -> None:
    own, other = self_signed(tmp_path, "IPC-0815"), self_signed(tmp_path, "IPC-0816")
    with OddCamera(tls=own) as served:
        with pytest.raises(
            CameraUnavailable, match=r"self-signed.*name the file in cameras.tls_ca"
        ):
            open_stream(CameraSettings(source=served.url))
        with pytest.raises(CameraUnavailable, match="not trusted"):
            open_stream(CameraSettings(source=served.url, tls_ca=Path(other[0])))
        with reader(served.url, tls_ca=own[0]) as camera:
            assert camera.newest(0, PATIENCE_S) is not None, camera.state


def test_of_a_camera_that_an_authority_signed_the_name_is_asked(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    right = authority.issue("camera", host="127.0.0.1")
    wrong = authority.issue("camera", host="127.0.0.2")
    ca = authority.ca.certificate
    with OddCamera(tls=(str(right.certificate), str(right.key))) as served:
        open_stream(CameraSettings(source=served.url, tls_ca=ca)).close()
    with OddCamera(tls=(str(wrong.certificate), str(wrong.key))) as served:
        with pytest.raises(CameraUnavailable, match="for another name"):
            open_stream(CameraSettings(source=served.url, tls_ca=ca))
        open_stream(CameraSettings(source=served.url, tls_ca=wrong.certificate)).close()


def test_a_file_of_certificates_that_is_none_is_named(tmp_path: Path) -> None:
    with OddCamera(tls=self_signed(tmp_path, "IPC")) as served:
        for wrong in (tmp_path / "missing.pem", Path(__file__)):
            with pytest.raises(CameraUnavailable, match=r"cameras.tls_ca"):
                open_stream(CameraSettings(source=served.url, tls_ca=wrong))
