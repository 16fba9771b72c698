"""Three NATS servers as one cluster, with JetStream and a listener for MQTT 3.1.1 each."""

import json
import shutil
import socket
import urllib.request
from pathlib import Path
from typing import Any, Self

from testing.ports import free_port
from testing.program import Program
from testing.waiting import PATIENCE_S, wait_until

CONFIG = """\
server_name: {name}
listen: 127.0.0.1:{client}
http: 127.0.0.1:{monitor}
jetstream {{ store_dir: "{folder}/{name}", max_mem: 256M, max_file: 4G }}
cluster {{ name: building, listen: 127.0.0.1:{route}, routes: [{routes}] }}
mqtt {{ listen: 127.0.0.1:{mqtt}, stream_replicas: 3, ack_wait: "5s",
  max_ack_pending: 1000 }}
"""


class NatsNode(Program):
    """One server. Kill and start it as often as wanted: it keeps its files."""

    def __init__(self, folder: Path, name: str, client: int, route: int) -> None:
        self.name = name
        self.client = client
        self.route = route
        self.mqtt = free_port()
        self.monitor = free_port()
        self._folder = folder
        self._config = folder / f"{name}.conf"
        program = shutil.which("nats-server") or "/usr/sbin/nats-server"
        super().__init__((program, "-c", self._config), folder / f"{name}.log")

    def configure(self, routes: list[int]) -> None:
        self._config.write_text(
            CONFIG.format(
                name=self.name,
                client=self.client,
                monitor=self.monitor,
                route=self.route,
                mqtt=self.mqtt,
                folder=self._folder,
                routes=", ".join(f'"nats://127.0.0.1:{route}"' for route in routes),
            ),
            encoding="utf-8",
        )

    @property
    def listens(self) -> bool:
        """Whether it takes MQTT: it does once it has found the cluster."""
        try:
            socket.create_connection(("127.0.0.1", self.mqtt), 0.5).close()
        except OSError:
            return False
        return True

    @property
    def is_current(self) -> bool:
        """Whether its JetStream has caught up with the others."""
        try:
            with urllib.request.urlopen(
                f"http://127.0.0.1:{self.monitor}/healthz", timeout=2
            ) as page:
                found: dict[str, Any] = json.load(page)
        except (OSError, ValueError):
            return False
        return found.get("status") == "ok"


class NatsCluster:
    """Starts on entering; killed on leaving."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.nodes = [NatsNode(folder, f"n{at}", free_port(), free_port()) for at in (1, 2, 3)]
        for node in self.nodes:
            node.configure([other.route for other in self.nodes if other is not node])

    @property
    def ports(self) -> list[int]:
        return [node.mqtt for node in self.nodes]

    def wait_current(self, timeout_s: float = PATIENCE_S) -> None:
        wait_until(
            lambda: all(node.listens and node.is_current for node in self.nodes),
            "every node of the NATS cluster to be current",
            timeout_s,
        )

    def __enter__(self) -> Self:
        for node in self.nodes:
            node.start()
        self.wait_current()
        return self

    def __exit__(self, *_: object) -> None:
        for node in self.nodes:
            node.kill()
