"""The door itself, and the daemon that is it."""

import hashlib
import re
from pathlib import Path
from typing import Literal

from pydantic import Field

from ostiary.settings.section import Section, TopicLevel

_OF_AN_IMAGE = {"debian", "localhost", "orangepi", "raspberrypi", "ubuntu"}
"""What every machine is called that was made from the same image."""


def proposed_id(host: str, machine: str) -> str:
    """An id that no other door has: the host's name, and where that is everybody's, with four
    digits of its machine id (`/etc/machine-id`)."""
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", host.partition(".")[0]).strip("-")[:48] or "door"
    if name.lower() not in {*_OF_AN_IMAGE, "door"}:
        return name
    return f"{name}-{hashlib.sha256(machine.strip().encode()).hexdigest()[:4]}"


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


class RelaySettings(Section):
    """A relay at this machine that opens the door (needs the extra `ostiary[gpio]`)."""

    enabled: bool = Field(False, description="Pulse it when a camera's face is granted.")
    chip: Path = Field(Path("/dev/gpiochip0"), description="The GPIO chip.")
    line: int | str = Field(17, description="The line on the chip: its offset or its name.")
    active_low: bool = Field(False, description="The relay switches on when the line is low.")
    pulse_s: float = Field(3.0, gt=0, le=60, description="How long the lock is released, seconds.")


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
