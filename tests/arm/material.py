"""What both processors are shown: frames of the demo's scenes, and crops of real faces."""

import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from demo.scenes import ENROLMENT_PORTRAIT, FPS, REGISTERED, Scene, empty_room
from demo.stream import to_and_fro
from ostiary.messages.words import Reason
from ostiary.vision.models import LANDMARKS5, YUNET
from ostiary_export import minifasnet
from ostiary_export.crops import (
    aligned_faces,
    chips_of,
    liveness_crops,
    load_portraits,
    sface_chips,
)

EVERY = 4
"""Of the demo's 12 frames a second three are shown: judging one takes seconds here."""
EMPTY_S = 2.0
"""Between two visitors, as in demo/run.py."""
STILL_S = 11.0
"""A picture is told to be still after the ten seconds of `judge.ACCESS`."""


def write_scenes(folder: Path, portraits: Path, scenes: Iterable[Scene]) -> None:
    """`scenes.json` and its pictures: [file, seconds, scene] of each frame, in order."""
    folder.mkdir()
    (folder / ENROLMENT_PORTRAIT).write_bytes((portraits / ENROLMENT_PORTRAIT).read_bytes())
    nobody = empty_room()
    frames: list[tuple[str, float, str]] = []
    names, now = [nobody.name], 100.0
    for scene in scenes:
        names.append(scene.name)
        is_still = scene.expected is Reason.STILL_PICTURE
        lasts = STILL_S if is_still else len(scene.frames) / FPS
        for shown, seconds in ((nobody, EMPTY_S), (scene, lasts)):
            for number in range(0, round(seconds * FPS), EVERY):
                jpeg = shown.frames[to_and_fro(number, len(shown.frames))]
                file = f"{len(frames):04}.jpg"
                (folder / file).write_bytes(jpeg)
                # Where nobody is seen, an answer is still one to whoever was there before.
                frames.append((file, now, names[-1] if shown is scene else names[-2]))
                now += EVERY / FPS
    play = {
        "enrolment": ENROLMENT_PORTRAIT,
        "registered": REGISTERED,
        "scenes": names,
        "frames": frames,
    }
    (folder / "scenes.json").write_text(json.dumps(play), encoding="utf-8")


def write_crops(file: Path, portraits: Path, models: Path, count: int) -> None:
    """`count` faces of the portraits as each network sees them, moved and lit differently."""
    pictures = load_portraits(portraits, models / YUNET)
    faces = aligned_faces(pictures)[:count]
    np.savez(
        file,
        v2=liveness_crops(pictures, minifasnet.V2.scale)[:count],
        v1se=liveness_crops(pictures, minifasnet.V1SE.scale)[:count],
        sface=sface_chips(pictures)[:count],
        dlib=chips_of(models / LANDMARKS5, faces),
    )
