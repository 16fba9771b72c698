"""A command as it comes over a wire: how large it may be, and how it is refused."""

from pydantic import BaseModel, ConfigDict, ValidationError

from ostiary.commands.registry import AnyCommand
from ostiary.errors import OstiaryError, RequestTooLarge
from ostiary.messages.commands.base import Transaction
from ostiary.messages.commands.envelope import ErrorDetail, ErrorResponse

SMALL = 256 * 1024
"""Bytes of a command that carries no picture."""


class _TransactionOnly(BaseModel):
    """What is left to answer with where the rest of a request is wrong."""

    model_config = ConfigDict(extra="ignore", strict=True)
    transaction: Transaction | None = None
    payload: str | None = None  # of a signed command


def most_bytes(command: AnyCommand | None, limit: int) -> int:
    """Bytes that this command may have, where any may have `limit`."""
    return limit if command is None or command.takes_pictures else min(limit, SMALL)


def check_size(command: AnyCommand | None, size: int, limit: int) -> None:
    """Raises RequestTooLarge."""
    if size > (most := most_bytes(command, limit)):
        raise RequestTooLarge(f"This command has at most {most} bytes; it has {size}.")


def failed(payload: bytes, error: OstiaryError, limit: int | None = None) -> bytes:
    """The response to a request that failed. `limit`: the bytes that the broker takes."""
    detail = ErrorDetail(code=error.code, message=error.message, limit=limit)
    return ErrorResponse(error=detail, transaction=_transaction_in(payload)).to_json()


def _transaction_in(payload: bytes | str) -> Transaction | None:
    try:
        found = _TransactionOnly.model_validate_json(payload)
    except ValidationError:
        return None
    if found.transaction is None and found.payload is not None:
        return _transaction_in(found.payload)
    return found.transaction
