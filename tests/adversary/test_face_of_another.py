"""The face of one with the PIN of another: who is recognised and leaves lets nobody else in."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from demo.scenes import Scene
from demo.stream import Camera
from ostiary.clock import utc_now
from ostiary.decision.admission import Admission, Need
from ostiary.decision.camera_memory import Announcement
from ostiary.decision.rules import Ruling
from ostiary.errors import DatabaseUnwritable
from ostiary.messages.decision import Decision
from ostiary.messages.words import Factor, Reason
from ostiary.pipeline.doorkeeper import Doorkeeper
from ostiary.store.database import Database
from ostiary.store.events import Events
from ostiary.vision.engine import VisionEngine
from ostiary.vision.image import decode_image, encode_jpeg
from testing.cameras import until
from testing.recognizing import Recognizing, recognizing
from testing.rules import PATIENT
from tests.adversary.test_tailgating import standing

PIN = Ruling(needs=Factor.FACE_AND_PIN)
TWO = Ruling(two_person=True)
FPS = 10
STAYING = replace(PATIENT, cooldown_s=60.0)
GOING = replace(STAYING, forget_after_s=1.0)
"""Whoever leaves is gone as soon as at any door."""


def pictures(engine: VisionEngine, portraits: Path, *names: str) -> dict[str, bytes]:
    """A door with each of them before it, and (`nobody`) with none."""
    seen = {name: standing(portraits / f"{name}.jpg", engine) for name in names}
    nobody = np.full_like(next(iter(seen.values())), 90)
    nobody[::7] = 60
    both = np.hstack(list(seen.values())) if len(seen) > 1 else nobody
    shown = {name: np.hstack([bgr, nobody]) for name, bgr in seen.items()}
    shown |= {"nobody": np.hstack([nobody, nobody]), "both": both}
    return {name: encode_jpeg(np.asarray(bgr, np.uint8), 95) for name, bgr in shown.items()}


def typed(door: Recognizing, who: str) -> None:
    door.keeper.presented("front", Need.PIN, who, time.monotonic())


def stays(picture: bytes) -> Scene:
    """Before the camera, with its sensor's noise, for as long as it takes the door to judge."""
    seen = decode_image(picture)
    noise = np.random.default_rng(1)
    noisy = (cv2.add(seen, noise.integers(0, 4, seen.shape, np.uint8)) for _ in range(8))
    return Scene("", "", tuple(encode_jpeg(np.asarray(bgr, np.uint8), 95) for bgr in noisy))


@contextmanager
def asking_for_a_pin(
    folder: Path, engine: VisionEngine, portraits: Path, first: str
) -> Iterator[tuple[Recognizing, Callable[[str], None]]]:
    """A door that knows Obama and wants his PIN, with `first` before it; and what shows it
    somebody else."""
    shown = pictures(engine, portraits, "obama2", "biden")
    known = [portraits / "obama.jpg"]
    with (
        Camera(stays(shown[first]), FPS) as camera,
        recognizing(
            folder, engine, camera.url, known, STAYING, fps=FPS, needs=Factor.FACE_AND_PIN
        ) as door,
    ):

        def show(name: str) -> None:
            door.recognition.apply(GOING if name == "nobody" else STAYING)
            camera.show(stays(shown[name]))

        yield door, show


@pytest.mark.parametrize(
    ("then", "why"),
    [
        ("nobody", "the one who was recognised has gone"),
        ("biden", "somebody else stands there"),
        ("both", "somebody else stands beside"),
    ],
)
def test_a_pin_after_its_owners_face_has_gone_opens_nothing(
    tmp_path: Path, engine: VisionEngine, portraits: Path, then: str, why: str
) -> None:
    with asking_for_a_pin(tmp_path, engine, portraits, "obama2") as (door, show):
        until(lambda: door.keeper.waiting("front") is not None)
        show(then)
        until(lambda: door.keeper.waiting("front") is None)
        assert door.reasons[0] == "credential_missing", why
        typed(door, "obama")
        assert "granted" not in door.reasons


