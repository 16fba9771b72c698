"""Parts that all requests and answers have in common."""

import base64
import binascii
from typing import Annotated, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    SerializeAsAny,
    WithJsonSchema,
)

from ostiary.messages.events import Message, Millionths
from ostiary.messages.words import RecognizerName

Transaction = (
    Annotated[str, Field(min_length=1, max_length=128)]
    | Annotated[int, Field(ge=-(2**53), le=2**53)]
)


_WHITE_SPACE = dict.fromkeys(map(ord, " \t\r\n"))


def _decoded_base64(value: object) -> bytes:
    if isinstance(value, bytes):  # never so in JSON; an answer is made from the image itself
        return value
    if not isinstance(value, str):
        raise ValueError("Input should be base64 text")
    text = value
    if text.startswith("data:"):  # as a browser's canvas gives it
        _, _, text = text.partition(";base64,")
    text = text.translate(_WHITE_SPACE)  # lines of 76, as MIME and `base64` write them
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("Input should be base64 text") from None
    if not data:
        raise ValueError("Input should be base64 text that is not empty")
    return data


Base64Image = Annotated[
    bytes,
    BeforeValidator(_decoded_base64),
    PlainSerializer(lambda data: base64.b64encode(data).decode("ascii"), return_type=str),
    WithJsonSchema(
        {
            "type": "string",
            "contentEncoding": "base64",
            "description": "A JPEG, PNG or WebP image, in base64; a data: URL is taken too.",
        }
    ),
]


class Request(Message):
    """Base of all requests. Types are strict: `"true"` is not true, and 1 is not "1"."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    transaction: Transaction | None = Field(
        default=None,
        description="Comes back in the response. A command that changes something and is sent "
        "again with the same transaction runs once and is answered with the same answer.",
    )


class Answer(Message):
    """Base of all answers: the `data` of a response whose `status` is `ok`."""


class FirstVersionAnswer(Answer):
    """Fields of the first version's answers. Its clients still read them."""

    success: bool
    username: str | None
    distance: float | None = Field(
        description="Euclidean distance to the nearest person, in the metric of `recognizer`."
    )
    similarity: Millionths | None = Field(description="1 - distance.")
    threshold: float | None = Field(
        default=None,
        description="Largest distance that was near enough. It follows the number of "
        "registered people: compare with this, never with a number of your own.",
    )
    recognizer: RecognizerName | None = None
    message: str = Field(description="The outcome in words.")


class ErrorDetail(Message):
    code: str = Field(description="Stable word, for programs.")
    message: str = Field(description="Says to people what was wrong, and what to do.")
    limit: int | None = Field(
        default=None,
        description="Of `answer_too_large`: bytes that the broker takes in one message.",
    )


class _Response(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    def to_json(self) -> bytes:
        """Write it as it goes over the wire: without `transaction` where the request had none."""
        leave_out = {"transaction"} if getattr(self, "transaction", None) is None else None
        return self.model_dump_json(exclude=leave_out).encode()


class OkResponse(_Response):
    status: Literal["ok"] = "ok"
    data: SerializeAsAny[Answer]
    transaction: Transaction | None = None


class ErrorResponse(_Response):
    status: Literal["error"] = "error"
    error: ErrorDetail
    transaction: Transaction | None = None

    def to_json(self) -> bytes:
        """Write it as it goes over the wire: without fields that are null."""
        return self.model_dump_json(exclude_none=True).encode()
