"""The command line: `ostiary run`, and what an operator needs beside it."""

import json
import socket
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ostiary.cli import credentials as client_credentials
from ostiary.cli import door as client
from ostiary.cli import events as client_events
from ostiary.cli import people as _people  # noqa: F401 - adds to `ostiary users`
from ostiary.cli import people_list as _people_list  # noqa: F401 - likewise
from ostiary.cli import rules as client_rules
from ostiary.cli.archive import archive
from ostiary.cli.calibrate import calibrate
from ostiary.cli.setup import setup
from ostiary.cli.site import site
from ostiary.cli.store import store
from ostiary.errors import OstiaryError, RecognizerMismatch
from ostiary.service.logging import configure_logging
from ostiary.service.owner import file_denied, this_user
from ostiary.settings import Settings, load_settings
from ostiary.settings.device import DeviceSettings, proposed_id

if TYPE_CHECKING:
    from ostiary.store.restore import Restored

app = typer.Typer(
    help="The software inside a face door.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)


def _version(asked: bool) -> None:
    if asked:
        from ostiary.version import described

        typer.echo(described())
        raise typer.Exit


@app.callback()
def options(
    _version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """The software inside a face door."""


app.add_typer(client.users, name="users")
app.add_typer(client_credentials.doors, name="door")
app.add_typer(client_rules.groups, name="groups")
app.add_typer(client_rules.rules, name="rules")
app.add_typer(store, name="store")
app.add_typer(site, name="site")
app.command("archive")(archive)
app.command("setup")(setup)
app.command("calibrate")(calibrate)
app.command("login")(client.login)
app.command("events")(client_events.events)
app.command("enroll")(client.enroll)
app.command("reload")(client.reload)

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        envvar="OSTIARY_CONFIG",
        help="The TOML file; without it, defaults and environment.",
    ),
]

# Each command imports what it needs: the operator's commands must not wait for the networks.


@app.command()
def run(config: ConfigOption = None) -> None:
    """Watch the cameras and tell the building, until SIGTERM; SIGHUP reads the settings again."""
    from ostiary.app import run_until_stopped
    from ostiary.service.notify import Notifier

    notifier = Notifier.from_environment()
    try:
        run_until_stopped(lambda: load_settings(config), notifier)
    except OstiaryError as error:
        notifier.status(f"does not start: {error.message}")  # `systemctl status` shows it
        raise


