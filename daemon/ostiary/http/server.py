"""Runs the console in a thread of its own."""

import threading
import time

import uvicorn
from fastapi import FastAPI

from ostiary.config import HttpSettings
from ostiary.errors import ConfigError
from ostiary.http.live import step_back

START_WITHIN_S = 10.0
STOP_WITHIN_S = 1


class Server:
    """uvicorn, without signal handlers: the daemon has its own."""

    def __init__(self, app: FastAPI, settings: HttpSettings) -> None:
        self._settings = settings
        self._server = uvicorn.Server(
            uvicorn.Config(
                app,
                host=settings.host,
                port=settings.port,
                ssl_certfile=settings.tls_certificate,
                ssl_keyfile=settings.tls_key,
                lifespan="off",
                access_log=False,
                log_config=None,
                server_header=False,
                date_header=True,
                proxy_headers=False,
                timeout_graceful_shutdown=STOP_WITHIN_S,
                ws_max_size=4096,
                ws_per_message_deflate=False,  # a JPEG does not get smaller, only later
                limit_concurrency=200,
            )
        )
        self._thread = threading.Thread(target=self._run, name="http", daemon=True)
        self._failure: BaseException | None = None

    @property
    def url(self) -> str:
        """Where people find it."""
        scheme = "http" if self._settings.tls_certificate is None else "https"
        host = self._settings.host
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{self._settings.port}/"

    def start(self) -> None:
        """Returns when it answers. Raises ConfigError when the port cannot be had."""
        self._thread.start()
        until = time.monotonic() + START_WITHIN_S
        while self._thread.is_alive() and time.monotonic() < until:
            if self._server.started:
                return
            time.sleep(0.01)
        raise ConfigError(
            f"http: {self._settings.host}:{self._settings.port} cannot be served"
            f"{'' if self._failure is None else f': {self._failure}'}. Is the port taken?"
        )

    def stop(self) -> None:
        """Ends open requests within a second."""
        self._server.should_exit = True
        if self._thread.is_alive():
            self._thread.join(STOP_WITHIN_S + 2)

    def _run(self) -> None:
        step_back()
        try:
            self._server.run()
        except (OSError, SystemExit) as error:
            self._failure = error
