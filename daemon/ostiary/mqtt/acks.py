"""Acknowledging commands in the order in which they came, as MQTT 5 (4.6) demands."""

import threading
from collections import deque
from dataclasses import replace

from ostiary.mqtt.connection import Connection, Incoming


class AckOrder:
    """Commands under way. One is acknowledged once it and all before it are done; until then the
    broker keeps it, and delivers it again if we die."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._connection: Connection | None = None
        self._under_way: deque[Incoming] = deque()
        self._done: set[int] = set()

    def arrived(self, incoming: Incoming) -> None:
        """Call it in the order of arrival."""
        if not incoming.qos:
            return
        with self._lock:
            if incoming.connection is not self._connection:  # the old ones will come again
                self._connection = incoming.connection
                self._under_way.clear()
                self._done.clear()
            self._under_way.append(replace(incoming, payload=b"", correlation=None))

    def done(self, incoming: Incoming) -> None:
        """Its effect is on disk and its answer with the broker (or it needs none)."""
        with self._lock:
            if not incoming.qos or incoming.connection is not self._connection:
                return
            self._done.add(incoming.mid)
            while self._under_way and self._under_way[0].mid in self._done:
                first = self._under_way.popleft()
                self._done.discard(first.mid)
                incoming.connection.acknowledge(first)
