"""Why the door decided as it did."""

from enum import StrEnum


class Reason(StrEnum):
    """Why a decision came out as it did. The values are part of the MQTT contract."""

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
