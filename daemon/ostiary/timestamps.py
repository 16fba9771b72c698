"""Moments as the database holds them: RFC 3339, UTC, milliseconds, so that texts sort in time."""

from datetime import UTC, datetime

from ostiary.messages.events import rfc3339


def to_text(moment: datetime) -> str:
    """Raises ValueError for a moment without a time zone."""
    if moment.tzinfo is None:
        raise ValueError("a moment needs a time zone")
    return rfc3339(moment.astimezone(UTC))


def older(table: str, key: str, column: str) -> str:
    """A condition: rows older than a moment, by what stands in `column` and by their place. While a
    clock was behind, rows got a time that is too early; what stood before them is younger. Its
    values: the moment twice, and now."""
    return (
        f"{column} < ? AND {key} < COALESCE((SELECT {key} FROM {table}"
        f" WHERE {column} BETWEEN ? AND ? ORDER BY {key} LIMIT 1), {2**63 - 1})"
    )


def from_text(text: object) -> datetime | None:
    """The moment in `text`, None where there is none or it cannot be read.

    The first version wrote SQLite's own form (`2024-05-01 08:30:00`), which is in UTC.
    """
    if not isinstance(text, str):
        return None
    try:
        moment = datetime.fromisoformat(text)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
