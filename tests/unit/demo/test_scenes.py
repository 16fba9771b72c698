"""The scenes are what they say: the networks see a live person where there should be one."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from demo.errors import PortraitMissing
from demo.portraits import Portrait
from demo.room import HEIGHT, WIDTH
from demo.scenes import ENROLMENT_PORTRAIT, FPS, SCENE_FRAMES, Scene, empty_room, visitors
from ostiary.camera.frame import ViewCondition, view_condition
from ostiary.messages.words import Reason
from ostiary.vision.detect import Search
from ostiary.vision.engine import VisionEngine

pytestmark = pytest.mark.thorough

SURELY_LIVE, SURELY_NOT = 0.9, 0.15


@pytest.fixture(scope="module")
def scenes(portraits: Path, samples: Path) -> tuple[Scene, ...]:
    return visitors(portraits, samples)


def test_every_scene_lasts_three_seconds_upright(scenes: tuple[Scene, ...]) -> None:
    for scene in scenes:
        assert len(scene.frames) == SCENE_FRAMES == 3 * FPS
        assert scene.picture(0).shape == (HEIGHT, WIDTH, 3)


def test_no_frame_equals_the_one_before_it(scenes: tuple[Scene, ...]) -> None:
    for scene in (empty_room(), *scenes):
        assert all(one != other for one, other in pairwise(scene.frames)), scene.name


def test_neighbours_get_different_answers(scenes: tuple[Scene, ...]) -> None:
    assert all(one.expected is not other.expected for one, other in pairwise(scenes))
    assert {scene.expected for scene in scenes} == {
        Reason.GRANTED,
        Reason.UNKNOWN_FACE,
        Reason.PRESENTATION_ATTACK,
        Reason.STILL_PICTURE,
    }


def test_they_are_the_same_every_time_and_without_the_replay_sample_one_less(
    portraits: Path, tmp_path: Path, scenes: tuple[Scene, ...]
) -> None:
    assert visitors(portraits, tmp_path) == scenes[:-1]


def test_a_missing_portrait_is_named(tmp_path: Path) -> None:
    with pytest.raises(PortraitMissing, match=ENROLMENT_PORTRAIT):
        visitors(tmp_path)


def test_nobody_is_seen_in_the_empty_room(engine: VisionEngine) -> None:
    room = empty_room()
    for number in range(len(room.frames)):
        assert view_condition(room.picture(number)) is ViewCondition.CLEAR
        assert engine.detect(room.picture(number)) == ()


def test_every_frame_shows_one_face_that_is_surely_live_or_surely_not(
    engine: VisionEngine, scenes: tuple[Scene, ...]
) -> None:
    for scene in scenes:
        search = Search()
        for number in range(len(scene.frames)):
            picture = scene.picture(number)
            (face,), search = engine.search(search, picture, number / FPS)
            assert engine.quality(picture, face).good, (scene.name, number)
            live = engine.live_score(picture, face)
            if scene.expected is Reason.PRESENTATION_ATTACK:
                assert live <= SURELY_NOT, (scene.name, number)
            else:
                assert live >= SURELY_LIVE, (scene.name, number)


def test_only_the_registered_person_is_near_to_the_enrolment(
    engine: VisionEngine, portraits: Path, scenes: tuple[Scene, ...]
) -> None:
    enrolled = Portrait.load(portraits / ENROLMENT_PORTRAIT).image
    template = engine.describe(enrolled, engine.detect(enrolled)[0])
    for scene in scenes:
        for number in range(0, len(scene.frames), 6):
            picture = scene.picture(number)
            (face,) = engine.detect(picture)
            distance = float(np.linalg.norm(engine.describe(picture, face) - template))
            near = scene.name in {"registered", "registered-again", "flat", "phone", "print"}
            limit = engine.recognizer.rates.distance_for(1e-3)
            assert distance < limit if near else distance > limit, (scene.name, number)
