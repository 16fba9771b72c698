"""`ostiary backup`, `restore`, `import`, `verify-log` and what else is done with the database.

`ostiary store` seals it, and changes the keys it is sealed by.
"""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ostiary.cli.options import ConfigOption, open_database, read_settings
from ostiary.clock import utc_now
from ostiary.errors import ConfigError, RecognizerMismatch, StoreLocked
from ostiary.mqtt.security import checked_store_key, door_key, store_key
from ostiary.settings import Settings

if TYPE_CHECKING:
    from ostiary.store.restore import Restored

store = typer.Typer(help="Seal the database, and change its keys.", no_args_is_help=True)

# Each command imports what it needs: the operator's commands must not wait for the networks.


def import_users(
    source: Annotated[Path, typer.Argument(help="The first version's user_encodings.db.")],
    config: ConfigOption = None,
) -> None:
    """Take over the people of the first version's database; say who was taken and who not."""
    from ostiary.store.import_v1 import import_database
    from ostiary.store.users import Users

    settings = read_settings(config)
    if settings.vision.recognizer != "dlib" and not settings.access.migrate:
        raise RecognizerMismatch(
            "The first version's people have dlib's descriptors, which this door does not compare: "
            'set access.migrate = true, or vision.recognizer = "dlib".'
        )
    with open_database(settings) as database:
        database.seal.check()
        report = import_database(source, Users(database), utc_now())
    for username in report.taken:
        typer.echo(f"taken    {username}")
    for refused in report.refused:
        typer.echo(f"refused  {refused.username}: {refused.reason}")
    typer.echo(f"{len(report.taken)} taken, {len(report.refused)} refused")
    if report.refused:
        raise typer.Exit(65)


def backup(
    target: Annotated[Path, typer.Argument(help="The file to write.")],
    config: ConfigOption = None,
    replace: Annotated[bool, typer.Option(help="Replace the file if it is there.")] = False,
) -> None:
    """Copy the database of this door, which may be running, and verify the copy."""
    from ostiary.store import backup as copies

    contents = copies.backup(read_settings(config).store.path, target, replace=replace)
    typer.echo(json.dumps({"written": str(target), **asdict(contents)}, default=str))
    if contents.opens_with == "nothing":
        typer.echo("Anybody can read it: nothing is sealed (`ostiary store encrypt`).", err=True)
    elif contents.opens_with == "store_key":
        typer.echo(
            "Only this door's store key opens it: `ostiary store recovery` makes words for others.",
            err=True,
        )


def restore(
    source: Annotated[Path, typer.Argument(help="What `ostiary backup` wrote.")],
    config: ConfigOption = None,
    bring_back: Annotated[
        bool, typer.Option(help="Also people who were deleted since the backup was taken.")
    ] = False,
    words_file: Annotated[
        Path | None,
        typer.Option(help="File with the recovery words; unset: they are asked for, if needed."),
    ] = None,
) -> None:
    """Put a verified backup in place of the database; the daemon must be stopped. Those who were
    deleted since are left out, and named."""
    from ostiary.store.restore import restore as put_back

    def words() -> str:
        if words_file is not None:
            return words_file.read_text(encoding="utf-8-sig")
        return str(typer.prompt("Recovery words", hide_input=True, err=True))

    settings = read_settings(config)
    restored = put_back(
        source,
        settings.store.path,
        utc_now(),
        store_key=store_key(settings),
        words=words,
        bring_back=bring_back,
        door_key=door_key(settings),
    )
    typer.echo(json.dumps(asdict(restored), default=str))
    if restored.deleted_since:
        names = ", ".join(restored.deleted_since)
        came = "came back" if bring_back else "were left out (--bring-back takes them)"
        typer.echo(f"Deleted since that backup, {came}: {names}", err=True)
    typer.echo(_about_words(restored), err=True)


def _about_words(restored: "Restored") -> str:
    """Whether the recovery words on paper open what was restored."""
    if restored.contents.opens_with == "nothing":
        return "Anybody can read it: nothing is sealed (`ostiary store encrypt`)."
    lost = f"; those of {restored.words_lost[:10]} do not" if restored.words_lost else ""
    if restored.words_of is None:
        return f"No recovery words open it{lost}: `ostiary store recovery` makes some."
    new = ". `ostiary store recovery` makes new ones" if lost else ""
    return f"The recovery words of {restored.words_of[:10]} open it and its backups{lost}{new}."


