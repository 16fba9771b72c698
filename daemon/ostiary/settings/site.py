"""The site that the door belongs to."""

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
