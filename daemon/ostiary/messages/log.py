"""What the door says of its own log, so that others can hold it to that."""

from pydantic import Field

from ostiary.messages.events import Message, Timestamp, rfc3339


class LogHead(Message):
    """The log of events and of the operators' deeds up to here, in one hash. Who keeps these can
    show later that something before was altered or taken away: `ostiary verify-log --head FILE`.
    """

    door: str = Field(description="Which door: its topic, `ostiary/<device id>`.")
    position: int = Field(ge=1, description="Of the chain's newest entry.")
    link: str = Field(
        pattern="^[0-9a-f]{64}$", description="Its hash (SHA-256 in hex), over all before it."
    )
    signed_at: Timestamp
    signature: str = Field(
        description="Ed25519 in base64, by the key that `ostiary door-key` shows, over "
        "`ostiary-log-v1` and the texts of door, position, link and signed_at, with a line feed "
        "between each."
    )

    def signed_text(self) -> bytes:
        """What the signature is over."""
        parts = ("ostiary-log-v1", self.door, str(self.position), self.link)
        return "\n".join((*parts, rfc3339(self.signed_at))).encode()
