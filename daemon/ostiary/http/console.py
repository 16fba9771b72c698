"""The console as the daemon runs it."""

from ostiary.http.app import create_app, create_socket_app
from ostiary.http.parts import ConsoleParts
from ostiary.http.server import Server
from ostiary.http.snapshot_keeper import SnapshotKeeper


class Console:
    """The server, and what it keeps. Raises ConfigError, see `create_app`."""

    def __init__(self, parts: ConsoleParts) -> None:
        self._keeping = SnapshotKeeper(
            parts.database, parts.cameras, parts.settings, parts.rules.clock_trusted
        )
        self.app = create_app(parts)
        http = parts.settings.http
        self._server = Server(self.app, http, self.app.state.connections)
        self._servers = [self._server]
        if http.legacy_api == "socket":
            first = create_socket_app(parts)
            self._servers.append(Server(first, http, first.state.connections, http.legacy_socket))

    @property
    def url(self) -> str:
        """Where people find it."""
        return self._server.url

    def start(self) -> None:
        """Returns when it answers. Raises ConfigError when the port cannot be had."""
        self._keeping.start()
        for server in self._servers:
            server.start()

    def stop(self) -> None:
        for server in self._servers:
            server.stop()
        self._keeping.stop()

    def decided(self, seq: int, camera: str) -> None:
        """Keep a picture of a decision, where the settings want that. Returns at once."""
        self._keeping.note(seq, camera)
