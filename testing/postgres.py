"""A real PostgreSQL (Debian's) on loopback, as an unprivileged user where the test is root."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import Self

import psycopg

from testing.ports import free_port
from testing.waiting import wait_until


def _programs() -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    assert found, "postgresql is not installed"
    return found[-1].parent


class Postgres:
    """Starts on entering with an empty database; ended on leaving."""

    def __init__(self) -> None:
        self.port = free_port()
        # Not below pytest's own folder, which nobody but root may enter.
        self._folder = Path(tempfile.mkdtemp(prefix="ostiary-postgres-", dir="/tmp"))
        self._user = "postgres" if os.geteuid() == 0 else None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"postgresql://ostiary@127.0.0.1:{self.port}/postgres"

    def __enter__(self) -> Self:
        if self._user is not None:
            known = pwd.getpwnam(self._user)
            os.chown(self._folder, known.pw_uid, known.pw_gid)
        data = self._folder / "data"
        subprocess.run(
            [
                *(_programs() / "initdb", "-D", data, "-U", "ostiary", "-A", "trust"),
                *("-E", "UTF8", "--no-locale", "--no-sync"),
            ],
            user=self._user,
            cwd=self._folder,
            check=True,
            stdout=subprocess.DEVNULL,
        )
        self.start()
        return self

    def start(self) -> None:
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *(_programs() / "postgres", "-D", self._folder / "data"),
                    *("-h", "127.0.0.1", "-p", str(self.port), "-k", self._folder),
                ],
                user=self._user,
                cwd=self._folder,
                stdout=log,
                stderr=log,
            )
        wait_until(self._answers, f"PostgreSQL to answer; {self._folder / 'log'}")

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.url).close()
        except psycopg.OperationalError:
            return False
        return True

    def stop(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)  # a fast shutdown
            self._process.wait(60)
            self._process = None

    def __exit__(self, *_: object) -> None:
        self.stop()
        shutil.rmtree(self._folder)
