"""RTSP as real cameras send it: stamps of another rate, rare key frames, late answers."""

import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import pytest

from ostiary.camera.frame import CameraStatus
from ostiary.service.doctor.cameras import check_camera
from ostiary.service.doctor.check import Level
from ostiary.settings import CameraSettings
from testing.cameras import is_ok, is_undisturbed, reader, until
from testing.certificates import self_signed
from testing.odd_rtsp import OddRtsp, encoded
from testing.waiting import PATIENCE_S, wait_until


@pytest.fixture(scope="module")
def stream(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A key frame every 15 pictures."""
    return encoded(tmp_path_factory.mktemp("rtsp") / "often.264", gop=15)


@pytest.fixture(scope="module")
def rare(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A key frame every 120 pictures."""
    return encoded(tmp_path_factory.mktemp("rtsp") / "rare.264", gop=120)


@pytest.mark.parametrize(
    ("fps", "stamped"), [(21, 25), (15, 15.3), (25, 15), (10, 15), (12.5, 25), (30, 25), (5, 25)]
)
def test_a_camera_whose_stamps_do_not_fit_its_rate_is_kept_and_its_pictures_are_new(
    stream: bytes, fps: float, stamped: float
) -> None:
    def is_kept_and_new() -> bool:
        with OddRtsp(stream, fps=fps, stamped_fps=stamped) as served, reader(served.url) as camera:
            number, ages, began = 0, [], time.monotonic()
            while time.monotonic() - began < 7:
                frame = camera.newest(number, PATIENCE_S)
                assert frame is not None, camera.state
                number = frame.number
                ages.append(served.age_of(frame.image))
            return is_undisturbed(camera) and served.connections == 1 and median(ages) < 0.3

    until(is_kept_and_new)


@pytest.mark.parametrize(
    "stamp_of",
    [lambda _number: 0.0, lambda number: number % 20 / 15],
    ids=["all the same", "begin anew"],
)
def test_stamps_that_are_all_the_same_or_begin_anew_are_survived(
    stream: bytes, stamp_of: Callable[[int], float]
) -> None:
    def are_survived() -> bool:
        with OddRtsp(stream, stamp_of=stamp_of) as served, reader(served.url) as camera:
            until(lambda: is_ok(camera))
            time.sleep(4)
            return is_undisturbed(camera)

    until(are_survived)


@pytest.mark.parametrize("announced", [True, False], ids=["sets announced", "sets in the stream"])
def test_a_camera_with_rare_key_frames_is_waited_for_while_packets_flow(
    rare: bytes, announced: bool
) -> None:
    def is_waited_for() -> bool:
        with (
            OddRtsp(rare, runs_on=True, sets_announced=announced) as served,
            reader(served.url, stall_after_s=1, open_timeout_s=3) as camera,
        ):
            until(lambda: is_ok(camera))
            return served.connections == 1 and camera.state.reconnects == 0

    until(is_waited_for)


def test_while_a_key_frame_is_waited_for_the_state_says_so(rare: bytes) -> None:
    def is_said() -> bool:
        # It starts just after a key frame: the next is eight seconds away.
        while int(time.monotonic() * 15) % 120 not in range(2, 20):
            time.sleep(0.05)
        with (
            OddRtsp(rare, runs_on=True) as served,
            reader(served.url, stall_after_s=1) as camera,
        ):
            said = wait_until(lambda: camera.state.detail or is_ok(camera), "a word or a picture")
            until(lambda: is_ok(camera))
            assert camera.state.detail is None
            return "key frame" in str(said)

    until(is_said)


def test_a_camera_that_answers_late_opens(stream: bytes) -> None:
    with OddRtsp(stream, answers_after=5) as served, reader(served.url) as camera:
        until(lambda: is_ok(camera))
        assert served.connections == 1


def test_how_late_a_camera_may_answer_is_a_setting(stream: bytes) -> None:
    with (
        OddRtsp(stream, answers_after=5) as served,
        reader(served.url, open_timeout_s=2) as camera,
    ):
        until(lambda: "no stream" in (camera.state.detail or ""))


def test_a_camera_that_falls_silent_is_stalled_and_then_connected_anew(stream: bytes) -> None:
    with (
        OddRtsp(stream) as served,
        reader(served.url, stall_after_s=1, open_timeout_s=5) as camera,
    ):
        until(lambda: is_ok(camera))
        served.silent.set()
        until(lambda: camera.state.status is CameraStatus.STALLED)
        until(lambda: camera.state.reconnects >= 1)
        served.silent.clear()
        until(lambda: is_ok(camera))


def test_an_rtsps_camera_is_read_and_verified_by_its_certificate(
    stream: bytes, tmp_path: Path
) -> None:
    own, other = self_signed(tmp_path, "IPC-0815"), self_signed(tmp_path, "IPC-0816")
    for trusted in (None, own[0]):
        with OddRtsp(stream, tls=own) as served, reader(served.url, tls_ca=trusted) as camera:
            assert camera.newest(0, PATIENCE_S) is not None, camera.state
    with OddRtsp(stream, tls=own) as served, reader(served.url, tls_ca=other[0]) as camera:
        until(lambda: "cameras.tls_ca" in (camera.state.detail or ""))
        assert camera.newest(0, 1) is None


def test_the_doctor_waits_for_a_late_camera_and_tells_that_it_is_late(stream: bytes) -> None:
    with OddRtsp(stream, answers_after=6) as served:
        check = next(check_camera(CameraSettings(source=served.url, open_timeout_s=30)))
    assert check.level is Level.YELLOW
    assert "the first after" in check.found
