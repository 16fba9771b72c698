"""Moments as the database has them: RFC 3339, UTC, milliseconds, so that texts sort by time."""

from datetime import UTC, datetime

from ostiary.messages.events import rfc3339


def to_text(moment: datetime) -> str:
    """The text of a moment. Raises ValueError for one without a time zone."""
    if moment.tzinfo is None:
        raise ValueError("a moment needs a time zone")
    return rfc3339(moment.astimezone(UTC))


def older(table: str, key: str, column: str) -> str:
    """An SQL condition for rows older than a moment, by `column` and by their order. While the
    clock was behind, rows got a time that is too early, and earlier rows have a later one. Its
    parameters: the moment twice, and now."""
    return (
        f"{column} < ? AND {key} < COALESCE((SELECT {key} FROM {table}"
        f" WHERE {column} BETWEEN ? AND ? ORDER BY {key} LIMIT 1), {2**63 - 1})"
    )


def from_text(text: object) -> datetime | None:
    """The moment of a text; None where it is none or cannot be read.

    The first version wrote SQLite's own form (`2024-05-01 08:30:00`), which is in UTC.
    """
    if not isinstance(text, str):
        return None
    try:
        moment = datetime.fromisoformat(text)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
