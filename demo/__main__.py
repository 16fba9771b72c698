"""`python -m demo`: see the door work. Exit status 0 only if every answer was as it should be."""

import signal
import sys
from pathlib import Path
from typing import Annotated

import cv2
import typer
from rich.console import Console
from rich.markup import escape

from demo.errors import DemoError
from demo.run import Plan, run
from demo.site import run as run_site
from ostiary.errors import OstiaryError

WRONG_ANSWER = 1
COULD_NOT_RUN = 69  # EX_UNAVAILABLE of sysexits.h

app = typer.Typer(add_completion=False)


@app.command()
def main(
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave everything running until Ctrl-C.")
    ] = False,
    site: Annotated[
        bool, typer.Option("--site", help="Instead: two doors, one enrolment that both know.")
    ] = False,
    output: Annotated[
        Path, typer.Option(help="Folder for the contact sheet, the clip, the log, the database.")
    ] = Path("build/demo"),
    portraits: Annotated[
        Path, typer.Option(help="Folder of the portraits, as `ostiary-export fetch` makes it.")
    ] = Path("resources/portraits"),
    samples: Annotated[
        Path,
        typer.Option(
            envvar="OSTIARY_SAMPLES", help="Folder of the replay sample, if there is one."
        ),
    ] = Path("../shared/samples"),
    models: Annotated[Path | None, typer.Option(help="Folder of the models.")] = None,
) -> None:
    """A broker, a made-up camera and the real daemon: who gets in, who does not, and why."""
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _leave)
    plan = Plan(output=output, portraits=portraits, samples=samples, models=models, keep=keep)
    try:
        if site:
            right = run_site(output / "site", portraits, models, Console())
        else:
            right = run(plan, Console())
    except (DemoError, OstiaryError) as error:
        Console(stderr=True).print(f"[bold red]demo:[/] {escape(str(error))}", soft_wrap=True)
        sys.exit(error.exit_status if isinstance(error, OstiaryError) else COULD_NOT_RUN)
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
    sys.exit(0 if right else WRONG_ANSWER)


def _leave(number: int, _frame: object) -> None:
    """End as by an error, so that everything that was started is stopped."""
    sys.exit(128 + number)


app()
