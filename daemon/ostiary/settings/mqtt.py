"""The broker, and what may be asked over it."""

from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from ostiary.settings.section import Section, TopicLevel

BrokerAddress = Annotated[str, Field(pattern=r"^(\[[0-9A-Fa-f:.]+\]|[^\s:/]+):\d{1,5}$")]


def is_loopback(host: str) -> bool:
    """Whether this name or address is this machine's own."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class MqttSettings(Section):
    """The broker."""

    host: str = Field("127.0.0.1", description="Host name or address of the broker.")
    port: int = Field(1883, ge=1, le=65535, description="TCP port: 1883 plain, 8883 TLS.")
    cluster: tuple[BrokerAddress, ...] = Field(
        (),
        description="Further brokers of the same cluster, as host:port, tried in turn while the "
        "first does not answer.",
    )
    username: str | None = Field(None, description="User name at the broker.")
    password_file: Path | None = Field(
        None,
        description="File with the password, nothing else. Unset: systemd's credential "
        "mqtt-password, where there is one.",
    )
    allow_anonymous: bool = Field(
        False,
        description="Permit a broker on another machine without user name and certificate: then "
        "anybody there can command this door.",
    )
    tls: bool = Field(
        False, description="Encrypt (TLS 1.2 or newer) and check the broker's certificate."
    )
    tls_ca: Path | None = Field(
        None,
        description="PEM file of the CA that issued the broker's certificate. Unset: the "
        "system's CAs.",
    )
    tls_certificate: Path | None = Field(
        None, description="PEM file of this door's own certificate, where the broker wants one."
    )
    tls_key: Path | None = Field(None, description="PEM file of its private key.")
    base_topic: TopicLevel = Field("ostiary", description="First level of every topic.")
    reconnect_at_most_s: float = Field(
        30.0, ge=0.5, le=3600, description="Longest wait before another try to connect."
    )
    door_expiry_s: int = Field(
        60, ge=1, le=3600, description="A granted decision older than this opens no door."
    )
    event_pictures: bool = Field(
        False,
        description="Publish the picture of each decision on <base>/<id>/picture/<camera>: a JPEG "
        "of 30 kB at most, never retained. Only where that is permitted.",
    )
    response_prefixes: tuple[str, ...] = Field(
        (),
        description="MQTT 5 Response Topics are honoured under <base>/<id>/response/ and under "
        "these beginnings.",
    )
    discovery: bool = Field(
        False, description="Announce the door to Home Assistant; false takes it back."
    )
    discovery_prefix: TopicLevel = Field(
        "homeassistant", description="Where Home Assistant listens for announcements."
    )

    @model_validator(mode="after")
    def _nobody_anonymous_from_afar(self) -> Self:
        known = self.username is not None or self.tls_certificate is not None
        hosts = (self.host, *(each.rpartition(":")[0].strip("[]") for each in self.cluster))
        afar = next((host for host in hosts if not is_loopback(host)), None)
        if not known and not self.allow_anonymous and afar is not None:
            raise ValueError(
                f"the broker {afar} is another machine: set username and password_file, or "
                "tls_certificate and tls_key, or allow_anonymous = true"
            )
        return self


class CommandSettings(Section):
    """Commands over MQTT, HTTP and this machine's socket."""

    socket: Path = Field(
        Path("/run/ostiary/commands.sock"),
        description="The Unix socket by which `ostiary users`, `events`, `door` … work on this "
        "machine without a broker. Root and the daemon's group may use it, for everything.",
    )

    allow_unverified_enrolment: bool = Field(
        False, description='Permit `"require_live": false` in register: enrol from a photo.'
    )
    enrol_s: float = Field(
        4.0,
        ge=0,
        le=20,
        description="At enrolment the camera takes a first picture, then waits for so long for a "
        "look a little to the left and one to the right. 0: one picture is enough.",
    )
    denied_logins_per_minute: float = Field(
        60.0,
        gt=0,
        le=60_000,
        description="So many pictures that are sent with `login` may be denied, over MQTT and "
        "over HTTP each; further ones are not looked at. Somebody who may try without end finds a "
        "picture that passes.",
    )
    time_limit_s: float = Field(
        30.0, gt=0, description="A command that is not done within so long has no effect."
    )
    signed: bool = Field(False, description="Take only commands signed with the shared key.")
    signing_key_file: Path | None = Field(
        None,
        description="File with the shared key, 32 bytes or more between white space, which does "
        "not count. Unset: systemd's credential command-key.",
    )
    signing_keys: Path | None = Field(
        None,
        description="Instead of one shared key: a folder with a key file a client, named as the "
        "client names itself in its commands. Remove the file and reload: it is refused.",
    )
    signing_client: str | None = Field(
        None, description="The name with which this machine's own `ostiary` commands are signed."
    )
    add_template_needs: Literal["confirmation", "nothing"] = Field(
        "confirmation",
        description="What a further template of a registered person needs over MQTT. "
        "confirmation: a signature (commands.signed), once the console has accounts. The console "
        "asks for the password again instead (http.confirm_after_s).",
    )
