"""Ports for servers of tests, several of which may run at the same time."""

import itertools
import os
import random
import socket
from collections.abc import Iterator

BELOW_OUTGOING = range(15_000, 32_000)
"""The kernel gives outgoing connections ports from 32768 on: a port from there that is free now may
be taken by the time a server asks for it."""


def _own() -> Iterator[int]:
    """The ports of this process in any order: none comes twice before all have come, and those that
    test side by side share none. Drawn once, as Hypothesis repeats what is drawn in a test."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    share = BELOW_OUTGOING[worker :: int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))]
    return itertools.cycle(random.sample(share, len(share)))


_PORTS = _own()


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on, and that nobody here was given lately."""
    while True:
        port = next(_PORTS)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def listens(port: int) -> bool:
    """Whether somebody listens on that TCP port of 127.0.0.1."""
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True
