"""A face that cannot be judged is not an attack: real people, too near, blurred, dark or grey.

On recorded visits, where they are at hand; they may not be shipped.
"""

import os
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from ostiary.camera.clips import LIVE, clips_in
from ostiary.decision.policy import Policy
from ostiary.decision.vote import Observation, decide_single
from ostiary.messages.decision import Decision
from ostiary.messages.words import Reason
from ostiary.vision.arrays import BGRImage
from ostiary.vision.engine import VisionEngine
from ostiary.vision.face import Box

BESIDE = Path(__file__).resolve().parents[3] / "shared" / "attacks" / "door"
VISITS = Path(os.environ.get("OSTIARY_ATTACKS", BESIDE))
FRAMES, EVERY = 200, 4
POLICY = Policy()


def cut(bgr: BGRImage, box: Box) -> BGRImage:
    """To 1.1 of the face's height, of the same shape."""
    height, width = bgr.shape[:2]
    tall = min(1.1 * box.height, height)
    wide = tall * width / height
    left = round(float(np.clip(box.center[0] - wide / 2, 0, width - wide)))
    top = round(float(np.clip(box.center[1] - tall / 2, 0, height - tall)))
    return np.ascontiguousarray(bgr[top : top + round(tall), left : left + round(wide)])


def blurred(bgr: BGRImage, box: Box) -> BGRImage:
    return np.asarray(cv2.GaussianBlur(bgr, (0, 0), 0.02 * box.width), np.uint8)


def dark(bgr: BGRImage, _box: Box) -> BGRImage:
    return np.asarray((bgr * 0.25).round(), np.uint8)


def grey(bgr: BGRImage, _box: Box) -> BGRImage:
    return np.asarray(cv2.merge([cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY)] * 3), np.uint8)


@pytest.fixture(scope="module")
def faces(engine: VisionEngine) -> list[tuple[BGRImage, Box]]:
    """Every fourth picture of people in which they are seen."""
    if not VISITS.is_dir():
        pytest.skip("no recorded visits here; OSTIARY_ATTACKS=folder names some")
    found = []
    for clip in clips_in(VISITS):
        if clip.kind != LIVE:
            continue
        for number, (_, bgr) in enumerate(clip.frames()):
            if number % EVERY == 0 and (seen := engine.detect(bgr)):
                found.append((bgr, seen[0].box))
    return found[:FRAMES]


@pytest.mark.parametrize("spoil", [cut, blurred, dark, grey])
def test_a_person_whose_picture_is_spoilt_is_never_called_an_attack(
    engine: VisionEngine,
    faces: list[tuple[BGRImage, Box]],
    spoil: Callable[[BGRImage, Box], BGRImage],
) -> None:
    told = [answer(engine, spoil(bgr, box)) for bgr, box in faces]
    assert len(told) == FRAMES
    assert Reason.PRESENTATION_ATTACK not in told, told.count(Reason.PRESENTATION_ATTACK)


def answer(engine: VisionEngine, bgr: BGRImage) -> Reason:
    """What is told of one picture."""
    seen = engine.detect(bgr)
    if not seen:
        return Decision(Reason.NO_FACE).reason
    flaw = engine.quality(bgr, seen[0]).flaw
    if flaw is not None:
        return flaw.reason
    return decide_single(Observation(engine.live_score(bgr, seen[0]), None), POLICY).reason