def test_a_stranger_denied_a_moment_ago_is_a_stranger_still(
    tmp_path: Path, engine: VisionEngine, portraits: Path
) -> None:
    """That they were told so within the cool-down changes nothing."""
    with asking_for_a_pin(tmp_path, engine, portraits, "biden") as (door, show):
        until(lambda: door.reasons == ["unknown_face"])
        show("nobody")
        until(lambda: not door.recognition.memory.tracks)
        show("obama2")
        until(lambda: door.keeper.waiting("front") is not None)
        show("biden")
        until(lambda: door.keeper.waiting("front") is None)
        typed(door, "obama")
        assert "granted" not in door.reasons


def test_whoever_stays_before_the_door_passes_with_their_pin_and_may_come_back(
    tmp_path: Path, engine: VisionEngine, portraits: Path
) -> None:
    with asking_for_a_pin(tmp_path, engine, portraits, "obama2") as (door, show):
        until(lambda: door.keeper.waiting("front") is not None)
        show("nobody")
        until(lambda: door.reasons == ["credential_missing"])
        show("obama2")
        until(lambda: door.keeper.waiting("front") is not None)
        typed(door, "obama")
        assert door.reasons == ["credential_missing", "granted"]


def denied(reason: Reason, name: str | None = None) -> Announcement:
    return Announcement(Decision(reason, name))


ADA = Announcement(Decision(Reason.GRANTED, "Ada", 0.4, 0.99))
BO = Announcement(Decision(Reason.GRANTED, "Bo", 0.4, 0.99))


@pytest.mark.parametrize(
    "seen",
    [
        denied(Reason.UNKNOWN_FACE),
        denied(Reason.SEVERAL_FACES),
        denied(Reason.UNCERTAIN),
        denied(Reason.LOW_QUALITY),
        denied(Reason.PIPELINE_ERROR),
        denied(Reason.PRESENTATION_ATTACK, "Ada"),
        denied(Reason.OUTSIDE_SCHEDULE, "Bo"),
    ],
    ids=lambda told: f"{told.decision.reason}",
)
@pytest.mark.parametrize("ruling", [PIN, TWO])
def test_a_denied_face_ends_somebody_elses_waiting(seen: Announcement, ruling: Ruling) -> None:
    state, _ = Admission().decided(ADA, ruling, 0.0)
    state, _ = state.decided(seen, ruling, 1.0)
    assert state.waiting is None
    _, final = state.presented(Need.PIN, "Ada", 2.0)
    assert not [told for told in final if told.decision.success]


def test_between_two_people_nobody_is_denied_not_even_the_first_again() -> None:
    state, _ = Admission().decided(ADA, TWO, 0.0)
    state, _ = state.decided(denied(Reason.UNCERTAIN, "Ada"), TWO, 1.0)
    _, final = state.decided(BO, TWO, 2.0)
    assert final == ()


@pytest.mark.parametrize("reason", [Reason.UNKNOWN_FACE, Reason.SEVERAL_FACES])
def test_a_pin_that_a_stranger_typed_is_not_held_for_its_owners_face(reason: Reason) -> None:
    state, _ = Admission().presented(Need.PIN, "Ada", 0.0)
    state, final = state.decided(denied(reason), PIN, 1.0)
    assert [told.decision.reason for told in final] == [Reason.FACE_MISSING, reason]
    _, final = state.decided(ADA, PIN, 2.0)
    assert final == ()


def test_a_wrong_pin_is_no_other_face() -> None:
    keeper = Doorkeeper(lambda _told, _door: None, lambda _name, _door: PIN)
    keeper.decided(ADA, "front", 0.0)
    keeper.mistaken("front", Reason.WRONG_CREDENTIAL, 1.0, "Ada")
    assert keeper.waiting("front") is not None


def test_of_two_people_neither_is_let_in_where_one_cannot_be_recorded(tmp_path: Path) -> None:
    opened: list[str | None] = []
    with Database.open(tmp_path / "door.db") as database:
        events = Events(database)

        def record(told: Announcement, door: str) -> None:
            if told.decision.username == "Bo":
                raise DatabaseUnwritable("The disk is full.")
            events.append_login(told.decision, source=door, now=utc_now())

        keeper = Doorkeeper(
            record,
            lambda _name, _door: TWO,
            together=database.transaction,
            follow=lambda told, _door, _number: opened.append(told.decision.username),
        )
        keeper.decided(ADA, "front", 0.0)
        with pytest.raises(DatabaseUnwritable):
            keeper.decided(BO, "front", 1.0)
        assert opened == []
        assert events.page().events == (), "nor does a lock hear of the first"
