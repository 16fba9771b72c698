"""What the demo prints."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from rich.console import Console
from rich.table import Table

from demo.scenes import REGISTERED, Scene
from demo.verdict import Outcome, explain, measured
from ostiary.messages.events import LoginEvent

KEEPING = """\
[bold]The daemon keeps running[/bold] and the visitors come again and again. Ctrl-C ends it all.
  broker   MQTT 5 on 127.0.0.1:{port}
  camera   {camera}
  config   {config}
  log      {log}
Talk to it from another terminal:
  mosquitto_sub -V 5 -p {port} -t '{base}/#' -v
  mosquitto_pub -V 5 -p {port} -q 1 -t {base}/request/users -m '{{}}'
  mosquitto_pub -V 5 -p {port} -q 1 -t {base}/request/delete -m '{{"username": "{username}"}}'
"""


class Screen:
    """Writes for people to a rich console."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def working(self, what: str) -> AbstractContextManager[object]:
        """Say what is being done for as long as it takes."""
        self._console.print(f"[dim]· {what}[/dim]")
        return self._console.status(what)

    def online(self, pid: int, seconds: float) -> None:
        self._console.print(f"[dim]· the daemon (process {pid}) is online after {seconds:.1f} s[/]")

    def registered(self, username: str, portrait: str, message: str) -> None:
        self._console.print(f"[dim]· registered {username} with {portrait}:[/] {message}\n")

    def scene(self, scene: Scene) -> None:
        self._console.print(f"[bold]{scene.title}[/]")

    def event(self, event: LoginEvent, risk: float | None) -> None:
        colour, sign = ("green", "✔") if event.success else ("red", "✘")
        clock = event.timestamp.strftime("%H:%M:%S")
        name = f" {event.username}" if event.success else ""
        self._console.print(
            f"  [{colour}]{sign} {event.reason.value}{name}[/]  "
            f"[dim]{clock} UTC, {measured(event, risk)}[/]\n    {explain(event)}",
            highlight=False,
        )

    def judged(self, outcome: Outcome) -> None:
        if not outcome.events:
            self._console.print("  [dim]no event[/]")
        if not outcome.as_expected:
            self._console.print(f"  [bold red]expected {outcome.expected}[/]")

    def summary(self, outcomes: Sequence[Outcome], sheet: Path) -> None:
        table = Table(title_justify="left", show_edge=False, pad_edge=False)
        for column in ("scene", "expected", "the door said", ""):
            table.add_column(column)
        for outcome in outcomes:
            verdict = "[green]ok[/]" if outcome.as_expected else "[bold red]WRONG[/]"
            table.add_row(outcome.scene.title, outcome.expected, outcome.answer, verdict)
        right = sum(outcome.as_expected for outcome in outcomes)
        self._console.print()
        self._console.print(table)
        self._console.print(f"\n{right} of {len(outcomes)} as it should be. Pictures: {sheet}")

    def keeping(self, port: int, camera: str, config: Path, log: Path, base: str) -> None:
        self._console.print()
        self._console.print(
            KEEPING.format(
                port=port, camera=camera, config=config, log=log, base=base, username=REGISTERED
            ),
            highlight=False,
            soft_wrap=True,
        )
