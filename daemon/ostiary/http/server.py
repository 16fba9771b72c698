"""Runs a web application in a thread of its own."""

import socket
import threading
import time
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from ostiary.errors import ConfigError
from ostiary.http.connections import BACKLOG, Connections, CountedListener
from ostiary.http.place import why_not_bound
from ostiary.local.server import bound
from ostiary.priority import step_back
from ostiary.settings import HttpSettings

START_WITHIN_S = 10.0
STOP_WITHIN_S = 1


class Server:
    """uvicorn without signal handlers, since the daemon has its own."""

    def __init__(
        self,
        app: ASGIApp,
        settings: HttpSettings,
        connections: Connections,
        unix_socket: Path | None = None,
    ) -> None:
        """Serve at `settings.host` and `port`, or at the Unix socket only."""
        self._settings = settings
        self._connections = connections
        self._unix_socket = unix_socket
        tls = unix_socket is None
        self._server = uvicorn.Server(
            uvicorn.Config(
                app,
                http="h11",  # it refuses a request with two lengths
                ssl_certfile=settings.tls_certificate if tls else None,
                ssl_keyfile=settings.tls_key if tls else None,
                lifespan="off",
                access_log=False,
                log_config=None,
                server_header=False,
                date_header=True,
                proxy_headers=False,
                timeout_graceful_shutdown=STOP_WITHIN_S,
                ws_max_size=4096,
                ws_per_message_deflate=False,  # a JPEG does not get smaller, only later
                backlog=BACKLOG,
                callback_notify=self._sweep,
                timeout_notify=1,
            )
        )
        self._thread = threading.Thread(target=self._run, name="http", daemon=True)
        self._failure: BaseException | None = None

    @property
    def url(self) -> str:
        """Address for people."""
        if self._unix_socket is not None:
            return f"unix:{self._unix_socket}"
        scheme = "http" if self._settings.tls_certificate is None else "https"
        host = self._settings.host
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{self._settings.port}/"

    def start(self) -> None:
        """Start; return once it answers, or after START_WITHIN_S: on a machine that is too busy it
        answers later. Raises ConfigError where its address cannot be had."""
        self._thread.start()
        until = time.monotonic() + START_WITHIN_S
        while not self._server.started and time.monotonic() < until:
            if not self._thread.is_alive():
                raise ConfigError(self._why_not_bound())
            time.sleep(0.01)

    def stop(self) -> None:
        """Stop; open requests end within STOP_WITHIN_S."""
        self._server.should_exit = True
        if self._thread.is_alive():
            self._thread.join(STOP_WITHIN_S + 2)
        if self._unix_socket is not None and self._server.started:  # or it is somebody else's
            self._unix_socket.unlink(missing_ok=True)

    async def _sweep(self) -> None:
        self._connections.sweep()

    def _run(self) -> None:
        step_back()
        try:
            self._server.run(sockets=[self._bound()])
        except (OSError, SystemExit) as error:
            self._failure = error

    def _why_not_bound(self) -> str:
        if self._unix_socket is None:
            return why_not_bound(self._settings, self._failure)
        return f"http: {self.url} cannot be served: {self._failure}."

    def _bound(self) -> socket.socket:
        if self._unix_socket is None:
            return CountedListener(self._settings.host, self._settings.port, self._connections)
        return bound(self._unix_socket)
