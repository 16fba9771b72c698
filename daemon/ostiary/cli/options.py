"""Options and arguments that several commands have, and what these begin with."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ostiary.mqtt.security import door_key, store_key
from ostiary.service.logging import configure_logging
from ostiary.settings import Settings, load_settings

if TYPE_CHECKING:
    from ostiary.store.database import Database

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        envvar="OSTIARY_CONFIG",
        help="The TOML file; without it, defaults and environment.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document a line, for programs.")]
Name = Annotated[str, typer.Argument(help="Who.")]
DoorOption = Annotated[str | None, typer.Option("--door", help="Its camera's name.")]
NotLive = Annotated[
    bool, typer.Option("--from-photo", help="Take a photo for live; if the door permits it.")
]


def read_settings(config: Path | None, level: str | None = None) -> Settings:
    """The settings, and logs as they say; `level`: no line below that, whatever they say. Raises
    ConfigError."""
    settings = load_settings(config)
    log = settings.log if level is None else settings.log.model_copy(update={"level": level})
    configure_logging(log)
    return settings


def open_database(settings: Settings) -> "Database":
    """This door's database by its keys, as a context manager. Raises what `Database.open` does."""
    from ostiary.store.database import Database

    return Database.open(settings.store.path, store_key(settings), door_key(settings))
