"""What the door asks of whoever stands before it, to show that they are there."""

from enum import StrEnum

from pydantic import Field

from ostiary.messages.events import Message, Timestamp


class Prompt(StrEnum):
    """A movement. Left and right are the person's own. `step_back` is none of a challenge, but for
    a face that fills the picture. The values are part of the MQTT contract."""

    LOOK_FRONT = "look_front"
    TURN_LEFT = "turn_left"
    TURN_RIGHT = "turn_right"
    NOD = "nod"
    COME_CLOSER = "come_closer"
    STEP_BACK = "step_back"


class PromptMessage(Message):
    """What is to be shown or said at the door now. It names nobody."""

    timestamp: Timestamp
    source: str = Field(description="The camera's name.")
    prompt: Prompt | None = Field(
        description="What to do now, in the person's own left and right; null: nothing is asked "
        "any more, and the decision is in `…/event/login`."
    )
    step: int = Field(
        ge=0, description="The how many-eth thing that is asked; 0 with null and `step_back`."
    )
    expires: Timestamp = Field(description="When the time for all of it is over.")
