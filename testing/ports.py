"""Ports for servers of tests, several of which may run at the same time."""

import random
import socket

BELOW_OUTGOING = range(15_000, 32_000)
"""The kernel gives outgoing connections ports from 32768 on: a port from there that is free now may
be taken by the time a server asks for it."""


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on."""
    while True:
        port = random.choice(BELOW_OUTGOING)
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
