"""Groups, rules and holidays: who may pass which door, and when."""

import datetime
from typing import Annotated

from pydantic import AfterValidator, Field, WithJsonSchema

from ostiary.errors import GroupInvalid, UsernameInvalid
from ostiary.messages.commands.base import Answer, Base64Image, Request
from ostiary.messages.events import Message
from ostiary.messages.username import LONGEST, Username, checked_username
from ostiary.messages.words import Day, Factor, Reason

SEPARATORS = ";|"
"""Stand between groups in a list of people. No group's name has one."""


def _label(text: str) -> str:
    try:
        name = checked_username(text)
    except UsernameInvalid as error:
        said = error.message.replace("A user name", "The name of a group or rule")
        raise GroupInvalid(said) from None
    if any(each in name for each in SEPARATORS):
        raise GroupInvalid(f"The name of a group or rule must not have {' or '.join(SEPARATORS)}.")
    return name


Label = Annotated[
    str,
    AfterValidator(_label),
    WithJsonSchema(
        {
            "type": "string",
            "minLength": 1,
            "maxLength": LONGEST,
            "description": "1 to 64 characters, none of them a control character, ; or |.",
        }
    ),
]
Moment = Annotated[str, Field(min_length=1, max_length=64)]
WHEN = (
    "RFC 3339; without an offset, in the door's time zone. A date alone means its first moment, as "
    "an end its last."
)


class Allowance(Message):
    """A person's groups, and the time in which the person may pass at all. A field that is left
    out changes nothing. An empty list, and null, clear it."""

    groups: tuple[Label, ...] = Field(
        default=(), max_length=100, strict=False, description="Left out: as before. []: none."
    )
    valid_from: Moment | None = Field(
        default=None, description="Left out: as before. null: none. " + WHEN
    )
    valid_until: Moment | None = Field(
        default=None, description="Left out: as before. null: none. " + WHEN
    )


ClockTime = Annotated[
    str, Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$|^24:00$", examples=["08:00"])
]


class WeeklyHours(Message):
    """Hours on these days, from `start` to before `end`, in the door's time zone. Where `end` is
    not after `start`, they go on into the next day."""

    days: tuple[Day, ...] = Field(
        strict=False,
        description="A holiday is a day of its own and not the weekday that it falls on.",
    )
    start: ClockTime
    end: ClockTime


class AccessRule(Message):
    """Lets its groups pass its doors in its hours, if they show what it needs."""

    name: Label
    groups: tuple[Label, ...] = Field(min_length=1, strict=False)
    doors: tuple[str, ...] | None = Field(
        default=None, min_length=1, strict=False, description="Cameras' names; null: every door."
    )
    hours: tuple[WeeklyHours, ...] | None = Field(
        default=None, strict=False, description="null: at any time."
    )
    needs: Factor = Field(default=Factor.FACE, strict=False, description="What has to be shown.")
    step_up: bool = Field(default=False, description="Ask for a challenge, too.")
    two_person: bool = Field(
        default=False, description="Two people who may pass, one right after the other."
    )
    anti_passback: bool = Field(
        default=False,
        description="Let nobody in again before they went out (cameras with a `direction`).",
    )
    valid_from: Moment | None = Field(default=None, description=WHEN)
    valid_until: Moment | None = Field(default=None, description=WHEN)


class Confirmed(Request):
    confirm: bool = Field(
        default=False, description="Do it although nobody could pass a door any more."
    )


class GroupRecord(Message):
    name: str
    members: int = Field(ge=0)
    rules: tuple[str, ...] = Field(description="Names of the rules for this group.")


class Holiday(Message):
    date: datetime.date = Field(
        strict=False, description="Day of the calendar, in the door's time zone."
    )
    name: str = Field(default="", max_length=LONGEST)


class RulesRequest(Request):
    """List the groups, rules and holidays."""

    limit: int | None = Field(
        default=None,
        ge=1,
        le=10_000,
        description="Number of groups and rules at most, groups first; unset: all.",
    )
    cursor: int | None = Field(
        default=None, ge=0, le=2**31, description="Go on from here: the last answer's `cursor`."
    )


class RulesAnswer(Answer):
    groups: tuple[GroupRecord, ...]
    rules: tuple[AccessRule, ...]
    holidays: tuple[Holiday, ...]
    doors: tuple[str, ...] = Field(description="Names of the cameras.")
    timezone: str = Field(description="Time zone of hours and dates.")
    without_group: str = Field(
        description="`always` or `never`: when people pass who are in no group."
    )
    clock_trusted: bool = Field(
        description="false: the clock is not synchronised, and people with hours or an end are "
        "denied."
    )
    cursor: int | None = Field(
        default=None, description="Send it to get the next page; null after the last."
    )


class SetGroupRequest(Request):
    """Make a group, or give one another name."""

    group: Label
    new_name: Label | None = None


class SetGroupAnswer(Answer):
    group: str


class DeleteGroupRequest(Request):
    """Remove a group. Nobody may be in it, and no rule may be for it."""

    group: Label


class DeleteGroupAnswer(Answer):
    group: str


class SetRuleRequest(Confirmed):
    """Make a rule, or change the one of that name."""

    rule: AccessRule
    replaces: Label | None = Field(
        default=None, description="Name of the rule before, where that changes, too."
    )


class SetRuleAnswer(Answer):
    rule: AccessRule


class DeleteRuleRequest(Confirmed):
    """Remove a rule."""

    name: Label


class DeleteRuleAnswer(Answer):
    name: str


class SetHolidaysRequest(Request):
    """Set the holidays: these, and no others."""

    holidays: tuple[Holiday, ...] = Field(max_length=1000, strict=False)


class SetHolidaysAnswer(Answer):
    holidays: tuple[Holiday, ...]


class AccessRequest(Request):
    """Tell what one person may, and when."""

    username: Username


class DoorRuling(Message):
    """Ruling on one person at one door, now."""

    door: str
    allowed: bool
    reason: Reason
    needs: Factor
    step_up: bool
    two_person: bool


class AccessAnswer(Answer):
    username: str
    groups: tuple[str, ...]
    valid_from: str | None = Field(description="In the door's time zone, with its offset.")
    valid_until: str | None = Field(description="In the same way; not included.")
    always: bool = Field(
        description="true: the person is in no group, and passes at any time all the same."
    )
    rules: tuple[AccessRule, ...] = Field(description="Rules of the person's groups.")
    now: tuple[DoorRuling, ...]


class SetAccessRequest(Allowance, Confirmed):
    """Set a person's groups, and the time in which the person may pass at all. A field that is
    left out changes nothing. Answers as `access` does."""

    username: Username


class PutPersonRequest(Allowance, Request):
    """Take a line of a list of people: register a new person from the image, and set what they may.
    A field that is left out changes nothing."""

    username: Username
    image: Base64Image | None = Field(default=None, description="Picture of a new person.")
    require_live: bool = Field(
        default=True,
        description="false enrols from a photo; only where the settings permit it.",
    )


class PutPersonAnswer(Answer):
    username: str
    registered: bool = Field(
        description="false: the person was registered already, and the image is not used."
    )
