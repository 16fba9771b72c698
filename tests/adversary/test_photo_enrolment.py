"""A photo before the camera at enrolment, which the liveness networks take for a person."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from demo.portraits import Portrait
from demo.room import HEIGHT, WIDTH
from demo.turner import Posture, Turner
from ostiary.errors import TimedOut
from ostiary.vision.arrays import BGRImage
from ostiary.vision.engine import VisionEngine
from testing.recognizing import recognizing
from tests.adversary.test_one_still import as_jpegs, moved_about

CAPTURE_S = 60.0


@pytest.fixture(scope="module")
def photo(portraits: Path) -> BGRImage:
    return Portrait.load(portraits / "obama2.jpg").around_head(2.4, (WIDTH, HEIGHT))


@pytest.mark.parametrize("known", [True, False])
def test_a_photo_that_is_moved_about_is_never_taken_for_enrolment(
    tmp_path: Path, engine: VisionEngine, portraits: Path, photo: BGRImage, known: bool
) -> None:
    frames = as_jpegs(moved_about(photo))
    registered = [portraits / "obama.jpg"] if known else []
    with recognizing(
        tmp_path, engine, frames, registered, loop=True, require_movement=True
    ) as door:
        door.recognition.ask("look_front")
        with pytest.raises(TimedOut, match="move your head"):
            door.recognition.capture(12.0)
        door.recognition.capture(CAPTURE_S, alive=False)  # which the house has to permit


@pytest.mark.parametrize("known", [True, False])
def test_a_head_that_moves_a_little_is_taken(
    tmp_path: Path, engine: VisionEngine, portraits: Path, known: bool
) -> None:
    person = Turner.of(Portrait.load(portraits / "obama2.jpg"), engine.detector)

    def swaying() -> Iterator[BGRImage]:
        for step in range(20):
            yaw = round(5 * float(np.sin(2 * np.pi * step / 20)), 1)
            yield person.seen_in(Posture(yaw=yaw))

    registered = [portraits / "obama.jpg"] if known else []
    with recognizing(
        tmp_path, engine, as_jpegs(swaying()), registered, loop=True, require_movement=True
    ) as door:
        door.recognition.ask("look_front")
        assert door.recognition.capture(CAPTURE_S).shape == (HEIGHT, WIDTH, 3)
