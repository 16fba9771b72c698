"""What is told to somebody who is to be enrolled."""

from dataclasses import dataclass
from typing import cast

import numpy as np
import pytest

from ostiary.camera.frame import Frame
from ostiary.decision.vote import Observation
from ostiary.http.live import NOT_LIVE, guidance
from ostiary.http.parts import ConsoleParts
from ostiary.messages.decision import Decision
from ostiary.messages.words import Reason
from ostiary.pipeline.recognition import SeenFace, View
from ostiary.settings import AccessSettings
from ostiary.vision.face import Box, Face
from ostiary.vision.quality import Flaw


@dataclass
class Parts:
    """Of the console: thresholds, and a face without a flaw."""

    def access(self) -> AccessSettings:
        return AccessSettings()

    def flaw(self, _image: object, _face: Face) -> Flaw | None:
        return None


def told(liveness: float | None, reason: Reason | None) -> str:
    observation = None if liveness is None else Observation(liveness, None)
    decision = None if reason is None else Decision(reason)
    face = SeenFace(Face(Box(10, 10, 40, 40), 1.0), observation, decision)
    frame = Frame(np.full((64, 64, 3), 128, np.uint8), 1, 0.0, "front")
    return guidance(View(frame, (face,)), cast(ConsoleParts, Parts()))


@pytest.mark.parametrize("reason", sorted(NOT_LIVE))
@pytest.mark.parametrize("liveness", [None, 0.1, 0.99])
def test_a_face_that_the_door_takes_for_a_photo_is_no_live_person(
    reason: Reason, liveness: float | None
) -> None:
    """Though a single frame of it may look so."""
    assert told(liveness, reason) == "not_live"


@pytest.mark.parametrize("reason", [None, Reason.GRANTED, Reason.UNKNOWN_FACE])
def test_any_other_goes_by_what_the_frame_shows(reason: Reason | None) -> None:
    assert told(0.99, reason) == "ready"
    assert told(None, reason) == "ready"
    assert told(0.1, reason) == "not_live"
