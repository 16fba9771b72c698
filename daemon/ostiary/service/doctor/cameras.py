"""Do the cameras give pictures that one can judge a face on?"""

import time
from collections.abc import Iterator
from statistics import median

import cv2
import numpy as np

from ostiary.camera.address import is_open_on_the_way, redact
from ostiary.camera.frame import CameraStatus, Frame, ViewCondition, turned
from ostiary.camera.reader import CameraReader
from ostiary.errors import OstiaryError
from ostiary.service.doctor.check import Check, green, red, yellow
from ostiary.settings import CameraSettings, VisionSettings
from ostiary.vision.detect import Detector, YuNetDetector
from ostiary.vision.models import YUNET, model_path, models_directory
from ostiary.vision.quality import assess, colour_of, sharpness_of

FIRST_WITHIN_S = 5.0
PATIENCE_S = 30.0
"""Longest wait for a camera that has answered, or still may."""
WATCHED_S = 2.5
LEAST_ROOM, ROOM_FOR_A_FACE = 1.5, 2.5
"""Widths of the smallest judged face that have to fit into the shorter side of a picture: below the
first a face hardly fits, above the second it has room. Liveness is judged on 2.7 of them."""
SLOW = 0.6
"""Below this share of the wanted rate a camera is called slow."""
DARK, BRIGHT = 40.0, 215.0
GREY = 0.01
"""Value of `colour_of` for the whole picture below which there is no colour."""
LIGHT = "Move, focus or light the camera until a face is seen well where people stand."
BLURRED = 0.005
"""Value of `sharpness_of` for the whole picture; a scene in focus has several times as much."""


def check_camera(settings: CameraSettings, vision: VisionSettings | None = None) -> Iterator[Check]:
    """Whether a camera gives pictures that a face can be judged on. `vision` says how large a face
    must be, and where the models are that find it."""
    name = f"camera {settings.name}"
    vision = vision or VisionSettings()
    try:
        yield from _way(name, settings)
        began = time.monotonic()
        with CameraReader(settings) as reader:
            frames = _watch(reader)
            state = reader.state
    except OstiaryError as error:
        yield red(name, error.message, "Correct cameras.source.")
        return
    if not frames:
        yield red(
            name,
            f"{state.source}: {state.status}. {state.detail or 'No picture.'}",
            "Check cable, power and address. While the daemon runs it has the camera: "
            "`systemctl stop ostiary` first.",
        )
        return
    opened = f"{state.source}: {state.width} × {state.height}, {state.fps:.1f} frames a second"
    side, late_s = min(frames[-1].image.shape[:2]), frames[0].captured_at - began
    if side < ROOM_FOR_A_FACE * vision.min_face_px:
        needed = f"a face has to be {vision.min_face_px:g} pixels wide, with room about it"
        level = yellow if side >= LEAST_ROOM * vision.min_face_px else red
        yield level(name, f"{opened}: too small; {needed}", "Let the camera send 640 × 480.")
    elif late_s > FIRST_WITHIN_S:
        yield yellow(
            name,
            f"{opened}; the first after {late_s:.0f} s",
            "Let the camera send a key frame every second or two, and look why it answers late.",
        )
    elif state.status is not CameraStatus.ENDED and state.fps < SLOW * settings.fps:
        yield yellow(
            name,
            f"{opened}, {settings.fps:g} wanted",
            "More light shortens the exposure; USB 2 needs MJPG; or lower cameras.fps.",
        )
    else:
        yield green(name, opened)
    yield _picture(f"{name} picture", frames)
    yield from _faces(f"{name} faces", settings, frames, vision)


def _way(name: str, settings: CameraSettings) -> Iterator[Check]:
    if is_open_on_the_way(settings.source, settings.tls_ca):
        lacks = "not verified" if settings.source.lower().startswith("rtsps") else "not encrypted"
        yield yellow(
            f"{name} network",
            f"{redact(settings.source)}: {lacks}; who is on its network can show the door other "
            "pictures",
            "Use https://, or rtsps:// with cameras.tls_ca, where the camera speaks it, or give it "
            "a network of its own (a cable, a VLAN) and a login.",
        )


