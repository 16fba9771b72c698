"""A command as it comes over a wire: how large it may be, what it says, and how it is refused."""

from pydantic import BaseModel, ConfigDict, ValidationError

from ostiary.config import describe_validation
from ostiary.errors import OstiaryError, RequestMalformed, RequestTooLarge
from ostiary.messages.commands import COMMANDS, ErrorDetail, ErrorResponse, Request, Transaction

SMALL = 256 * 1024
"""Bytes of a command that carries no picture."""
PICTURES = frozenset({"register", "login", "add_template", "put_person"})
URGENT = frozenset({"door"})
"""Commands that nothing else keeps waiting."""


class _TransactionOnly(BaseModel):
    """What is left to answer with where the rest of a request is wrong."""

    model_config = ConfigDict(extra="ignore", strict=True)
    transaction: Transaction | None = None
    payload: str | None = None  # of a signed command


def most_bytes(name: str | None, limit: int) -> int:
    """Bytes that this command may have, where any may have `limit`."""
    return min(limit, SMALL) if name in COMMANDS and name not in PICTURES else limit


def check_size(name: str | None, size: int, limit: int) -> None:
    """Raises RequestTooLarge."""
    if size > (most := most_bytes(name, limit)):
        raise RequestTooLarge(f"This command has at most {most} bytes; it has {size}.")


def parse(model: type[Request], payload: bytes) -> Request:
    """Read a request. Raises RequestMalformed that names each wrong field, or UsernameInvalid."""
    try:
        return model.model_validate_json(payload or b"{}")
    except ValidationError as error:
        raise RequestMalformed(describe_validation(error)) from None


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
