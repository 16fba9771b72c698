"""Questions at a terminal, each with a default, and an option that answers it beforehand."""

from collections.abc import Callable, Sequence
from typing import Any

import click
import typer


class Questions:
    """Asks questions. `take_defaults`: it asks nothing and takes every default."""

    def __init__(self, *, take_defaults: bool = False) -> None:
        self.take_defaults = take_defaults
        self.asked = 0

    def ask(
        self,
        question: str,
        default: str,
        given: str | None = None,
        check: Callable[[str], Any] = str,
        *,
        secret: bool = False,
        shown: Callable[[str], str] = str,
    ) -> Any:
        """The answer as `check` makes it. A ValueError of `check` is shown and the question asked
        again; where nothing is asked it is raised. `shown` makes the text of an answer that may be
        seen, without secrets."""
        if given is not None or self.take_defaults:
            answer = default if given is None else given
            typer.echo(f"{question}: {'…' if secret else shown(answer)}")
            return check(answer)
        while True:
            self.asked += 1
            asked = question if secret else f"{question} [{shown(default)}]"
            answer = typer.prompt(asked, default=default, hide_input=secret, show_default=False)
            try:
                return check(str(answer).strip())
            except ValueError as error:
                typer.echo(f"  {error}")

    def hidden(self, question: str) -> str:
        """An answer that is typed unseen; it is always asked for."""
        self.asked += 1
        return str(typer.prompt(question, hide_input=True)).strip()

    def choose(self, question: str, choices: Sequence[str], default: str, given: str | None) -> str:
        """One of the choices."""

        def check(answer: str) -> str:
            if answer not in choices:
                raise ValueError(f"One of: {', '.join(choices)}.")
            return answer

        chosen: str = self.ask(f"{question} ({', '.join(choices)})", default, given, check)
        return chosen


def yes(answer: str) -> bool:
    """Whether the answer is yes. Raises ValueError for neither yes nor no."""
    if answer.lower() not in ("y", "yes", "n", "no"):
        raise ValueError("yes or no.")
    return answer.lower().startswith("y")


def say(text: str) -> None:
    """Print a heading."""
    typer.echo(click.style(f"\n{text}", bold=True))
