"""The command line as somebody types it, in this process: what a process of its own would take to
begin is most of what a short command costs."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

from click.testing import CliRunner

from ostiary.cli.main import main


@dataclass(frozen=True)
class Said:
    """What a command left on the terminal, and its exit status."""

    returncode: int
    stdout: str
    stderr: str


def ostiary(
    *arguments: str, config: Path | None = None, typed: str = "", **environment: str
) -> Said:
    """Run `ostiary` with these arguments, and with the settings of `config`; `typed` is what is
    answered to its questions."""
    if config is not None:
        environment["OSTIARY_CONFIG"] = str(config)
    if arguments[0] == "run":
        return _in_a_process(arguments, environment)
    code = 0
    with (
        CliRunner().isolation(typed, {"COLUMNS": "200", **environment}) as (out, err, _),
        patch.object(sys, "argv", ["ostiary", *arguments]),
    ):
        try:
            main()
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
        sys.stdout.flush()
        sys.stderr.flush()
        return Said(code, out.getvalue().decode(), err.getvalue().decode())


def _in_a_process(arguments: Sequence[str], environment: Mapping[str, str]) -> Said:
    """Run it in a process of its own: `ostiary run` sets up the process that it is in."""
    done = subprocess.run(
        [sys.executable, "-m", "ostiary.cli.main", *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )
    return Said(done.returncode, done.stdout, done.stderr)
