"""Somebody who does what the door asks: a rendered head (`demo.head`) that turns, nods and comes
closer as people do, and the same with a flat picture, which is what a hand can do with a photo."""

from dataclasses import dataclass, field

import cv2
import numpy as np

from demo.head import Head
from demo.portraits import Portrait
from demo.room import HEIGHT, WIDTH
from ostiary.messages.prompt import Prompt
from ostiary.vision.arrays import BGRImage
from ostiary.vision.detect import Detector

YAW, PITCH, ZOOM = 34.0, 26.0, 1.45
"""How far a person turns and bends who is asked to, degrees; and how much larger one gets."""
STEPS = 8
"""Different pictures of a movement to its end."""
FACES_WIDE = 2.8


@dataclass(frozen=True, slots=True)
class Posture:
    """How a head is held: degrees as in `Head.turned`, and how much larger it is than at first."""

    yaw: float = 0.0
    pitch: float = 0.0
    zoom: float = 1.0


def eased(progress: float) -> float:
    """From 0 to 1 as a limb moves: Flash and Hogan's minimum jerk (J. Neuroscience 5, 1985)."""
    p = min(1.0, max(0.0, progress))
    return float(p**3 * (10 - 15 * p + 6 * p * p))


def moving(prompt: Prompt | None, progress: float, zoom: float = 1.0) -> Posture:
    """How far somebody is with what was asked; 0 before it, 1 at its end. A turn and a nod come
    back by then, and who has come closer (`zoom`) stays there."""
    there = eased(2 * progress if progress < 0.5 else 2 - 2 * progress)
    step = round(there * STEPS) / STEPS
    if prompt is Prompt.TURN_LEFT:
        return Posture(YAW * step, 0.0, zoom)
    if prompt is Prompt.TURN_RIGHT:
        return Posture(-YAW * step, 0.0, zoom)
    if prompt is Prompt.NOD:
        return Posture(0.0, PITCH * step, zoom)
    if prompt is Prompt.COME_CLOSER:
        return Posture(zoom=1 + (ZOOM - 1) * round(eased(progress) * STEPS) / STEPS)
    return Posture(zoom=zoom)


@dataclass(slots=True, eq=False)
class Turner:
    """A person before the camera, (640, 480) BGR. Pictures are rendered once for each posture."""

    head: Head
    seen: dict[Posture, BGRImage] = field(default_factory=dict)

    @classmethod
    def of(cls, portrait: Portrait, detector: Detector) -> "Turner":
        image = portrait.around_head(FACES_WIDE, (WIDTH, HEIGHT))
        face, *_ = detector.detect(image, 640)
        assert face.landmarks is not None
        return cls(Head.fit(image, face.landmarks))

    def seen_in(self, posture: Posture) -> BGRImage:
        """What the camera sees; do not write to it."""
        if posture not in self.seen:
            turned = self.head.turned(posture.yaw, posture.pitch)
            self.seen[posture] = _closer(turned, self.head.origin, posture.zoom)
        return self.seen[posture]


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


def _closer(image: BGRImage, about: np.ndarray, zoom: float) -> BGRImage:
    if zoom == 1.0:
        return image
    x, y = float(about[0]), float(about[1])
    move = np.array([[zoom, 0, x - zoom * x], [0, zoom, y - zoom * y]])
    height, width = image.shape[:2]
    closer = cv2.warpAffine(image, move, (width, height), flags=cv2.INTER_CUBIC)
    return np.asarray(closer, np.uint8)
