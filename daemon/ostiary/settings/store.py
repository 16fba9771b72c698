"""Where people and events are kept."""

from pathlib import Path

from pydantic import Field

from ostiary.settings.section import Section


class StoreSettings(Section):
    """Where people and events are kept."""

    path: Path = Field(Path("ostiary.db"), description="The SQLite database.")
    key_file: Path | None = Field(
        None,
        description="File with the key, 32 bytes or more, that seals names, templates, pictures "
        "and audit texts. Unset: systemd's credential store-key. Without either they are not "
        "sealed.",
    )
    keep_events_days: float = Field(
        365.0,
        gt=0,
        description="Delivered events and audit rows are removed after so many days…",
    )
    keep_events: int = Field(
        200_000, ge=1000, description="…or events, oldest first, when there are more than so many."
    )
    queue_limit: int = Field(
        100_000,
        ge=100,
        description="Undelivered events are kept whatever their age. When there are more than so "
        "many, the oldest are removed, counted in `state` and logged.",
    )
    keep_snapshots_days: float = Field(
        0.0,
        ge=0,
        description="Keep a picture, 640 pixels wide, with each decision, for so many days. 0: "
        "none are kept.",
    )