@app.command()
def doctor(
    config: ConfigOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Is this door well, and if not, what to do? Exit status 1 where it cannot do its work."""
    from rich.console import Console

    from ostiary.service import doctor as checks

    settings = load_settings(config)
    configure_logging(settings.log.model_copy(update={"level": "error"}))
    found = checks.run_checks(settings)
    if as_json:
        shown = tuple(found)
        typer.echo(checks.as_json(shown))
    else:
        shown = checks.render(found, Console())
    raise typer.Exit(checks.exit_status(shown))


@app.command("config")
def show_config(
    config: ConfigOption = None,
    defaults: Annotated[bool, typer.Option(help="The commented default file.")] = False,
    new: Annotated[
        bool, typer.Option(help="The same for this machine: the door's id is after its name.")
    ] = False,
) -> None:
    """Check the settings and show them, as TOML."""
    from ostiary.settings.file import render

    if new:
        settings = Settings.model_construct(device=DeviceSettings(id=this_machines_id()))
    else:
        settings = Settings.model_construct() if defaults else load_settings(config)
    typer.echo(render(settings), nl=False)


def this_machines_id() -> str:
    """What this door may be called at the broker."""
    machine = Path("/etc/machine-id")
    known = machine.read_text(encoding="ascii") if machine.is_file() else ""
    return proposed_id(socket.gethostname(), known)


@app.command("import")
def import_users(
    source: Annotated[Path, typer.Argument(help="The first version's user_encodings.db.")],
    config: ConfigOption = None,
) -> None:
    """Take over the people of the first version's database; say who was taken and who not."""
    from ostiary.clock import utc_now
    from ostiary.mqtt.security import door_key, store_key
    from ostiary.store.database import Database
    from ostiary.store.import_v1 import import_database
    from ostiary.store.users import Users

    settings = _settings(config)
    if settings.vision.recognizer != "dlib" and not settings.access.migrate:
        raise RecognizerMismatch(
            "The first version's people have dlib's descriptors, which this door does not compare: "
            'set access.migrate = true, or vision.recognizer = "dlib".'
        )
    with Database.open(settings.store.path, store_key(settings), door_key(settings)) as database:
        database.seal.check()
        report = import_database(source, Users(database), utc_now())
    for username in report.taken:
        typer.echo(f"taken    {username}")
    for refused in report.refused:
        typer.echo(f"refused  {refused.username}: {refused.reason}")
    typer.echo(f"{len(report.taken)} taken, {len(report.refused)} refused")
    if report.refused:
        raise typer.Exit(65)


@app.command()
def backup(
    target: Annotated[Path, typer.Argument(help="The file to write.")],
    config: ConfigOption = None,
    replace: Annotated[bool, typer.Option(help="Replace the file if it is there.")] = False,
) -> None:
    """Copy the database of this door, which may be running, and verify the copy."""
    from ostiary.store import backup as copies

    contents = copies.backup(_settings(config).store.path, target, replace=replace)
    typer.echo(json.dumps({"written": str(target), **asdict(contents)}, default=str))
    if contents.opens_with == "nothing":
        typer.echo("Anybody can read it: nothing is sealed (`ostiary store encrypt`).", err=True)
    elif contents.opens_with == "store_key":
        typer.echo(
            "Only this door's store key opens it: `ostiary store recovery` makes words for others.",
            err=True,
        )


@app.command()
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
    from ostiary.clock import utc_now
    from ostiary.mqtt.security import door_key, store_key
    from ostiary.store.restore import restore as put_back

    def words() -> str:
        if words_file is not None:
            return words_file.read_text(encoding="utf-8-sig")
        return str(typer.prompt("Recovery words", hide_input=True, err=True))

    settings = _settings(config)
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


@app.command("reset-console")
def reset_console(config: ConfigOption = None) -> None:
    """Forget all accounts and API tokens, so that the console can be set up with a new code."""
    from ostiary.mqtt.security import door_key, store_key
    from ostiary.store.accounts import Accounts
    from ostiary.store.database import Database

    settings = _settings(config)
    with Database.open(settings.store.path, store_key(settings), door_key(settings)) as database:
        Accounts(database).delete_all()
    typer.echo(
        "No accounts and tokens any more. The code to set up the console is in the daemon's log."
    )


@app.command()
def release(config: ConfigOption = None) -> None:
    """Set the relays' lines inactive, as after a crash."""
    from ostiary.hardware import relay

    relay.release(_settings(config))


@app.command("verify-log")
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
    from ostiary.clock import utc_now
    from ostiary.commands.log_check import accept_log, check, told_heads
    from ostiary.mqtt.security import door_key, store_key
    from ostiary.store.database import Database

    settings = _settings(config)
    if accept:
        key = store_key(settings)
        with Database.open(settings.store.path, key, door_key(settings)) as opened:
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


@app.command("door-key")
def show_door_key(config: ConfigOption = None) -> None:
    """Show the public half of the door's key, for locks and auditors; make it if need be."""
    from ostiary.mqtt.security import door_key

    typer.echo(door_key(_settings(config)).public_text)


@app.command()
def version() -> None:
    """Print the version, and the commit where it was built from one."""
    from ostiary.version import described

    typer.echo(described())


def main() -> None:
    """Run the command line; an error that is told to somebody ends it with its own status."""
    try:
        try:
            app(standalone_mode=True)
        except OSError as error:
            raise file_denied(error, sys.argv, this_user()) from error
    except OstiaryError as error:
        print(f"ostiary: {error.code}: {error.message}", file=sys.stderr)  # noqa: T201
        sys.exit(error.exit_status)


def _about_words(restored: "Restored") -> str:
    """Whether the recovery words on paper open what was restored."""
    if restored.contents.opens_with == "nothing":
        return "Anybody can read it: nothing is sealed (`ostiary store encrypt`)."
    lost = f"; those of {restored.words_lost[:10]} do not" if restored.words_lost else ""
    if restored.words_of is None:
        return f"No recovery words open it{lost}: `ostiary store recovery` makes some."
    new = ". `ostiary store recovery` makes new ones" if lost else ""
    return f"The recovery words of {restored.words_of[:10]} open it and its backups{lost}{new}."


def _settings(config: Path | None) -> Settings:
    settings = load_settings(config)
    configure_logging(settings.log)
    return settings


if __name__ == "__main__":
    main()
