"""`ostiary archive`: all doors' events in PostgreSQL (docs/scale.md)."""

import signal
from pathlib import Path
from typing import Annotated

import typer

from ostiary.errors import ConfigError
from ostiary.service.clock import Synchronised
from ostiary.service.logging import configure_logging
from ostiary.settings import load_settings

ConfigOption = Annotated[
    Path | None, typer.Option("--config", "-c", envvar="OSTIARY_CONFIG", help="The TOML file.")
]


def archive(config: ConfigOption = None) -> None:
    """Keep all doors' events in PostgreSQL, each once, until SIGTERM. Needs the extra `archive`."""
    try:
        from ostiary.archive.listener import Archive
    except ImportError as error:
        raise ConfigError(
            f"{error.name} is missing: install the wheel with its extra `archive` "
            '(see operations.md, "Without the package").'
        ) from error

    settings = load_settings(config)
    configure_logging(settings.log)
    always = settings.clock.trust == "always"
    kept = Archive(settings, lambda: always or Synchronised()())
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: kept.stop())
    kept.run()
