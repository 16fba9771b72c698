"""Fixed words of the contract: reasons, prompts, states of a door, factors, recognisers.

Their values are part of the MQTT contract.
"""

from enum import StrEnum
from typing import Literal, get_args

RecognizerName = Literal["sface", "dlib"]
"""Names a network with its weights and its alignment. Other weights, another name."""

RECOGNIZERS: tuple[RecognizerName, ...] = get_args(RecognizerName)
"""Every recogniser that this version knows."""

UNIT_LENGTH: frozenset[RecognizerName] = frozenset({"sface"})
"""Recognisers whose descriptors have length 1: only their direction counts."""

PROMISING: frozenset[RecognizerName] = frozenset({"sface"})
"""Recognisers whose risk was tested on groups of people (docs/accuracy.md). dlib's risk is 70 to
170 times as large as said for East Asian adults."""

NO_PROMISE = "dlib promises no risk: for some groups of people it is a hundred times as large"
"""Shown with every risk of a recogniser that is not promising."""


class Reason(StrEnum):
    """Reason of a decision. The values are part of the MQTT contract."""

    GRANTED = "granted"
    UNKNOWN_FACE = "unknown_face"
    PRESENTATION_ATTACK = "presentation_attack"
    NO_FACE = "no_face"
    SEVERAL_FACES = "several_faces"
    LOW_QUALITY = "low_quality"
    # …of which these have a name of their own
    TOO_NEAR = "too_near"
    TOO_DARK = "too_dark"
    OUT_OF_FOCUS = "out_of_focus"
    NO_COLOUR = "no_colour"
    UNCERTAIN = "uncertain"
    STILL_PICTURE = "still_picture"
    AFTER_ATTACK = "after_attack"
    PIPELINE_ERROR = "pipeline_error"
    # a known person, whom the rules do not let pass
    OUTSIDE_SCHEDULE = "outside_schedule"
    EXPIRED = "expired"
    NOT_YET_VALID = "not_yet_valid"
    NOT_ALLOWED_HERE = "not_allowed_here"
    CLOCK_UNTRUSTED = "clock_untrusted"
    PASSED_BACK = "passed_back"
    # a known person, who did not show what the rules ask besides the face
    CREDENTIAL_MISSING = "credential_missing"
    FACE_MISSING = "face_missing"
    CHALLENGE_MISSING = "challenge_missing"
    CHALLENGE_FAILED = "challenge_failed"
    CHALLENGE_TIMEOUT = "challenge_timeout"
    CHALLENGE_PAUSED = "challenge_paused"
    SECOND_PERSON_MISSING = "second_person_missing"
    # a PIN or a card that is nobody's, or not theirs
    WRONG_CREDENTIAL = "wrong_credential"
    LOCKED_OUT = "locked_out"
    # whoever it was
    LOCKDOWN = "lockdown"


class Prompt(StrEnum):
    """Movement that is asked for. Left and right are the person's own. `step_back` is in no
    challenge: it is asked of a face that fills the picture. The values are part of the MQTT
    contract."""

    LOOK_FRONT = "look_front"
    TURN_LEFT = "turn_left"
    TURN_RIGHT = "turn_right"
    NOD = "nod"
    COME_CLOSER = "come_closer"
    STEP_BACK = "step_back"


class Mode(StrEnum):
    """Mode of a physical door. The values are part of the MQTT contract."""

    NORMAL = "normal"
    UNLOCKED = "unlocked"
    LOCKDOWN = "lockdown"


def by_whom(way: str, name: str | None) -> str:
    """Name who asks, as it is recorded: `http/anna`, or the way alone where the name is unknown."""
    return way if name is None else f"{way}/{name}"


class DoorState(StrEnum):
    """State of a physical door. `fault`: its contact cannot be read."""

    LOCKED = "locked"
    UNLOCKED = "unlocked"
    OPEN = "open"
    FORCED = "forced"
    HELD_OPEN = "held_open"
    FAULT = "fault"


class DoorWhat(StrEnum):
    """Change at a physical door."""

    OPENED = "opened"
    CLOSED = "closed"
    FORCED = "forced"
    HELD_OPEN = "held_open"
    EXIT_BUTTON = "exit_button"
    RELEASED = "released"
    FORGIVEN = "forgiven"
    MODE = "mode"
    SILENCED = "silenced"
    ALARM_OVER = "alarm_over"
    FAULT = "fault"
    FAULT_OVER = "fault_over"
    CALIBRATED = "calibrated"
    CALIBRATION_DROPPED = "calibration_dropped"


class Factor(StrEnum):
    """Factors that a rule asks for."""

    FACE = "face"
    FACE_AND_PIN = "face+pin"
    FACE_AND_CARD = "face+card"
    PIN = "pin"
    CARD = "card"

    @property
    def credential(self) -> str | None:
        """Credential that is needed for it: `pin` or `card`; None: the face alone."""
        last = self.value.rpartition("+")[2]
        return None if last == "face" else last

    @property
    def has_face(self) -> bool:
        return self.value.startswith("face")


class Day(StrEnum):
    """A day of the week. A holiday is a day of its own and not the weekday that it falls on."""

    MON = "mon"
    TUE = "tue"
    WED = "wed"
    THU = "thu"
    FRI = "fri"
    SAT = "sat"
    SUN = "sun"
    HOLIDAY = "holiday"


WEEK = (Day.MON, Day.TUE, Day.WED, Day.THU, Day.FRI, Day.SAT, Day.SUN)
