"""Decisions of the door, and their words."""

from dataclasses import dataclass, replace

from ostiary.messages.words import Reason, RecognizerName

_NOT_NOW = "Not now, or not here. Ask whoever looks after this door."
"""Said at the door for every denial by a rule. The exact reason is in the event only."""

_MESSAGES = {
    Reason.GRANTED: "Welcome, {username}.",
    Reason.UNKNOWN_FACE: "Unknown person.",
    Reason.PRESENTATION_ATTACK: "The face is a photo or a screen, not a live person.",
    Reason.NO_FACE: "No face in the picture.",
    Reason.SEVERAL_FACES: "More than one face; one person at a time, please.",
    Reason.LOW_QUALITY: "The face is too small, blurred, dark or turned away to decide.",
    Reason.TOO_NEAR: "The face fills the picture; step back a little, please.",
    Reason.TOO_DARK: "The face is too dark to decide; more light, please.",
    Reason.OUT_OF_FOCUS: "The face is blurred; stand still, please, or let the camera be focused.",
    Reason.NO_COLOUR: "The picture is black and white: it does not show whether a face is live.",
    Reason.UNCERTAIN: "The frames do not agree; denied to be safe.",
    Reason.STILL_PICTURE: "Move your head a little, please: a picture stands as still.",
    Reason.AFTER_ATTACK: "Wait a moment: a photo was shown.",
    Reason.PIPELINE_ERROR: "Something failed while deciding; denied to be safe.",
    Reason.OUTSIDE_SCHEDULE: _NOT_NOW,
    Reason.EXPIRED: _NOT_NOW,
    Reason.NOT_YET_VALID: _NOT_NOW,
    Reason.NOT_ALLOWED_HERE: _NOT_NOW,
    Reason.CLOCK_UNTRUSTED: _NOT_NOW,
    Reason.PASSED_BACK: _NOT_NOW,
    Reason.FACE_MISSING: "A PIN or a card alone is not enough here.",
    Reason.WRONG_CREDENTIAL: "That was not right.",
    Reason.LOCKED_OUT: "Too many wrong tries; wait a little, please.",
    Reason.LOCKDOWN: _NOT_NOW,
    Reason.CREDENTIAL_MISSING: "The face alone is not enough here.",
    Reason.CHALLENGE_MISSING: "What was asked for was not seen in time; denied to be safe.",
    Reason.CHALLENGE_FAILED: "What was asked was not done, or not by one person; denied.",
    Reason.CHALLENGE_TIMEOUT: "What was asked was not done in time; denied.",
    Reason.CHALLENGE_PAUSED: "What was asked was not done before; wait a little, please.",
    Reason.SECOND_PERSON_MISSING: "Two people are needed here, one after the other.",
}


@dataclass(frozen=True, slots=True)
class Decision:
    """A decision of the door.

    `distance` is Euclidean, 0 or more; `threshold` and `recognizer` are those it was measured by.
    `liveness` is P(live), 0 to 1. Each is None where it was not measured.
    """

    reason: Reason
    username: str | None = None
    distance: float | None = None
    liveness: float | None = None
    threshold: float | None = None
    recognizer: RecognizerName | None = None

    @property
    def success(self) -> bool:
        return self.reason is Reason.GRANTED

    @property
    def similarity(self) -> float | None:
        """1 - distance, as the first version defined it."""
        return None if self.distance is None else 1.0 - self.distance

    def rounded(self, digits: int) -> "Decision":
        """Round the decision to `digits` decimals, as it is told. More digits of a distance or of
        P(live) would only help somebody who tries many pictures and goes on with the better
        ones."""
        return replace(
            self,
            distance=None if self.distance is None else round(self.distance, digits),
            liveness=None if self.liveness is None else round(self.liveness, digits),
            threshold=None if self.threshold is None else round(self.threshold, digits),
        )

    @property
    def message(self) -> str:
        return _MESSAGES[self.reason].format(username=self.username)

    def told(self) -> dict[str, object]:
        """The fields that every answer and event of a decision has."""
        return {
            "success": self.success,
            "reason": self.reason,
            "message": self.message,
            "username": self.username,
            "distance": self.distance,
            "similarity": self.similarity,
            "threshold": self.threshold,
            "recognizer": self.recognizer,
            "liveness": self.liveness,
        }
