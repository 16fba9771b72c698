"""By whose clocks rules hold, how long what they ask may take, and who passes without one."""

import os
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, field_validator

from ostiary.settings.section import Section

LOCALTIME = Path("/etc/localtime")


class RulesSettings(Section):
    """What holds for all rules."""

    timezone: str | None = Field(
        None,
        examples=["Europe/Berlin"],
        description="The time zone (IANA) of the hours in rules. Unset: the machine's.",
    )
    without_group: Literal["always", "never"] = Field(
        "always",
        description="When people in no group pass. never: not at all; give everybody a group "
        "first.",
    )
    remove_ended_after_days: float = Field(
        30.0,
        ge=0,
        le=36500,
        description="People whose time is over are removed after so many days, with their "
        "templates.",
    )
    second_person_s: float = Field(
        15.0,
        gt=0,
        le=300,
        description="Where a rule wants two persons, the second comes within so long after the "
        "first.",
    )
    shown_within_s: float = Field(
        15.0,
        gt=0,
        le=300,
        description="A PIN, a card or the answer to a challenge is taken for so long after the "
        "face.",
    )

    @field_validator("timezone")
    @classmethod
    def _is_a_zone(cls, value: str | None) -> str | None:
        if value is None:
            return None
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(
                f"there is no time zone {value!r} here; it is written as Europe/Berlin is, and "
                "comes with the Debian package tzdata"
            ) from None
        return value

    @property
    def zone(self) -> ZoneInfo:
        """The zone that is meant, UTC where the machine does not say."""
        names = (self.timezone, os.environ.get("TZ"), _machine_zone(), "UTC")
        for name in names:
            try:
                if name:
                    return ZoneInfo(name.removeprefix(":"))
            except (ZoneInfoNotFoundError, ValueError, OSError):
                continue
        raise ZoneInfoNotFoundError("UTC")


class ClockSettings(Section):
    """Whether the clock is trusted."""

    trust: Literal["synchronised", "always"] = Field(
        "synchronised",
        description="synchronised: people with hours, or with a first or last day, pass only "
        "while the clock is synchronised (NTP). always: whatever the clock says.",
    )


def _machine_zone() -> str | None:
    try:
        target = str(LOCALTIME.resolve(strict=True))
    except (OSError, RuntimeError):
        return None
    _, found, name = target.rpartition("/zoneinfo/")
    return name if found else None
