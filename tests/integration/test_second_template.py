"""What enrolment takes for a template: two that differ, of a face that is not covered."""

from base64 import b64encode
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import cycle
from pathlib import Path

import cv2
import pytest

from demo.portraits import Portrait
from demo.turner import Posture, Turner
from ostiary.app.building import services_without_cameras
from ostiary.app.core import opened_core
from ostiary.commands.people import register
from ostiary.commands.pictures import one_face
from ostiary.commands.registry import LOCAL, Asker, Context
from ostiary.commands.services import CommandServices
from ostiary.errors import FaceCovered, LowQuality
from ostiary.messages.commands.people import RegisterAnswer, RegisterRequest
from ostiary.settings import CommandSettings, Settings, StoreSettings
from ostiary.vision.arrays import BGRImage, FloatArray
from ostiary.vision.engine import VisionEngine
from ostiary.vision.face import Face
from ostiary.vision.image import decode_image, encode_jpeg
from testing.covering import with_dark_glasses, with_mask


class Standing:
    """Somebody before the camera who shows one portrait after another."""

    latest: BGRImage | None = None
    requires_movement = False

    def __init__(self, *portraits: Path) -> None:
        self._shown = cycle([decode_image(each.read_bytes()) for each in portraits])

    def ask(self, pose: str | None) -> None:
        """They do not listen."""

    def capture(self, timeout: float, *, alive: bool = True) -> BGRImage:
        assert timeout > 0
        assert not alive  # a photo is taken for live here
        return next(self._shown)

    def live_score(self, _bgr: BGRImage, _face: Face) -> float:
        return 1.0


@pytest.fixture
def services(tmp_path: Path, engine: VisionEngine) -> Iterator[CommandServices]:
    settings = Settings(
        store=StoreSettings(path=tmp_path / "door.db"),
        commands=CommandSettings(enrol_s=2, allow_unverified_enrolment=True),
    )
    with opened_core(settings, engine) as core:
        yield services_without_cameras(core)


def enrolled(services: CommandServices, **asked: object) -> RegisterAnswer:
    request = RegisterRequest.model_validate({"username": "Barack", "require_live": False, **asked})
    answer = register(services, request, Context("cli", Asker(None, LOCAL)))()
    assert isinstance(answer, RegisterAnswer)
    return answer


def test_who_never_turns_is_kept_with_one_template_and_it_is_said_what_is_missing(
    services: CommandServices, portraits: Path
) -> None:
    before_it = replace(services, cameras={"door": Standing(portraits / "obama.jpg")})
    answer = enrolled(before_it, source="camera")
    assert (answer.templates, answer.missing) == (1, ("look_left", "look_right"))
    assert "Nobody turned the head to the left." in answer.message
    assert services.people.roster.with_one_template == 1


def test_the_first_picture_is_one_that_is_not_turned_away(
    services: CommandServices, portraits: Path, tmp_path: Path
) -> None:
    person = Turner.of(Portrait.load(portraits / "obama2.jpg"), services.engine.detector)
    aside = tmp_path / "aside.png"
    assert cv2.imwrite(str(aside), person.seen_in(Posture(yaw=-40)))
    with pytest.raises(LowQuality, match="turned away"):
        one_face(services.engine, decode_image(aside.read_bytes()))
    before_it = replace(services, cameras={"door": Standing(aside, portraits / "obama2.jpg")})
    assert enrolled(before_it, source="camera").templates == 1


def test_one_picture_asks_for_a_second_and_two_that_differ_are_enough(
    services: CommandServices, portraits: Path
) -> None:
    pictures = [b64encode((portraits / f"{name}.jpg").read_bytes()) for name in ("obama", "obama2")]
    texts = [each.decode() for each in pictures]
    one = enrolled(services, username="One", image=texts[0])
    assert (one.templates, one.missing) == (1, ("second_picture",))
    two = enrolled(services, username="Two", images=texts, allow_twin=True)
    assert (two.templates, two.missing) == (2, ())
    assert two.message == "Two is registered."
    assert services.people.roster.with_one_template == 1


@pytest.mark.parametrize(
    ("draw", "word"), [(with_mask, "mouth"), (with_dark_glasses, "eyes")], ids=["mask", "glasses"]
)
def test_nobody_is_enrolled_with_mouth_or_eyes_covered(
    services: CommandServices,
    portraits: Path,
    draw: Callable[[BGRImage, FloatArray], BGRImage],
    word: str,
) -> None:
    bgr = decode_image((portraits / "obama.jpg").read_bytes())
    landmarks = one_face(services.engine, bgr).landmarks
    assert landmarks is not None
    picture = b64encode(encode_jpeg(draw(bgr, landmarks), 95)).decode()
    with pytest.raises(FaceCovered, match=f"The {word}"):
        enrolled(services, image=picture)
    assert services.people.count() == 0
