"""What the camera sees: every visitor, and what the door must answer.

Made from real portraits, the same bytes every time. People are rendered heads, which turn a little
as people do who walk up. Frames are 480 × 640, upright as in a door station, 12 a second, with a
sensor's noise on them.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from demo import attacks, room
from demo.portraits import Portrait, stepping_up
from demo.visitor import walking_up
from ostiary.messages.words import Reason
from ostiary.vision.arrays import BGRImage
from ostiary.vision.image import encode_jpeg

FPS = 12
SCENE_FRAMES = 3 * FPS
ROOM_FRAMES = FPS
JPEG_QUALITY = 90
REGISTERED = "obama"
ENROLMENT_PORTRAIT = "obama.jpg"
REPLAY_SAMPLE = "replay_attack.jpg"


@dataclass(frozen=True, slots=True)
class Scene:
    """A few seconds before the camera. `frames` are JPEG files.

    `expected` is the reason that the door must give, `username` whom it must let in; both are
    None where nobody is in view and the door must say nothing.
    """

    name: str
    title: str
    frames: tuple[bytes, ...]
    expected: Reason | None = None
    username: str | None = None

    def picture(self, number: int) -> BGRImage:
        """One frame, (640, 480, 3) BGR."""
        picture = cv2.imdecode(np.frombuffer(self.frames[number], np.uint8), cv2.IMREAD_COLOR)
        return np.asarray(picture, dtype=np.uint8)


def empty_room() -> Scene:
    """Nobody in view."""
    return Scene("empty", "Nobody in view", _seen([room.empty()] * ROOM_FRAMES))


def visitors(portraits: Path, samples: Path | None = None) -> tuple[Scene, ...]:
    """Every visitor. Neighbours must get different answers.

    `portraits` is the folder of the portraits; `samples` is where the replay sample may be: it
    comes last, or is left out if it is not there. Raises PortraitMissing.
    """
    enrolled, second = (
        Portrait.load(portraits / name) for name in (ENROLMENT_PORTRAIT, "obama2.jpg")
    )
    phone, paper = attacks.on_a_phone(enrolled), attacks.on_paper(second)
    scenes = [
        Scene(
            "registered",
            "Obama steps up (registered)",
            _seen(walking_up(portraits / "obama3.jpg", SCENE_FRAMES, near=2.4)),
            Reason.GRANTED,
            REGISTERED,
        ),
        Scene(
            "phone",
            "Obama on a phone (simulated)",
            _seen(attacks.held_up(*phone, SCENE_FRAMES, degrees=-4)),
            Reason.PRESENTATION_ATTACK,
        ),
        Scene(
            "stranger",
            "Biden steps up (a stranger)",
            _seen(walking_up(portraits / "biden.jpg", SCENE_FRAMES, near=2.4)),
            Reason.UNKNOWN_FACE,
        ),
        Scene(
            "print",
            "Obama on paper (simulated)",
            _seen(attacks.held_up(*paper, SCENE_FRAMES, degrees=3)),
            Reason.PRESENTATION_ATTACK,
        ),
        Scene(
            "registered-again",
            "Obama on another day",
            _seen(walking_up(portraits / "obama2.jpg", SCENE_FRAMES, near=2.2)),
            Reason.GRANTED,
            REGISTERED,
        ),
        Scene(
            "flat",
            "Obama's portrait instead of him (flat)",
            _seen(stepping_up(second, SCENE_FRAMES, far=3.2, near=2.4)),
            Reason.STILL_PICTURE,
        ),
    ]
    if samples is not None and (samples / REPLAY_SAMPLE).is_file():
        replayed = Portrait.load(samples / REPLAY_SAMPLE)
        scenes.append(
            Scene(
                "replay",
                "A replay attack (recorded)",
                _seen(stepping_up(replayed, SCENE_FRAMES, far=2.46, near=2.35)),
                Reason.PRESENTATION_ATTACK,
            )
        )
    return tuple(scenes)


def _seen(pictures: Iterable[BGRImage]) -> tuple[bytes, ...]:
    """The pictures as the camera sends them: with its noise, as JPEG."""
    return tuple(
        encode_jpeg(room.with_sensor_noise(picture, number), JPEG_QUALITY)
        for number, picture in enumerate(pictures)
    )
