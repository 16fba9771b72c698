"""Who may pass and when: what frames have to show, what holds for all rules, and whose clock."""

import os
from pathlib import Path
from typing import Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, field_validator, model_validator

from ostiary.messages.words import RecognizerName
from ostiary.settings.section import Seconds, Section

LARGEST_DISTANCE: dict[RecognizerName, float] = {"sface": 1.25, "dlib": 0.63}
"""Above these, one stranger in forty is taken for a given person by a single comparison
(resources/recognition.toml): no door should be set so."""

LEAST_LIVE = 0.5
"""The floor of `access.live_threshold`: below it more speaks for an attack than against it."""


ChallengeMode = Literal["off", "uncertain", "always"]
"""People of whom a challenge is asked, whatever the rules say."""
LOCALTIME = Path("/etc/localtime")


class AccessSettings(Section):
    """When somebody may pass."""

    false_accept: float = Field(
        0.001,
        ge=1e-6,
        le=0.1,
        description="The risk that one stranger who steps up is taken for anybody: 0.001 is one in "
        "a thousand. The door's distance threshold follows from it and from how many templates are "
        "registered now.",
    )
    distance_threshold: float | None = Field(
        None,
        gt=0,
        le=max(LARGEST_DISTANCE.values()),
        examples=[1.1],
        description="Instead of false_accept: the largest Euclidean distance, in the recogniser's "
        "own metric, that is still the same person, however many are registered. `ostiary doctor` "
        "says what risk that is.",
    )
    migrate: bool = Field(
        True,
        description="People who have templates of another recogniser only are still recognised by "
        "it. They get a template of this one when they are granted by a safe margin.",
    )
    learn_second: bool = Field(
        True,
        description="Two templates a person are the rule. People who have one get the second from "
        "their first two visits, an hour or more apart, that were granted by a safe margin. An "
        "event and an audit row tell it.",
    )
    live_threshold: float = Field(
        0.9,
        ge=LEAST_LIVE,
        le=1,
        description="P(live) from which a frame counts as showing a live person.",
    )
    attack_threshold: float = Field(
        0.2, ge=0.01, le=1, description="P(live) up to which a frame is a clear attack."
    )
    votes: int = Field(3, ge=2, le=100, description="Frames that must agree…")
    window: int = Field(5, ge=2, le=100, description="…of the last so many of a track.")
    decide_within_s: float = Field(
        5.0, gt=0, description="A face that is undecided for so long is denied."
    )
    forget_after_s: float = Field(
        1.0,
        ge=0.2,
        le=60,
        description="A face that was unseen for so long counts as another one. A processor that "
        "takes longer for a frame needs a longer time, or no two of its frames ever count "
        "together.",
    )
    cooldown_s: Seconds = Field(
        10.0, description="The same outcome for the same person within so long is one event."
    )
    one_person_only: bool = Field(
        True, description="Deny while several near faces are in view (tailgating)."
    )
    attack_pause_s: float = Field(
        15.0,
        ge=0,
        le=600,
        description="After a clear attack nobody is let in for 2 s, twice as long after each "
        "further one, so long at most. 0: no pause.",
    )
    challenge: ChallengeMode | None = Field(
        None,
        examples=["uncertain"],
        description="Who has to turn, nod or come closer, as …/door/prompt asks at random, before "
        "the door opens. off: only people of whom a rule wants it. uncertain: also known people "
        "who would be denied, as they stand as still as a picture (still_picture), or are neither "
        "clearly live nor clearly a picture (uncertain). always: everybody who would be granted. "
        "Unset: uncertain where the console's live page shows the prompt (http.enabled), off "
        "elsewhere. Set it where something else shows or says the prompt.",
    )
    challenge_s: float = Field(
        15.0, ge=5, le=60, description="How long somebody has for all movements that are asked for."
    )

    @model_validator(mode="after")
    def _can_be_fulfilled(self) -> Self:
        if self.distance_threshold is not None and "false_accept" in self.model_fields_set:
            raise ValueError(
                "false_accept (a risk) and distance_threshold (a distance) are both set; "
                "remove one of them"
            )
        if self.votes > self.window:
            raise ValueError(f"votes ({self.votes}) cannot exceed window ({self.window})")
        if self.attack_threshold >= self.live_threshold:
            raise ValueError(
                f"attack_threshold ({self.attack_threshold}) must be below "
                f"live_threshold ({self.live_threshold})"
            )
        return self


ADJUSTABLE = (
    "false_accept",
    "distance_threshold",
    "live_threshold",
    "attack_threshold",
    "votes",
    "window",
    "decide_within_s",
    "cooldown_s",
    "one_person_only",
)
"""The fields of `[access]` that may be set while running (`overrides.py`)."""


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
