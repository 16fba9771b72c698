"""Around every answer."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SerializeAsAny

from ostiary.messages.commands.base import Answer, Transaction
from ostiary.messages.events import Message


class ErrorDetail(Message):
    code: str = Field(description="Stable, for programs.")
    message: str = Field(description="What was wrong and what to do, for people.")
    limit: int | None = Field(
        default=None,
        description="Of `answer_too_large`: the bytes that the broker takes in one message.",
    )


class _Response(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    def to_json(self) -> bytes:
        """As it goes over the wire: without `transaction` where the request had none."""
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
        """As it goes over the wire: without what there is not."""
        return self.model_dump_json(exclude_none=True).encode()
