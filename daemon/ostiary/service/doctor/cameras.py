"""Do the cameras give pictures that one can judge a face on?"""

import time
from collections.abc import Iterator
from statistics import median

import cv2
import numpy as np

from ostiary.camera.address import is_open_on_the_way, redact
from ostiary.camera.frame import CameraStatus, Frame, ViewCondition
from ostiary.camera.reader import CameraReader
from ostiary.config import CameraSettings
from ostiary.errors import OstiaryError
from ostiary.service.doctor.check import Check, green, red, yellow
from ostiary.vision.quality import sharpness_of

FIRST_WITHIN_S = 5.0
WATCHED_S = 2.5
SLOW = 0.6
"""Below this share of the wanted rate a camera is called slow."""
DARK, BRIGHT = 40.0, 215.0
BLURRED = 0.005
"""Of `sharpness_of` for the whole picture; a scene in focus has several times as much."""


def check_camera(settings: CameraSettings) -> Iterator[Check]:
    name = f"camera {settings.name}"
    try:
        yield from _way(name, settings.source)
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
    if state.status is not CameraStatus.ENDED and state.fps < SLOW * settings.fps:
        yield yellow(
            name,
            f"{opened}, {settings.fps:g} wanted",
            "More light shortens the exposure; USB 2 needs MJPG; or lower cameras.fps.",
        )
    else:
        yield green(name, opened)
    yield _picture(f"{name} picture", frames)


def _way(name: str, source: str) -> Iterator[Check]:
    if is_open_on_the_way(source):
        yield yellow(
            f"{name} network",
            f"{redact(source)}: neither encrypted nor verified; who is on its network can show the "
            "door other pictures",
            "Use https:// where the camera speaks it, or give it a network of its own (a cable, a "
            "VLAN) and a login.",
        )


def _watch(reader: CameraReader) -> list[Frame]:
    first = reader.newest(0, FIRST_WITHIN_S)
    if first is None:
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
    measured = f"brightness {brightness:.0f} of 255, sharpness {sharpness:.3f}"
    view = looked_at[-1].view
    if view is not ViewCondition.CLEAR:
        return red(name, f"{view}; {measured}", "Uncover the lens, light the place, shade the sun.")
    if brightness < DARK:
        return yellow(name, f"dark: {measured}", "Light the faces from the front.")
    if brightness > BRIGHT:
        return yellow(name, f"too bright: {measured}", "Turn the camera from the light; shade it.")
    if sharpness < BLURRED:
        return yellow(name, f"blurred: {measured}", "Clean the lens; focus it on a face's place.")
    return green(name, measured)
