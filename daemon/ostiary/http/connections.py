"""Limits the open connections, and decides which of them gives way to a new one.

A client that opens sockets and sends nothing must not keep others out, nor use up the descriptors
that the broker and the cameras need. So connections are counted where they are accepted: before
TLS, before any header.
"""

import resource
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from typing import Any

Peer = tuple[str, int]
"""Address and port, which identify a connection here and in an ASGI scope."""

BACKLOG = 64
"""Connections taken in at once, beyond those that may stay."""
SHARE_OF_DESCRIPTORS = 4
"""The console may use one of so many descriptors; the door has the others."""
SELECTABLE = 1024
"""paho waits for the broker by select(2), which knows no descriptor from here on."""


@dataclass(slots=True)
class _Open:
    address: str
    until: float  # then it has waited, or answered, for too long
    answering: bool = False
    close: Callable[[], object] = lambda: None


class Connections:
    """The open connections. `patience_s`: how long a connection may be without a request;
    `answer_s`: how long an answer may take."""

    def __init__(
        self,
        at_most: int,
        of_one_address: int,
        patience_s: float,
        answer_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._at_most = at_most
        self._of_one_address = of_one_address
        self._patience_s = patience_s
        self._answer_s = answer_s
        self._clock = clock
        self._lock = threading.Lock()
        self._open: dict[Peer, _Open] = {}  # whoever waits longest comes first

    def __len__(self) -> int:
        return len(self._open)

    def admit(self, peer: Peer, close: Callable[[], object]) -> bool:
        """Take in a new connection; False: there is no place. Where all are taken, the connection
        that has waited longest for a request is closed: one of the same address where that has its
        share, otherwise one of the address that has most."""
        now, address = self._clock(), neighbourhood(peer[0])
        with self._lock:
            own = sum(one.address == address for one in self._open.values())
            idle = [(one.address, each) for each, one in self._open.items() if not one.answering]
            if own >= self._of_one_address:
                idle = [each for each in idle if each[0] == address]
            elif len(self._open) >= self._at_most:
                most = Counter(of for of, _ in idle).most_common(1)
                idle = [each for each in idle if each[0] == most[0][0]]
            else:
                idle = [(address, peer)]
            if not idle:
                return False
            if (longest := idle[0][1]) != peer:
                self._open.pop(longest).close()
            self._open[peer] = _Open(address, now + self._patience_s, close=close)
        return True

    @contextmanager
    def answering(self, peer: Peer | None, *, for_long: bool = False) -> Iterator[None]:
        """Let the connection not give way during the block, while a request is answered.
        `for_long`: the answer may last."""
        self.holds(peer, for_long=for_long)
        try:
            yield
        finally:
            self._change(peer, self._patience_s, answering=False)

    def yields(self, peer: Peer | None) -> None:
        """Let the connection give way: it is the client's turn to send or to take something."""
        self._change(peer, self._answer_s, answering=False)

    def holds(self, peer: Peer | None, *, for_long: bool = False) -> None:
        """Let the connection not give way: it is the door's turn again."""
        self._change(peer, float("inf") if for_long else self._answer_s, answering=True)

    def gone(self, peer: Peer) -> None:
        with self._lock:
            self._open.pop(peer, None)

    def sweep(self) -> None:
        """Close those that have waited, or answered, for too long."""
        now = self._clock()
        with self._lock:
            late = [each for each, one in self._open.items() if one.until < now]
            for each in late:
                self._open.pop(each).close()

    def _change(self, peer: Peer | None, for_s: float, *, answering: bool) -> None:
        with self._lock:
            one = None if peer is None else self._open.pop(peer, None)
            if peer is not None and one is not None:
                one.until, one.answering = self._clock() + for_s, answering
                self._open[peer] = one


class CountedListener(socket.socket):
    """A TCP socket whose connections are all counted. Raises OSError where it cannot be bound."""

    def __init__(self, host: str, port: int, connections: Connections) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__(family, socket.SOCK_STREAM)
        self._connections = connections
        self.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.setblocking(False)
        self.bind((host, port))

    def accept(self) -> tuple[socket.socket, Any]:
        """The next connection that has a place. Raises BlockingIOError when there is none."""
        while True:
            accepted, address = super().accept()
            peer: Peer = address[:2]
            connection = _Counted(accepted, peer, self._connections)
            if self._connections.admit(peer, connection.hang_up):
                return connection, address
            connection.close()


class _Counted(socket.socket):
    """A connection that leaves its place when it is closed."""

    def __init__(self, accepted: socket.socket, peer: Peer, connections: Connections) -> None:
        super().__init__(accepted.family, accepted.type, accepted.proto, accepted.detach())
        self._peer = peer
        self._connections = connections

    def hang_up(self) -> None:
        """End it; the event loop then closes it as if the client had gone."""
        with suppress(OSError):
            self.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._connections.gone(self._peer)
        super().close()


def places(wanted: int) -> int:
    """How many connections there may be: `wanted`, as far as this process's descriptors allow."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    usable = SELECTABLE if soft == resource.RLIM_INFINITY else min(soft, SELECTABLE)
    return max(1, min(wanted, usable // SHARE_OF_DESCRIPTORS))


def neighbourhood(address: str) -> str:
    """The address; of IPv6 its /64, which one host has."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is None:
        return str(IPv6Address(int(parsed) >> 64 << 64))
    return address
