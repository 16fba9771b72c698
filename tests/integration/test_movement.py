"""Who moves as a head does is let in without being asked; a picture is not, whatever moves it."""

from collections.abc import Iterable
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest

from demo.head import Head
from demo.portraits import LANDMARKS, Portrait
from demo.room import HEIGHT, WIDTH, with_sensor_noise
from demo.visitor import FAR, walking_up
from ostiary.camera.frame import Frame
from ostiary.camera.reader import CameraReader
from ostiary.decision.camera_memory import Announcement
from ostiary.decision.policy import Policy
from ostiary.decision.risk import Risk
from ostiary.decision.roster import Roster
from ostiary.messages.words import Reason
from ostiary.pipeline.doorkeeper import Doorkeeper
from ostiary.pipeline.recognition import Recognition
from ostiary.service.metrics import Metrics
from ostiary.settings import CameraSettings
from ostiary.vision.arrays import BGRImage
from ostiary.vision.engine import VisionEngine
from testing.sheet import Sheet

RATE = 15
SECONDS = 3
POLICY = Policy(challenge="uncertain")


@pytest.fixture(scope="module")
def roster(engine: VisionEngine, portraits: Path) -> Roster:
    """Obama is known by another picture."""
    known = Roster("sface", {"sface": engine.recognizer.rates}, Risk())
    image = np.asarray(cv2.imread(str(portraits / "obama.jpg")), np.uint8)
    (face, *_) = engine.detect(image)
    probe, _ = known.identify(partial(engine.describe, image, face))
    known.put("obama", list(probe.descriptors.items()))
    return known


def played(
    engine: VisionEngine, roster: Roster, pictures: Iterable[BGRImage]
) -> tuple[list[tuple[float, Reason]], bool]:
    """What the door tells, each with its second, and whether it asked for a movement."""
    told: list[tuple[float, Reason]] = []
    now = 1000.0

    def record(each: Announcement, _camera: str) -> None:
        told.append((now - 1000.0, each.decision.reason))

    loop = Recognition(
        CameraReader(CameraSettings(source="0")),
        engine,
        roster,
        Doorkeeper(record),
        POLICY,
        Metrics(),
        clock=lambda: now,
    )
    asked = False
    for number, picture in enumerate(pictures):
        now = 1000.0 + number / RATE
        loop.see(Frame(with_sensor_noise(picture, number), number + 1, now, "front"))
        asked = asked or loop.memory.asked is not None
    return told, asked


@pytest.mark.parametrize("name", ["obama2.jpg", "obama3.jpg"])
def test_a_rendered_head_that_walks_up_and_stops_is_granted_within_two_seconds_unasked(
    engine: VisionEngine, roster: Roster, portraits: Path, name: str
) -> None:
    visit = walking_up(portraits / name, SECONDS * RATE, near=2.4)
    told, asked = played(engine, roster, visit)
    assert [reason for _, reason in told] == [Reason.GRANTED]
    assert told[0][0] <= 2.0
    assert not asked


def test_a_print_that_a_hand_bends_now_and_then_is_asked_and_not_let_in(
    engine: VisionEngine, roster: Roster, portraits: Path
) -> None:
    portrait = Portrait.load(portraits / "obama2.jpg")
    size = WIDTH, HEIGHT
    places = portrait.seen_around_head(LANDMARKS["obama2.jpg"], FAR, size)
    head = Head.fit(portrait.around_head(FAR, size), places)
    bends = [
        Sheet(axis=0.3, curved=0.25 * max(0.0, float(np.sin(phase))), yaw=0.15, pitch=0.05).of(head)
        for phase in np.linspace(0, 2 * np.pi, 2 * RATE, endpoint=False)
    ]
    told, asked = played(engine, roster, [*bends, *bends, *bends, *bends][: 8 * RATE])
    assert asked
    assert Reason.GRANTED not in [reason for _, reason in told]
    assert Reason.PRESENTATION_ATTACK not in [reason for _, reason in told]
