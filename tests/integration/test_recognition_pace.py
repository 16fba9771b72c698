"""Bad frames between good ones, and frames that come rarely."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from ostiary.decision.policy import Policy
from ostiary.vision.engine import VisionEngine
from testing.cameras import until
from testing.recognizing import recognizing
from testing.rules import PATIENT

FRAMES = 45


def standing(portraits: Path, lamp: float = 1.0, every: int = 2) -> list[bytes]:
    """Somebody who stands there and moves a little; each `every`-th frame has `lamp` of the light,
    and black is noisy, as a sensor's is."""
    portrait = cv2.imread(str(portraits / "obama2.jpg"))
    assert portrait is not None
    small = cv2.resize(portrait, (480, 640), interpolation=cv2.INTER_AREA)
    random, frames = np.random.default_rng(0), []
    for number in range(FRAMES):
        shift = 12 * np.sin(2 * np.pi * number / FRAMES)
        move = np.array([[1, 0, shift], [0, 1, shift / 2]], np.float32)
        moved = cv2.warpAffine(small, move, (480, 640), borderMode=cv2.BORDER_REFLECT)
        light = lamp if number % every == every - 1 else 1.0
        lit = np.clip(light * moved + random.normal(0, 2, moved.shape), 0, 255)
        frames.append(cv2.imencode(".jpg", lit.astype(np.uint8))[1].tobytes())
    return frames


@pytest.mark.parametrize(("lamp", "every"), [(0.0, 2), (0.3, 2), (8.0, 2), (0.1, 3)])
def test_frames_that_are_dark_or_glaring_now_and_then_are_passed_over(
    tmp_path: Path, engine: VisionEngine, portraits: Path, lamp: float, every: int
) -> None:
    seen = standing(portraits, lamp, every)
    known = [portraits / "obama.jpg"]
    with recognizing(tmp_path / "door", engine, seen, known, PATIENT, loop=True) as door:
        until(lambda: bool(door.told))
        assert door.reasons == ["granted"]


def test_a_lens_that_is_covered_for_longer_than_a_face_is_remembered_ends_what_was_seen(
    tmp_path: Path, engine: VisionEngine, portraits: Path
) -> None:
    seen = standing(portraits)[:2] + standing(portraits, 0.0, 1)[:30]
    policy = Policy(forget_after_s=1.0)
    with recognizing(
        tmp_path / "door", engine, seen, [portraits / "obama.jpg"], policy, loop=True
    ) as door:
        number = 3 * len(seen)
        until(lambda: door.recognition.wait_view(number, 1) is not None)
        assert door.told == []


def test_a_camera_below_two_frames_a_second_is_enough_where_faces_are_remembered_long_enough(
    tmp_path: Path, engine: VisionEngine, portraits: Path
) -> None:
    known, seen = [portraits / "obama.jpg"], standing(portraits)
    with recognizing(
        tmp_path / "door", engine, seen, known, Policy(forget_after_s=2.5), fps=0.8, loop=True
    ) as door:
        until(lambda: bool(door.told))
        assert door.reasons == ["granted"]
        assert not door.recognition.is_too_slow


def test_a_camera_at_whose_rate_nobody_can_be_decided_is_told(
    tmp_path: Path, engine: VisionEngine, portraits: Path
) -> None:
    known, seen = [portraits / "obama.jpg"], standing(portraits)
    with recognizing(tmp_path / "door", engine, seen, known, fps=0.9, loop=True) as door:
        until(lambda: door.recognition.is_too_slow)
        assert door.told == []
