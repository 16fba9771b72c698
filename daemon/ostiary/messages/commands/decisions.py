"""Decisions: on one sent image, and earlier ones."""

from typing import Literal

from pydantic import AwareDatetime, Field

from ostiary.messages.commands.base import Answer, Base64Image, FirstVersionAnswer, Request
from ostiary.messages.events import AnyEvent
from ostiary.messages.username import Username
from ostiary.messages.words import Reason


class LoginRequest(Request):
    """Judge one image as if its face stood at the door. It is recorded, and opens no door."""

    image: Base64Image
    username: Username | None = Field(
        default=None,
        description="Person whom the face is claimed to be; anybody else is then denied.",
    )


class LoginAnswer(FirstVersionAnswer):
    reason: str = Field(description="Reason, as in `event/login`.")
    liveness: float | None = Field(description="P(live) of the image, 0 to 1.")
    event_id: str = Field(description="Id of the event.")


class EventsRequest(Request):
    """Give a page of events. A consumer that saw a gap in `seq` asks for what it missed."""

    cursor: int | None = Field(
        default=None, ge=0, le=2**62, description="Go on from here: the last answer's `cursor`."
    )
    limit: int = Field(default=100, ge=1, le=1000)
    newest_first: bool = Field(
        default=True, description="false: oldest first; `cursor` N then gives `seq` above N."
    )
    kind: Literal["login", "user", "door", "duress"] | None = Field(
        default=None, description="Kind of event; unset: all but `duress`."
    )
    username: Username | None = Field(
        default=None, description="Who has this name now; events under a former name, too."
    )
    reason: Reason | None = None
    success: bool | None = None
    since: AwareDatetime | None = Field(default=None, description="Start: RFC 3339; included.")
    until: AwareDatetime | None = Field(default=None, description="End: RFC 3339; not included.")


class EventsAnswer(Answer):
    events: tuple[AnyEvent, ...]
    cursor: int | None = Field(description="Send it to get the next page; null after the last.")
