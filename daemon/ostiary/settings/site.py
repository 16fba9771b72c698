"""Several doors: the site that this one belongs to, and the archive of all doors' events."""

from pathlib import Path

from pydantic import Field

from ostiary.settings.section import Section, TopicLevel


class SiteSettings(Section):
    """The site that the door belongs to; without an id, it is on its own (docs/site.md)."""

    id: TopicLevel | None = Field(
        None,
        examples=["campus"],
        description="Names the site in topics: ostiary-site/<id>/…  The door belongs to it after "
        "`ostiary site join`.",
    )
    authority_file: Path | None = Field(
        None,
        description="PEM file of the key-holder's key, which admits and revokes doors; only where "
        "`ostiary site` does that. Unset: site-authority.key beside the database.",
    )
    tls_certificate: Path | None = Field(
        None,
        description="PEM file of a certificate for the site's connection, where the broker takes "
        "one client a certificate. Unset: mqtt.tls_certificate.",
    )
    tls_key: Path | None = Field(None, description="PEM file of its private key.")
    tombstone_days: float = Field(
        180.0,
        ge=1,
        description="A door may be off for so long and still hear of every deletion. One that was "
        "off for longer removes people whom the broker does not know any more.",
    )


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
