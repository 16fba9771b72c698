"""The words in which rules are written. Their values are part of the MQTT contract."""

from enum import StrEnum


class Factor(StrEnum):
    """What has to be shown."""

    FACE = "face"
    FACE_AND_PIN = "face+pin"
    FACE_AND_CARD = "face+card"
    PIN = "pin"
    CARD = "card"

    @property
    def credential(self) -> str | None:
        """What somebody has to have been given for it: `pin`, `card`, or nothing."""
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
