"""Somebody who slips in beside a person the door is already following."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from ostiary.vision.arrays import BGRImage
from ostiary.vision.engine import VisionEngine
from ostiary.vision.image import decode_image, encode_jpeg
from testing.cameras import until
from testing.recognizing import recognizing
from testing.rules import PATIENT

SIDE = 480


def standing(portrait: Path, engine: VisionEngine) -> BGRImage:
    """Half a picture, (480, 480, 3) BGR, with a face of 160 pixels in its middle."""
    bgr = decode_image(portrait.read_bytes())
    box = engine.detect(bgr)[0].box
    scale = 160 / box.width
    x, y = box.center
    move = np.array([[scale, 0, SIDE / 2 - scale * x], [0, scale, SIDE / 2 - scale * y]])
    return np.asarray(cv2.warpAffine(bgr, move, (SIDE, SIDE), borderValue=(90, 90, 90)), np.uint8)


def test_a_stranger_who_steps_up_beside_a_followed_face_keeps_the_door_shut(
    tmp_path: Path, engine: VisionEngine, portraits: Path
) -> None:
    """Only the surroundings of the followed face are searched between looks at the whole frame,
    here for a minute: the stranger is there from the second frame on, outside of them. It all comes
    again until a slow machine has seen enough; too rarely is the person alone to pass by that."""
    known = standing(portraits / "obama2.jpg", engine)
    stranger = standing(portraits / "biden.jpg", engine)
    nobody = np.full_like(known, 90)
    alone = encode_jpeg(np.hstack([known, nobody, nobody]), 95)
    both = encode_jpeg(np.hstack([known, nobody, stranger]), 95)
    follows = replace(engine, whole_frame_every_s=60.0)
    known_here = [portraits / "obama.jpg"]
    frames = [alone, *[both] * 30]
    with recognizing(tmp_path, follows, frames, known_here, PATIENT, loop=True) as door:
        until(lambda: bool(door.told))
    assert door.reasons[0] == "several_faces"
    assert "granted" not in door.reasons
    with recognizing(tmp_path / "alone", follows, [alone], known_here, PATIENT, loop=True) as door:
        until(lambda: bool(door.told))
    assert door.reasons == ["granted"], "the same person alone is let in"