def _watch(reader: CameraReader) -> list[Frame]:
    began = time.monotonic()
    while (first := reader.newest(0, 0.5)) is None:
        waited, is_absent = time.monotonic() - began, reader.state.status is CameraStatus.ABSENT
        if waited > (FIRST_WITHIN_S if is_absent else PATIENCE_S):
            return []
    frames = [first]
    until = time.monotonic() + WATCHED_S
    while (left := until - time.monotonic()) > 0:
        frame = reader.newest(frames[-1].number, left)
        if frame is None:
            break
        frames.append(frame)
    return frames


def _picture(name: str, frames: list[Frame]) -> Check:
    looked_at = frames[-5:]
    grey = [cv2.cvtColor(frame.image, cv2.COLOR_BGR2GRAY) for frame in looked_at]
    brightness = median(float(picture.mean()) for picture in grey)
    sharpness = median(sharpness_of(np.asarray(picture, np.uint8)) for picture in grey)
    colour = median(colour_of(frame.image) for frame in looked_at)
    measured = f"brightness {brightness:.0f} of 255, sharpness {sharpness:.3f}, colour {colour:.2f}"
    view = looked_at[-1].view
    if view is not ViewCondition.CLEAR:
        return red(name, f"{view}; {measured}", "Uncover the lens, light the place, shade the sun.")
    if brightness < DARK:
        return yellow(name, f"dark: {measured}", "Light the faces from the front.")
    if brightness > BRIGHT:
        return yellow(name, f"too bright: {measured}", "Turn the camera from the light; shade it.")
    if sharpness < BLURRED:
        return yellow(name, f"blurred: {measured}", "Clean the lens; focus it on a face's place.")
    if colour < GREY:
        return yellow(
            name,
            f"black and white (night mode): {measured}",
            "Light the place and switch night mode off: a grey picture does not show who is live.",
        )
    return green(name, measured)


def _seen(name: str, frame: Frame, detector: Detector, vision: VisionSettings) -> Check:
    """How the nearest face is seen of a person who stands where people will."""
    faces = detector.detect(frame.image, max(frame.image.shape[:2]))
    if not faces:
        return green(name, "nobody in view; stand where people will, and run this again")
    found = assess(frame.image, faces[0], vision.min_face_px)
    seen = (
        f"{found.size_px:.0f} pixels wide, fills {found.filled:.0%} of the picture; sharpness "
        f"{found.sharpness:.3f}, brightness {found.brightness:.0f}, colour {found.colour:.2f}"
    )
    return green(name, seen) if found.good else yellow(name, f"{found.flaw}: {seen}", LIGHT)


def _faces(
    name: str, settings: CameraSettings, frames: list[Frame], vision: VisionSettings
) -> Iterator[Check]:
    """Whether faces stand upright: of the four ways to turn a picture, the detector is surest of
    the one in which they do."""
    try:
        detector = YuNetDetector(model_path(models_directory(vision.models), YUNET))
    except OstiaryError:
        return  # the models have a check of their own
    seen = {
        degrees: [
            face.score
            for frame in frames[-3:]
            for face in detector.detect(turned(frame.image, degrees))
        ]
        for degrees in (0, 90, 180, 270)
    }
    surest = max(seen, key=lambda degrees: max(seen[degrees], default=0.0))
    if surest == 0:  # also where nobody is in view
        yield _seen(name, frames[-1], detector, vision)
        return
    how = "upside down" if surest == 180 else "sideways"
    right = (settings.rotate + surest) % 360
    yield red(name, f"seen {how}: nobody is recognised so", f"Set cameras.rotate = {right}.")
