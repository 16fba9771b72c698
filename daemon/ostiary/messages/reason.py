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
    UNCERTAIN = "uncertain"
    AFTER_ATTACK = "after_attack"
    PIPELINE_ERROR = "pipeline_error"
