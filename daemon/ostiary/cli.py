"""The command line: `ostiary run`, and what an operator needs beside it."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from ostiary import __version__
from ostiary.client import cli as client
from ostiary.config import Settings, load_settings
from ostiary.errors import OstiaryError
from ostiary.service.logging import configure_logging

app = typer.Typer(
    help="The software inside a face door.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)

app.add_typer(client.users, name="users")
app.command("login")(client.login)
app.command("events")(client.events)
app.command("enroll")(client.enroll)

ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", "-c", help="The TOML file; without it, defaults and environment."),
]


@app.command()
def run(config: ConfigOption = None) -> None:
    """Watch the cameras and tell the building, until SIGTERM; SIGHUP reads the settings again."""
    from ostiary.app import App, signals_to
    from ostiary.service.notify import Notifier

    settings: Settings | None = load_settings(config)
    notifier = Notifier.from_environment()
    while settings is not None:
        configure_logging(settings.log)
        door = App(settings, lambda: load_settings(config), notifier)
        with signals_to(door):
            settings = door.run()


@app.command("config")
def show_config(
    config: ConfigOption = None,
    defaults: Annotated[bool, typer.Option(help="The commented default file.")] = False,
) -> None:
    """Check the settings and show them, as TOML."""
    from ostiary.config_file import render

    settings = Settings.model_construct() if defaults else load_settings(config)
    typer.echo(render(settings), nl=False)


@app.command("import")
def import_users(
    source: Annotated[Path, typer.Argument(help="The first version's user_encodings.db.")],
    config: ConfigOption = None,
) -> None:
    """Take over the people of the first version's database; say who was taken and who not."""
    from ostiary.commands.room import utc_now
    from ostiary.store.database import Database
    from ostiary.store.import_v1 import import_database
    from ostiary.store.users import Users

    settings = _settings(config)
    with Database.open(settings.store.path) as database:
        report = import_database(source, Users(database), utc_now())
    for username in report.taken:
        typer.echo(f"taken    {username}")
    for refused in report.refused:
        typer.echo(f"refused  {refused.username}: {refused.reason}")
    typer.echo(f"{len(report.taken)} taken, {len(report.refused)} refused")
    if report.refused:
        raise typer.Exit(65)


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(__version__)


def main() -> None:
    """Run the command line; an error that is told to somebody ends it with its own status."""
    try:
        app(standalone_mode=True)
    except OstiaryError as error:
        print(f"ostiary: {error.code}: {error.message}", file=sys.stderr)  # noqa: T201
        sys.exit(error.exit_status)


def _settings(config: Path | None) -> Settings:
    settings = load_settings(config)
    configure_logging(settings.log)
    return settings


if __name__ == "__main__":
    main()
