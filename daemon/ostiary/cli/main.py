"""The command line: `ostiary run`, and what an operator needs beside it."""

import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

from ostiary.cli import store
from ostiary.cli.calibrate import calibrate
from ostiary.cli.door import doors, reload, users
from ostiary.cli.events import events
from ostiary.cli.options import ConfigOption, read_settings
from ostiary.cli.people import login
from ostiary.cli.people_list import enroll
from ostiary.cli.rules import groups, rules
from ostiary.cli.site import site
from ostiary.errors import ConfigError, OstiaryError
from ostiary.service.machine import Synchronised, use_one_blas_thread
from ostiary.service.owner import file_denied, this_user
from ostiary.settings import Settings, load_settings
from ostiary.settings.device import DeviceSettings, this_machines_id

SETTINGS = Path("/etc/ostiary/ostiary.toml")

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


app.add_typer(users, name="users")
app.add_typer(doors, name="door")
app.add_typer(groups, name="groups")
app.add_typer(rules, name="rules")
app.add_typer(store.store, name="store")
app.add_typer(site, name="site")
app.command("calibrate")(calibrate)
app.command("login")(login)
app.command("events")(events)
app.command("enroll")(enroll)
app.command("reload")(reload)
app.command("import")(store.import_users)
app.command("backup")(store.backup)
app.command("restore")(store.restore)
app.command("reset-console")(store.reset_console)
app.command("verify-log")(store.verify_log)
app.command("door-key")(store.show_door_key)

# Each command imports what it needs: the operator's commands must not wait for the networks.


@app.command()
def run(config: ConfigOption = None) -> None:
    """Watch the cameras and tell the building, until SIGTERM; SIGHUP reads the settings again."""
    use_one_blas_thread()
    from ostiary.app.run import run_until_stopped
    from ostiary.service.systemd import Notifier

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

    found = checks.run_checks(read_settings(config, "error"))
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


@app.command()
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


@app.command()
def release(config: ConfigOption = None) -> None:
    """Set the relays' lines inactive, as after a crash."""
    from ostiary.hardware.gpio import release as let_go

    let_go(read_settings(config))


@app.command()
def archive(config: ConfigOption = None) -> None:
    """Keep all doors' events in PostgreSQL, each once, until SIGTERM. Needs the extra `archive`."""
    try:
        from ostiary.archive.listener import Archive
    except ImportError as error:
        raise ConfigError(
            f"{error.name} is missing: install the wheel with its extra `archive` "
            '(see operations.md, "Without the package").'
        ) from error

    settings = read_settings(config)
    always = settings.clock.trust == "always"
    kept = Archive(settings, lambda: always or Synchronised()())
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: kept.stop())
    kept.run()


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


if __name__ == "__main__":
    main()
