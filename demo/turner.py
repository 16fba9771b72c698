"""A person before the camera who does what the door asks: a rendered head (`demo.head`) that turns,
nods and comes closer; and what an attacker does instead who holds up a picture."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import cv2
import numpy as np

from demo.head import Head
from demo.portraits import Portrait
from demo.room import HEIGHT, WIDTH, with_sensor_noise
from demo.scenes import JPEG_QUALITY, empty_room
from demo.stream import Camera
from demo.visitor import closer
from ostiary.messages.words import Prompt
from ostiary.vision.arrays import BGRImage
from ostiary.vision.detect import Detector
from ostiary.vision.image import encode_jpeg

YAW, PITCH, ZOOM = 34.0, 26.0, 1.45
"""How far a person turns and bends who is asked to, degrees; and how much larger one gets."""
STEPS = 5
"""Different pictures of a movement to its end."""
HOLDS = 0.3
"""The share of a movement's time in which the head is held where it got to."""
AGAIN_S = 0.8
FACES_WIDE = 2.8


@dataclass(frozen=True, slots=True)
class Posture:
    """How a head is held: degrees as in `Head.turned`, and how much larger it is than at first."""

    yaw: float = 0.0
    pitch: float = 0.0
    zoom: float = 1.0


STRAIGHT = Posture()


class Person(Protocol):
    """Who or what is before the camera."""

    def seen_in(self, posture: Posture) -> BGRImage:
        """(640, 480) BGR, not to be written to."""
        ...


def eased(progress: float) -> float:
    """From 0 to 1 as a limb moves: Flash and Hogan's minimum jerk (J. Neuroscience 5, 1985)."""
    p = min(1.0, max(0.0, progress))
    return float(p**3 * (10 - 15 * p + 6 * p * p))


def moving(
    prompt: Prompt | None, progress: float, zoom: float = 1.0, *, strength: float = 1.0
) -> Posture:
    """How far somebody is with a movement; 0 before it, 1 at its end. A turn and a nod are held for
    a moment and come back; somebody who has come closer (`zoom`) stays there."""
    way = (1 - HOLDS) / 2
    there = eased(min(progress, 1 - progress) / way)
    turned = strength * round(there * STEPS) / STEPS
    if prompt is Prompt.TURN_LEFT:
        return Posture(YAW * turned, 0.0, zoom)
    if prompt is Prompt.TURN_RIGHT:
        return Posture(-YAW * turned, 0.0, zoom)
    if prompt is Prompt.NOD:
        return Posture(0.0, PITCH * turned, zoom)
    if prompt is Prompt.COME_CLOSER:
        return Posture(zoom=zoom + (ZOOM - zoom) * eased(progress))
    return Posture(zoom=zoom)


@dataclass(slots=True, eq=False)
class Turner:
    """A person. Each posture is rendered once."""

    head: Head
    seen: dict[Posture, BGRImage] = field(default_factory=dict)

    @classmethod
    def of(cls, portrait: Portrait, detector: Detector) -> "Turner":
        image = portrait.around_head(FACES_WIDE, (WIDTH, HEIGHT))
        face, *_ = detector.detect(image, HEIGHT)
        assert face.landmarks is not None
        return cls(Head.fit(image, face.landmarks))

    def seen_in(self, posture: Posture) -> BGRImage:
        near = Posture(round(posture.yaw, 2), round(posture.pitch, 2))
        if near not in self.seen:
            straight = near == STRAIGHT
            self.seen[near] = (
                self.head.image if straight else self.head.turned(near.yaw, near.pitch)
            )
        return closer(self.seen[near], self.head, posture.zoom)

    def rehearse(self) -> None:
        """Render every movement beforehand."""
        for step in range(1, STEPS + 1):
            for yaw, pitch in ((YAW, 0.0), (-YAW, 0.0), (0.0, PITCH)):
                self.seen_in(Posture(yaw * step / STEPS, pitch * step / STEPS))


@dataclass(frozen=True, slots=True, eq=False)
class Still:
    """A picture that shows the person and does nothing."""

    head: Head

    def seen_in(self, _posture: Posture) -> BGRImage:
        return self.head.image


@dataclass(frozen=True, slots=True, eq=False)
class Photo:
    """A picture that a hand turns, bends and brings nearer as a head would move."""

    head: Head

    def seen_in(self, posture: Posture) -> BGRImage:
        return waved(self.head, posture)


