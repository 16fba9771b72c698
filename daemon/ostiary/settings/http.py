"""The console and the HTTP API."""

from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, field_validator

from ostiary.settings.section import Section


def _an_address(text: str) -> str:
    return str(ip_address(text))


class HttpSettings(Section):
    """The local console and the HTTP API (needs the extra `ostiary[console]`)."""

    enabled: bool = Field(False, description="Serve it.")
    host: str = Field("127.0.0.1", description="Address to bind.")
    port: int = Field(8080, ge=1, le=65535, description="TCP port.")
    tls_certificate: Path | None = Field(
        None,
        description="PEM file, the certificate first. Needed unless host is loopback, or there is "
        "a proxy.",
    )
    tls_key: Path | None = Field(None, description="PEM file of its private key.")
    proxy: Annotated[str, AfterValidator(_an_address)] | None = Field(
        None,
        examples=["172.30.32.2"],
        description="Address of a proxy that encrypts, shows the console below any path, and may "
        "frame it in its own pages. The console then answers nobody else. Home Assistant's "
        "ingress is 172.30.32.2.",
    )
    names: tuple[str, ...] = Field(
        (),
        examples=[["door.example"]],
        description="Names by which browsers ask a proxy on this machine for the console, where "
        "host is loopback. It answers to no other name, so that no page from elsewhere reaches "
        "it.",
    )
    legacy_api: Literal["off", "token", "socket"] = Field(
        "off",
        description="The first version's /register, /login and /users. token: with an operator's "
        "API token. socket: that, and without a token the Unix socket legacy_socket; its file's "
        "permissions say who may use it. (loopback, of older files, is read as token: it made any "
        "program of this machine, and anybody behind a proxy, an operator.)",
    )
    legacy_socket: Path = Field(
        Path("/run/ostiary/legacy.sock"),
        description="The Unix socket; the daemon's user and group may use it.",
    )
    session_hours: float = Field(
        12.0, gt=0, le=720, description="Sign in again after so long, or after a restart."
    )
    confirm_after_s: float = Field(
        300.0,
        gt=0,
        le=86_400,
        description="The console asks for the password again, where it was said so long ago, "
        "before somebody is given a way in (a face, PIN, card, account or token), or a wider one "
        "(rules, hours, thresholds, a door left unlocked).",
    )
    token_days: float = Field(
        365.0,
        gt=0,
        le=3650,
        description="An API token ends so long after it was made, and with the account that made "
        "it.",
    )
    requests_per_second: float = Field(
        30.0,
        gt=0,
        le=10_000,
        description="One client may send so many on average, and three times as many at once.",
    )
    connections_per_address: int = Field(
        64,
        ge=4,
        le=10_000,
        description="One address may have so many. Of more, the one that has waited longest "
        "without a request is closed.",
    )

    @field_validator("legacy_api", mode="before")
    @classmethod
    def _nobody_is_an_operator_for_being_near(cls, value: object) -> object:
        return "token" if value == "loopback" else value
