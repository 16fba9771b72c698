"""Somebody at a terminal: types commands, answers what they ask, and keeps what was seen."""

import os
import pty
import re
import select
import signal
import subprocess
import termios
import time
from collections.abc import Mapping, Sequence

from testing.waiting import PATIENCE_S

ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[78]|\x07|\r+(?=\n)")
COLUMNS, ROWS = 120, 40
STAMP = len("    0.0 s  ")


class Terminal:
    """`prefix` runs a command where it is to run. `asked` counts questions, `transcript` is what
    was seen, with the seconds since the terminal was opened before each line."""

    def __init__(self, prefix: Sequence[str]) -> None:
        self._prefix = list(prefix)
        self._began = time.monotonic()
        self.asked = 0
        self.transcript = ""
        self._line = ""

    @property
    def seconds(self) -> float:
        """Since it was opened."""
        return time.monotonic() - self._began

    def run(
        self,
        command: str,
        answers: Mapping[str, str] | None = None,
        until: str | None = None,
    ) -> str:
        """What `command` printed. A question, by its beginning in `answers`, is answered each time;
        one that is in `answers` and is not asked is no fault. `until` is something that, once seen,
        is answered by Ctrl-C. AssertionError where the command fails, or says nothing for a while.
        """
        self._see(f"$ {command}\n")
        master, slave = pty.openpty()
        termios.tcsetwinsize(slave, (ROWS, COLUMNS))
        process = subprocess.Popen(
            [*self._prefix, command],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            preexec_fn=_take_terminal,
        )
        os.close(slave)
        try:
            seen = self._answer(master, answers or {}, until)
            status = process.wait(PATIENCE_S)
        finally:
            os.close(master)
            process.kill()
            self._see("\n" if self._line else "")
        assert status == 0 or until is not None, f"{command}: {status}\n{seen}"
        return seen

    def _answer(self, master: int, answers: Mapping[str, str], until: str | None) -> str:
        seen, answered = "", 0
        while (more := self._read(master, seen)) is not None:
            seen += more
            last = re.split(r"[\n\r]", seen[answered:])[-1]
            if until is not None and until in seen:
                os.write(master, b"\x03")
                until = None
            for question, answer in answers.items():
                if last.startswith(question) and last.endswith((": ", "] ")):
                    os.write(master, f"{answer}\n".encode())
                    self.asked += 1
                    answered = len(seen)
        return seen

    def _read(self, master: int, seen: str) -> str | None:
        """What is said next; None at the end."""
        ready, _, _ = select.select([master], [], [], 2 * PATIENCE_S)
        assert ready, f"nothing more is said after:\n{seen}"
        try:
            data = os.read(master, 65536)
        except OSError:  # nobody has the other end any more
            return None
        text = ESCAPE.sub("", data.decode("utf-8", "replace"))
        self._see(text)
        return text if data else None

    def _see(self, text: str) -> None:
        for line in text.splitlines(keepends=True):
            if not self._line:
                self._line = f"{self.seconds:7.1f} s  "
            self._line += line
            if line.endswith("\n"):
                stamp, written = self._line[:STAMP], self._line[STAMP:]
                self.transcript += stamp + written.rpartition("\r")[2]  # what was written over it
                self._line = ""


def _take_terminal() -> None:
    """In the child: its terminal is the one that Ctrl-C comes from, also where a shell that started
    the tests in the background has them ignore it."""
    os.close(os.open(os.ttyname(0), os.O_RDWR))
    for number in (signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, signal.SIG_DFL)