@dataclass(frozen=True, slots=True, eq=False)
class Swapped:
    """One person who looks straight, and another who does the movements."""

    one: Person
    other: Person

    def seen_in(self, posture: Posture) -> BGRImage:
        still = posture.yaw == 0 and posture.pitch == 0 and posture.zoom == 1
        return (self.one if still else self.other).seen_in(posture)


@dataclass(frozen=True, slots=True, eq=False)
class Mirrored:
    """Somebody before a camera that gives mirror images."""

    person: Person

    def seen_in(self, posture: Posture) -> BGRImage:
        return np.ascontiguousarray(self.person.seen_in(posture)[:, ::-1])


def as_asked(prompt: Prompt) -> Prompt:
    return prompt


class Performer:
    """Hears what is asked, and has `person` do what `answer` makes of it: `reacts_s` later, in
    `takes_s`, and once more `AGAIN_S` later if nothing else is asked by then. Any thread may call;
    times are monotonic seconds."""

    def __init__(
        self,
        person: Person,
        answer: Callable[[Prompt], Prompt] = as_asked,
        *,
        reacts_s: float = 0.4,
        takes_s: float = 1.6,
        strength: float = 1.0,
    ) -> None:
        self.person = person
        self._answer = answer
        self._reacts_s = reacts_s
        self._takes_s = takes_s
        self._strength = strength
        self._lock = threading.Lock()
        self._doing: Prompt | None = None
        self._again: Prompt | None = None
        self._since = 0.0
        self._zoom = 1.0

    def asked(self, prompt: Prompt | None, now: float) -> None:
        """The door asks this; looking straight is what everybody does anyhow."""
        with self._lock:
            self._again = None
            if prompt is not None and prompt is not Prompt.LOOK_FRONT:
                self._doing, self._since = self._answer(prompt), now + self._reacts_s
                self._again = self._doing

    def posture(self, now: float) -> Posture:
        with self._lock:
            progress = (now - self._since) / self._takes_s
            if self._doing is not None and progress >= 1:
                self._zoom = ZOOM if self._doing is Prompt.COME_CLOSER else self._zoom
                self._doing, self._since = None, now + AGAIN_S
            elif self._doing is None and self._again is not None and progress >= 0:
                self._doing, self._since = self._again, now
                progress = 0.0
            return moving(self._doing, max(0.0, progress), self._zoom, strength=self._strength)


class Stage(Camera):
    """A camera before which somebody performs; nobody while `performer` is None."""

    def __init__(self) -> None:
        super().__init__(empty_room())
        self.performer: Performer | None = None
        self._number = 0

    def frame(self) -> bytes:
        performer = self.performer
        if performer is None:
            return super().frame()
        self._number += 1
        picture = performer.person.seen_in(performer.posture(time.monotonic()))
        return encode_jpeg(with_sensor_noise(picture, self._number), JPEG_QUALITY)


def waved(head: Head, posture: Posture, roll: float = 0.0, shift: float = 0.0) -> BGRImage:
    """The whole picture as a flat thing that is turned like the head, in perspective, by `roll`
    degrees in its plane, and moved aside by `shift` eye distances."""
    height, width = head.image.shape[:2]
    distance = float(np.linalg.norm(head.axes[:, 0]))
    yaw, pitch, tilt = np.radians([posture.yaw, posture.pitch, roll])
    turn = np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]])
    nod = np.array(
        [[1, 0, 0], [0, np.cos(pitch), np.sin(pitch)], [0, -np.sin(pitch), np.cos(pitch)]]
    )
    spin = np.array([[np.cos(tilt), -np.sin(tilt), 0], [np.sin(tilt), np.cos(tilt), 0], [0, 0, 1]])
    corners = distance * np.array([[-2, -2, 0], [2, -2, 0], [2, 2, 0], [-2, 2, 0]], np.float64)
    moved = corners @ (spin @ nod @ turn).T
    camera = 9.0 * distance
    there = posture.zoom * moved[:, :2] * camera / (camera - moved[:, 2:])
    centre = head.origin + 0.5 * head.axes[:, 1]
    there += [shift * distance, 0]
    homography = cv2.getPerspectiveTransform(
        (corners[:, :2] + centre).astype(np.float32), (there + centre).astype(np.float32)
    )
    flat = cv2.warpPerspective(
        head.image, homography, (width, height), borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(flat, np.uint8)
