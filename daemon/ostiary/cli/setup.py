"""`sudo ostiary setup`: its options; what it does is in `ostiary.setup.first_hour`."""

from pathlib import Path
from typing import Annotated

import typer

from ostiary.errors import ConfigError

SETTINGS = Path("/etc/ostiary/ostiary.toml")


def setup(
    config: Annotated[
        Path, typer.Option("--config", "-c", envvar="OSTIARY_CONFIG", help="The settings file.")
    ] = SETTINGS,
    take_defaults: Annotated[
        bool, typer.Option("--yes", "-y", help="Ask nothing: take each default or option.")
    ] = False,
    name: Annotated[str | None, typer.Option(help="How people call the door.")] = None,
    device: Annotated[str | None, typer.Option("--id", help="Its id at the broker.")] = None,
    camera: Annotated[
        str | None,
        typer.Option(help="A device, or rtsp://… or http://…; -: is asked for, and not seen."),
    ] = None,
    broker: Annotated[
        str | None, typer.Option(help="local (mosquitto here), none, or HOST or HOST:PORT.")
    ] = None,
    broker_user: Annotated[str | None, typer.Option(help="The door's name at that broker.")] = None,
    home_assistant: Annotated[str | None, typer.Option(help="yes or no.")] = None,
    console: Annotated[str | None, typer.Option(help="off, local or network.")] = None,
    lock: Annotated[
        str | None, typer.Option(help="none, or the lock's GPIO line: 17, or /dev/gpiochip0:17.")
    ] = None,
    person: Annotated[
        str | None, typer.Option(help="Who is enrolled at the camera; empty: nobody.")
    ] = None,
    service: Annotated[
        bool, typer.Option(help="Stop and start the door's service meanwhile.")
    ] = True,
) -> None:
    """Set up a door, question by question; run it again to change something."""
    from ostiary.setup.asking import Questions
    from ostiary.setup.first_hour import FirstHour
    from ostiary.setup.service import Service

    given = {
        "name": name,
        "id": device,
        "camera": camera,
        "broker": broker,
        "user": broker_user,
        "home_assistant": home_assistant,
        "console": console,
        "lock": lock,
        "person": person,
    }
    questions = Questions(take_defaults=take_defaults)
    try:
        FirstHour(config, questions, given, Service(managed=service)).run()
    except ValueError as error:  # an option that is not one of the answers
        raise ConfigError(str(error)) from error
