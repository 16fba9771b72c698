"""The physical door: relay, contact, button and alarm; keypads and card readers beside it."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, field_validator, model_validator

from ostiary.messages.times import Hours
from ostiary.settings.cameras import CameraName
from ostiary.settings.section import Section

Line = int | str
Pull = Literal["up", "down", "none"]
SensorTopic = Annotated[str, StringConstraints(pattern=r"^[^+#\x00]{1,256}$")]


class DoorSettings(Section):
    """A physical door's contact, button and alarm. Repeat it for several; none: a lock only."""

    camera: CameraName = Field("front", description="The camera that looks at it.")
    contact: Literal["none", "gpio", "mqtt"] = Field(
        "none",
        description="Whether the door is shut is told by: nothing, a line of this machine, or "
        "MQTT (contact_topic, or the command `contact`).",
    )
    contact_topic: SensorTopic | None = Field(
        None,
        examples=["zigbee2mqtt/front door"],
        description="A sensor's own topic: open, closed, ON (open), OFF, true or false (see "
        "contact_true), or JSON with `contact` (true: shut) as zigbee2mqtt has it. JSON that says "
        "nothing of the contact changes nothing.",
    )
    contact_true: Literal["closed", "open"] = Field(
        "closed",
        description="What a plain true or 1 means: closed, as zigbee2mqtt has it (there is "
        "contact), or open.",
    )
    contact_availability: tuple[SensorTopic, ...] | None = Field(
        None,
        examples=[["zigbee2mqtt/front door/availability", "zigbee2mqtt/bridge/state"]],
        description="Topics that say `offline` while the sensor cannot be read. Unset: as "
        "zigbee2mqtt has them, <contact_topic>/availability and <its first level>/bridge/state, "
        "where the broker permits them. Empty: none.",
    )
    contact_silence_s: float = Field(
        90_000.0,
        ge=0,
        description="A sensor that was silent for longer counts as unreadable: its battery may be "
        "empty. The sensors of zigbee2mqtt speak at least once in 25 hours. 0: no limit.",
    )
    chip: Path = Field(Path("/dev/gpiochip0"), description="The GPIO chip of the lines below.")
    contact_line: Line | None = Field(
        None, examples=[22], description="The contact's line: its offset or its name."
    )
    contact_closed: Literal["low", "high"] = Field(
        "low", description="The line's level while the door is shut: low for a contact to ground."
    )
    exit_line: Line | None = Field(
        None, examples=[23], description="The request-to-exit button's line."
    )
    exit_pressed: Literal["low", "high"] = Field(
        "low",
        description="The line's level while the button is pressed: low for a button to ground.",
    )
    pull: Pull = Field("up", description="The resistor of both lines inside the chip.")
    alarm_line: Line | None = Field(
        None, examples=[24], description="An output that is active while the alarm sounds."
    )
    alarm_active_low: bool = Field(False, description="The alarm sounds while the line is low.")
    held_open_s: float = Field(
        30.0,
        gt=0,
        le=86400,
        description="A door that is open for longer is held open: the alarm sounds.",
    )
    grace_s: float = Field(
        0.5,
        ge=0,
        le=5,
        description="A door that opens within so long after its lock was released is not forced.",
    )
    alarm_s: float = Field(
        60.0,
        gt=0,
        le=3600,
        description="The alarm of a forced door sounds for so long at least, open or shut.",
    )

    unlocked: tuple[str, ...] = Field(
        (),
        description="Hours in which the door stands unlocked, by the site's clocks: "
        '"mon-fri 08:00-17:30", "sat,holiday 09:00-12:00". It locks in a lockdown, while its '
        "contact cannot be read, and by a clock that is not synchronised.",
    )

    @field_validator("unlocked")
    @classmethod
    def _are_hours(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for text in value:
            Hours.read(text)
        return value

    @model_validator(mode="after")
    def _the_contact_is_somewhere(self) -> Self:
        if self.contact == "gpio" and self.contact_line is None:
            raise ValueError('contact = "gpio" needs contact_line')
        if self.contact_line is not None and self.contact != "gpio":
            raise ValueError('contact_line is for contact = "gpio"')
        if self.contact_topic is not None and self.contact != "mqtt":
            raise ValueError('contact_topic is for contact = "mqtt"')
        return self

    @property
    def has_lines(self) -> bool:
        return self.contact_line is not None or self.exit_line is not None


class RelaySettings(Section):
    """A relay at this machine that opens the door (needs the extra `ostiary[gpio]`)."""

    enabled: bool = Field(False, description="Pulse it when a camera's face is granted.")
    chip: Path = Field(Path("/dev/gpiochip0"), description="The GPIO chip.")
    line: int | str = Field(17, description="The line on the chip: its offset or its name.")
    active_low: bool = Field(False, description="The relay switches on when the line is low.")
    pulse_s: float = Field(3.0, gt=0, le=60, description="How long the lock is released, seconds.")


class ReaderSettings(Section):
    """A keypad or card reader. Repeat the table for several."""

    door: CameraName = Field("front", description="The camera of the door it stands at.")
    device: Path | None = Field(
        None,
        examples=["/dev/input/by-id/usb-reader-event-kbd"],
        description="The input device of a reader that is a keyboard, as most USB readers and "
        "keypads are. While the daemon runs, nothing else gets what it types.",
    )
    chip: Path = Field(Path("/dev/gpiochip0"), description="Instead: a Wiegand reader's chip…")
    d0: Line | None = Field(None, examples=[5], description="…with the line of its wire D0…")
    d1: Line | None = Field(None, examples=[6], description="…and that of D1 (both idle high).")
    kind: Literal["auto", "pin", "card"] = Field(
        "auto",
        description="What it reads. auto: digits that come faster than anybody types are a card, "
        "others a PIN; a Wiegand reader tells which.",
    )

    @model_validator(mode="after")
    def _is_one_of_both(self) -> Self:
        wires = [self.d0, self.d1].count(None)
        if wires == 1:
            raise ValueError("a Wiegand reader has two wires: set d0 and d1")
        if (self.device is None) == (wires == 2):
            raise ValueError("set device, or d0 and d1, and not both")
        return self


class CredentialSettings(Section):
    """PINs and cards."""

    pin_digits: int = Field(
        4,
        ge=4,
        le=12,
        description="A PIN has at least so many digits. Use six where a PIN alone opens.",
    )
    tries: int = Field(
        5,
        ge=1,
        le=100,
        description="After so many wrong PINs or unknown cards in a row, at one door or of one "
        "person there, none is taken for a minute; twice as long after each further one, a "
        "quarter of an hour at most.",
    )
