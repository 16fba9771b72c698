"""`ostiary store`: sealing the database, and the keys it is sealed by."""

import json
from pathlib import Path
from typing import Annotated

import typer

from ostiary.errors import ConfigError, StoreLocked
from ostiary.service.logging import configure_logging
from ostiary.settings import Settings, load_settings

store = typer.Typer(help="Seal the database, and change its keys.", no_args_is_help=True)

ConfigOption = Annotated[
    Path | None, typer.Option("--config", "-c", envvar="OSTIARY_CONFIG", help="The TOML file.")
]


@store.command()
def encrypt(config: ConfigOption = None) -> None:
    """Seal names, templates, pictures and audit texts; the daemon must be stopped."""
    from ostiary.clock import utc_now
    from ostiary.mqtt.security import door_key
    from ostiary.store import sealing

    settings = _settings(config)
    key = _store_key(settings)
    name = settings.device.id
    done = sealing.encrypt(settings.store.path, key, door_key(settings), name, utc_now())
    typer.echo("Sealed." if done else "It was sealed already.")
    typer.echo("`ostiary store recovery` makes the words that open a backup elsewhere.")


@store.command()
def decrypt(config: ConfigOption = None) -> None:
    """Put everything back in the plain; the daemon must be stopped, and given no key after."""
    from ostiary.clock import utc_now
    from ostiary.mqtt.security import door_key
    from ostiary.store import sealing

    settings = _settings(config)
    key = _store_key(settings)
    name = settings.device.id
    done = sealing.decrypt(settings.store.path, key, door_key(settings), name, utc_now())
    typer.echo("Plain again." if done else "Nothing in it was sealed.")


@store.command()
def rotate(config: ConfigOption = None) -> None:
    """Begin a new data key; the daemon seals all rows anew by it while it runs."""
    from ostiary.clock import utc_now
    from ostiary.mqtt.security import door_key
    from ostiary.store import sealing

    settings = _settings(config)
    path, door = settings.store.path, door_key(settings)
    number = sealing.rotate(path, _store_key(settings), utc_now(), door)
    typer.echo(f"Data key {number} seals from now on; the running daemon does the rest.")


@store.command("change-key")
def change_key(
    new_key: Annotated[Path, typer.Argument(help="The file with the new store key.")],
    config: ConfigOption = None,
) -> None:
    """Let another store key open the database, from the next start on."""
    from ostiary.mqtt.security import checked_store_key, door_key
    from ostiary.store import sealing

    settings = _settings(config)
    new = checked_store_key(new_key)
    sealing.change_key(settings.store.path, _store_key(settings), new, door_key(settings))
    typer.echo("Done. Put the new key in the place of the old before the next start.")


@store.command()
def recovery(config: ConfigOption = None) -> None:
    """Make a recovery key and show its words, once: they open backups on another machine."""
    from ostiary.clock import utc_now
    from ostiary.mqtt.security import door_key
    from ostiary.store import sealing

    settings = _settings(config)
    path, door = settings.store.path, door_key(settings)
    words = sealing.make_recovery(path, _store_key(settings), utc_now(), door)
    for number, word in enumerate(words.split(), start=1):
        typer.echo(f"{number:2}  {word}")
    typer.echo("Write them down now, on paper: they are kept nowhere. Earlier words open only")
    typer.echo("earlier backups.")


@store.command()
def status(config: ConfigOption = None) -> None:
    """Is it sealed, by how many data keys, and is there a recovery key? As JSON."""
    from ostiary.crypto import keyring
    from ostiary.mqtt.security import door_key, store_key
    from ostiary.store.database import Database

    settings = _settings(config)
    try:
        key = store_key(settings)
    except StoreLocked:
        key = None
    with (
        Database.open(settings.store.path, key, door_key(settings)) as database,
        database.reading() as connection,
    ):
        found = {
            "sealed": database.seal.is_sealing,
            "locked": database.is_locked,
            "data_keys": keyring.data_keys(connection),
            "recovery": keyring.has_recovery(connection),
        }
    typer.echo(json.dumps(found))


def _settings(config: Path | None) -> Settings:
    settings = load_settings(config)
    configure_logging(settings.log)
    if not settings.store.path.exists():
        raise ConfigError(f"{settings.store.path}: no database yet; start the daemon once.")
    return settings


def _store_key(settings: Settings) -> bytes:
    from ostiary.mqtt.security import store_key

    key = store_key(settings)
    if key is None:
        raise StoreLocked(
            "There is no store key here: set store.key_file, or run this where systemd's "
            "credential store-key is. `head -c 32 /dev/urandom | base64 > FILE` makes one."
        )
    return key
