"""The door itself, its database, and the daemon that is it."""

import hashlib
import re
import socket
from pathlib import Path
from typing import Literal

from pydantic import Field

from ostiary.settings.section import Section, TopicLevel

_OF_AN_IMAGE = {"debian", "localhost", "orangepi", "raspberrypi", "ubuntu"}
"""Names that all machines made from one image have."""


def proposed_id(host: str, machine: str) -> str:
    """An id that no other door has: the host's name, with four digits of the machine id
    (`/etc/machine-id`) where many hosts have that name."""
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", host.partition(".")[0]).strip("-")[:48] or "door"
    if name.lower() not in {*_OF_AN_IMAGE, "door"}:
        return name
    return f"{name}-{hashlib.sha256(machine.strip().encode()).hexdigest()[:4]}"


def this_machines_id() -> str:
    """An id for the door of this machine."""
    machine = Path("/etc/machine-id")
    known = machine.read_text(encoding="ascii") if machine.is_file() else ""
    return proposed_id(socket.gethostname(), known)


class DeviceSettings(Section):
    """Which door this is."""

    id: TopicLevel = Field(
        "door",
        description="Names this door in every topic: ostiary/<id>/…  No /, +, # or space. Each "
        "door at a broker has its own; `ostiary config --new` proposes one.",
    )
    name: str = Field("Door", description="How people call it; shown in Home Assistant.")
    key_file: Path | None = Field(
        None,
        description="PEM file of the door's own Ed25519 key, which signs …/door. Unset: systemd's "
        "credential door-key, or one that is made beside the database. `ostiary door-key` shows "
        "its public half.",
    )


class ServiceSettings(Section):
    """The daemon itself."""

    state_every_s: float = Field(30.0, gt=0, description="How often `state` is published.")
    metrics_port: int = Field(
        0,
        ge=0,
        le=65535,
        description="Prometheus metrics at http://127.0.0.1:<port>/metrics; 0: none.",
    )


class LogSettings(Section):
    """What is written, and how."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Least important line that is written."
    )
    format: Literal["auto", "text", "json"] = Field(
        "auto",
        description="auto: entries with fields in systemd's journal, text on a terminal, "
        "JSON otherwise.",
    )


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
