"""`python -m demo.console`: a door with visitors, and its console to look at in a browser."""

import re
import signal
import socket
import sys
import time
from contextlib import ExitStack
from itertools import cycle
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from demo import daemon
from demo.broker import embedded_broker, free_port
from demo.errors import DemoError
from demo.scenes import empty_room, visitors
from demo.stream import Camera
from ostiary.errors import OstiaryError
from ostiary.vision.models import models_directory

PREFERRED_PORT = 8080
READY_WITHIN_S = 120.0
SCENE_S = 12.0
EMPTY_S = 3.0
COULD_NOT_RUN = 69  # EX_UNAVAILABLE of sysexits.h

HTTP = """
[http]
enabled = true
port = {port}
"""
SAY = """
[bold green]The console is at http://127.0.0.1:{port}/[/]
First start: the set-up code is [bold]{code}[/] (from the daemon's log, {log}).
Then enrol the visitor at the door, and see him let in when he comes again. Ctrl-C ends it all.
"""

app = typer.Typer(add_completion=False)


@app.command()
def main(
    output: Annotated[Path, typer.Option(help="Folder for the log and the database.")] = Path(
        "build/console"
    ),
    portraits: Annotated[Path, typer.Option(help="Folder of the portraits.")] = Path(
        "resources/portraits"
    ),
) -> None:
    """Starts a broker, a made-up camera and the real daemon, and prints where the console is."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _leave)
    try:
        run(output.resolve(), portraits, Console())
    except (DemoError, OstiaryError) as error:
        Console(stderr=True).print(f"[bold red]demo:[/] {escape(str(error))}", soft_wrap=True)
        sys.exit(COULD_NOT_RUN)
    except KeyboardInterrupt:
        sys.exit(0)


def run(output: Path, portraits: Path, console: Console) -> None:
    """Goes on until it is interrupted. Raises DemoError."""
    output.mkdir(parents=True, exist_ok=True)
    for old in (*output.glob("demo.db*"), *output.glob("demo.settings.toml")):
        old.unlink()
    with console.status("making the visitors from the portraits"):
        nobody, scenes = empty_room(), visitors(portraits)
    with ExitStack() as stack:
        broker = stack.enter_context(embedded_broker(output))
        camera = stack.enter_context(Camera(nobody))
        config = daemon.write_config(output, camera.url, broker, models_directory())
        port = console_port()
        with config.open("a", encoding="utf-8") as file:
            file.write(HTTP.format(port=port))
        log = output / "daemon.log"
        process = stack.enter_context(daemon.running(config, log))
        with console.status("starting the daemon"):
            wait_for(port, process)
        console.print(SAY.format(port=port, code=set_up_code(log), log=log), soft_wrap=True)
        for scene in cycle(scenes):
            camera.show(scene)
            stay(SCENE_S, process)
            camera.show(nobody)
            stay(EMPTY_S, process)


def console_port() -> int:
    """8080, or another one that is free."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", PREFERRED_PORT))
        except OSError:
            return free_port()
    return PREFERRED_PORT


def wait_for(port: int, process: daemon.Daemon) -> None:
    """Until the console answers. Raises DemoError."""
    until = time.monotonic() + READY_WITHIN_S
    while time.monotonic() < until:
        process.check()
        try:
            socket.create_connection(("127.0.0.1", port), 1.0).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise DemoError(f"The console did not answer within {READY_WITHIN_S:g} s; see {process.log}.")


def set_up_code(log: Path) -> str:
    """The set-up code, read from the journal as a person would. Raises DemoError."""
    text = log.read_text(encoding="utf-8", errors="replace")
    lines = [line for line in text.splitlines() if "console_set_up_needed" in line]
    found = re.search(r"[A-Z2-9]{4}(-[A-Z2-9]{4}){2}", "".join(lines[-1:]))
    if found is None:
        raise DemoError(f"There is no set-up code in {log}.")
    return found[0]


def stay(seconds: float, process: daemon.Daemon) -> None:
    """Wait, as long as the daemon runs. Raises DemoError."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        process.check()
        time.sleep(0.2)


def _leave(number: int, _frame: object) -> None:
    """End as by an error, so that everything that was started is stopped."""
    sys.exit(128 + number)


if __name__ == "__main__":
    app()
