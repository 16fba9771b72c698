"""Settings of the archive of all doors' events."""

from pydantic import Field

from ostiary.settings.section import Section, TopicLevel


class ArchiveSettings(Section):
    """All doors' events in PostgreSQL: `ostiary archive`, on a server."""

    database: str = Field(
        "postgresql:///ostiary",
        description="Connection string or URL of PostgreSQL. A password belongs into ~/.pgpass.",
    )
    name: TopicLevel = Field(
        "archive",
        description="Names this archive at the broker, which keeps events for it while it is away. "
        "Two archives need two names.",
    )
    share: TopicLevel | None = Field(
        None,
        examples=["archive"],
        description="Several archives with this name share the events (MQTT 5). Unset: each keeps "
        "all, and each event is one row all the same.",
    )
    keep_days: float = Field(
        730.0, gt=0, description="Months that ended so many days ago are dropped."
    )