def reset_console(config: ConfigOption = None) -> None:
    """Forget all accounts and API tokens, so that the console can be set up with a new code."""
    from ostiary.store.accounts import Accounts

    with open_database(read_settings(config)) as database:
        Accounts(database).delete_all()
    typer.echo(
        "No accounts and tokens any more. The code to set up the console is in the daemon's log."
    )


def verify_log(
    config: ConfigOption = None,
    head: Annotated[
        list[Path] | None,
        typer.Option(help="A head that the door published on …/log and somebody kept (JSON)."),
    ] = None,
    database: Annotated[
        Path | None, typer.Option(help="Another database, or a backup; unset: store.path.")
    ] = None,
    public_key: Annotated[
        str | None,
        typer.Option(help="What `ostiary door-key` showed; unset: the key here."),
    ] = None,
    accept: Annotated[
        bool,
        typer.Option(help="This is the record from now on, though the door has signed another."),
    ] = False,
) -> None:
    """Was the log of events and deeds changed? Exit status 1 where it was, with what and where."""
    from ostiary.commands.log_check import accept_log, check, told_heads

    settings = read_settings(config)
    if accept:
        with open_database(settings) as opened:
            accept_log(opened, utc_now())
    own = door_key(settings) if public_key is None else None
    public = public_key if own is None else own.public_text
    assert public is not None
    log_file, told = database or settings.store.path, told_heads(head or ())
    report = check(log_file, public, told, store_key(settings), own)
    for finding in report.findings:
        typer.echo(finding)
    typer.echo(
        f"{report.entries} entries, {report.heads} signed heads, {report.unsigned} entries not "
        f"signed yet: {f'{len(report.findings)} findings' if report.findings else 'as written'}"
    )
    raise typer.Exit(1 if report.findings else 0)


def show_door_key(config: ConfigOption = None) -> None:
    """Show the public half of the door's key, for locks and auditors; make it if need be."""
    typer.echo(door_key(read_settings(config)).public_text)


@store.command()
def encrypt(config: ConfigOption = None) -> None:
    """Seal names, templates, pictures and audit texts; the daemon must be stopped."""
    from ostiary.store import sealing

    typer.echo("Sealed." if _has_changed(config, sealing.encrypt) else "It was sealed already.")
    typer.echo("`ostiary store recovery` makes the words that open a backup elsewhere.")


@store.command()
def decrypt(config: ConfigOption = None) -> None:
    """Put everything back in the plain; the daemon must be stopped, and given no key after."""
    from ostiary.store import sealing

    done = _has_changed(config, sealing.decrypt)
    typer.echo("Plain again." if done else "Nothing in it was sealed.")


def _has_changed(config: Path | None, change: Callable[..., bool]) -> bool:
    settings = _sealable(config)
    key, door = _store_key(settings), door_key(settings)
    return change(settings.store.path, key, door, settings.device.id, utc_now())


@store.command()
def rotate(config: ConfigOption = None) -> None:
    """Begin a new data key; the daemon seals all rows anew by it while it runs."""
    from ostiary.store import sealing

    settings = _sealable(config)
    path, door = settings.store.path, door_key(settings)
    number = sealing.rotate(path, _store_key(settings), utc_now(), door)
    typer.echo(f"Data key {number} seals from now on; the running daemon does the rest.")


@store.command("change-key")
def change_key(
    new_key: Annotated[Path, typer.Argument(help="The file with the new store key.")],
    config: ConfigOption = None,
) -> None:
    """Let another store key open the database, from the next start on."""
    from ostiary.store import sealing

    settings = _sealable(config)
    new = checked_store_key(new_key)
    sealing.change_key(settings.store.path, _store_key(settings), new, door_key(settings))
    typer.echo("Done. Put the new key in the place of the old before the next start.")


@store.command()
def recovery(config: ConfigOption = None) -> None:
    """Make a recovery key and show its words, once: they open backups on another machine."""
    from ostiary.store import sealing

    settings = _sealable(config)
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
    from ostiary.store.database import Database

    settings = _sealable(config)
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


def _sealable(config: Path | None) -> Settings:
    settings = read_settings(config)
    if not settings.store.path.exists():
        raise ConfigError(f"{settings.store.path}: no database yet; start the daemon once.")
    return settings


def _store_key(settings: Settings) -> bytes:
    key = store_key(settings)
    if key is None:
        raise StoreLocked(
            "There is no store key here: set store.key_file, or run this where systemd's "
            "credential store-key is. `head -c 32 /dev/urandom | base64 > FILE` makes one."
        )
    return key
