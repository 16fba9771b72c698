"""What a rule asks of somebody who wants to pass."""

from enum import StrEnum


class Factor(StrEnum):
    """The values are part of the MQTT contract."""

    FACE = "face"
    FACE_AND_PIN = "face+pin"
    FACE_AND_CARD = "face+card"
    PIN = "pin"
    CARD = "card"

    @property
    def has_face(self) -> bool:
        return self.value.startswith("face")
