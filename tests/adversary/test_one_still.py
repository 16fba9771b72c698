"""One picture from the web in the place of a camera's stream, moved about and with noise on it."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from demo.portraits import Portrait
from demo.room import HEIGHT, WIDTH, with_sensor_noise
from demo.turner import Posture, Turner
from ostiary.decision.policy import Policy
from ostiary.decision.vote import tally
from ostiary.vision.arrays import BGRImage
from ostiary.vision.engine import VisionEngine
from ostiary.vision.image import encode_jpeg
from testing.cameras import MjpegCamera, until
from testing.recognizing import Recognizing, recognizing
from testing.rules import PATIENT

USUAL = replace(PATIENT, decide_within_s=Policy().decide_within_s)


class ShiftedStill(MjpegCamera):
    """A real HTTP camera's stream of one picture, another few pixels aside in every part."""

    def __init__(self, picture: BGRImage) -> None:
        super().__init__(fps=12.0)
        self._picture = picture
        self._random = np.random.default_rng(6)

    def _jpeg(self) -> bytes:
        right, down = (int(each) for each in self._random.integers(-2, 3, 2))
        height, width = self._picture.shape[:2]
        moved = cv2.warpAffine(
            self._picture,
            np.array([[1.0, 0.0, right], [0.0, 1.0, down]]),
            (width, height),
            borderMode=cv2.BORDER_REPLICATE,
        )
        noisy = moved + self._random.normal(0.0, 4.0, moved.shape)
        return encode_jpeg(np.clip(noisy, 0, 255).astype(np.uint8), 85)


def moved_about(picture: BGRImage) -> Iterator[BGRImage]:
    """As a hand would move it: nearer, aside, turned and tilted at once."""
    height, width = picture.shape[:2]
    for number in range(60):
        turn = 2 * np.pi * number / 30
        near = cv2.getRotationMatrix2D(
            (width / 2, height / 2), 4.0 * float(np.sin(turn)), 1.05 + 0.05 * float(np.cos(turn))
        )
        near[:, 2] += (6 * np.sin(2 * turn), 4 * np.cos(turn))
        tilt = np.eye(3)
        tilt[2, :2] = 1e-4 * np.sin(turn), 1e-4 * np.cos(2 * turn)
        plane = tilt @ np.vstack([near, [0, 0, 1]])
        yield np.asarray(
            cv2.warpPerspective(picture, plane, (width, height), borderMode=cv2.BORDER_REPLICATE),
            np.uint8,
        )


def as_jpegs(pictures: Iterator[BGRImage]) -> list[bytes]:
    return [
        encode_jpeg(with_sensor_noise(picture, number), 85)
        for number, picture in enumerate(pictures)
    ]


@pytest.fixture(scope="module")
def web_picture(portraits: Path) -> BGRImage:
    return Portrait.load(portraits / "obama2.jpg").around_head(2.4, (WIDTH, HEIGHT))


def tries_to_pass(door: Recognizing) -> None:
    """Until one attempt to decide is over: after the usual five seconds, or as soon as a slow
    machine has seen enough of the face to know whose it is."""
    before = rests_until(door)
    door.recognition.apply(PATIENT)
    until(lambda: is_recognised(door))
    door.recognition.apply(USUAL)
    until(lambda: rests_until(door) > before)


def is_recognised(door: Recognizing) -> bool:
    decisions = [tally(each.observations, USUAL) for each in door.recognition.memory.tracks]
    return any(each is not None and each.success for each in decisions)


def rests_until(door: Recognizing) -> float:
    """Each attempt to decide about a face is followed by a rest."""
    return max((each.rests_until for each in door.recognition.memory.tracks), default=0.0)


def test_a_still_that_is_shifted_with_noise_on_a_network_camera_is_refused(
    tmp_path: Path, engine: VisionEngine, portraits: Path, web_picture: BGRImage
) -> None:
    with (
        ShiftedStill(web_picture) as camera,
        recognizing(
            tmp_path,
            engine,
            (),
            [portraits / "obama.jpg"],
            PATIENT,
            source=camera.url,
            require_movement=True,
        ) as door,
    ):
        for _ in range(2):  # it is tried again and again, and told once
            tries_to_pass(door)
    assert door.reasons == ["still_picture"]
    assert door.told[0].decision.username == "obama"


def test_a_still_that_is_moved_about_as_a_hand_would_is_refused(
    tmp_path: Path, engine: VisionEngine, portraits: Path, web_picture: BGRImage
) -> None:
    frames = as_jpegs(moved_about(web_picture))
    known = [portraits / "obama.jpg"]
    with recognizing(
        tmp_path, engine, frames, known, PATIENT, loop=True, require_movement=True
    ) as door:
        tries_to_pass(door)
    assert door.reasons[0] == "still_picture"


def test_the_same_face_passes_once_its_head_has_moved_a_little(
    tmp_path: Path, engine: VisionEngine, portraits: Path
) -> None:
    """A rendered head (`demo.head`) that turns by up to five degrees and back, as people do who
    come to a stand."""
    person = Turner.of(Portrait.load(portraits / "obama2.jpg"), engine.detector)
    sways = [
        person.seen_in(Posture(yaw=round(5 * float(np.sin(2 * np.pi * step / 20)), 1)))
        for step in range(20)
    ]
    with recognizing(
        tmp_path,
        engine,
        as_jpegs(iter(sways)),
        [portraits / "obama.jpg"],
        PATIENT,
        loop=True,
        require_movement=True,
    ) as door:
        until(lambda: bool(door.told))
    assert door.reasons[0] == "granted"
