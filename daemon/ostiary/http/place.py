"""Where the console is served, and what keeps it from being served there."""

import errno
import grp
import os
import shlex
import socket
import ssl
from pathlib import Path

from ostiary.errors import ConfigError
from ostiary.settings import HttpSettings

LOOPBACK = {"127.0.0.1", "::1", "localhost"}
FIRST_OF_ALL_USERS = 1024
"""Ports below are root's."""


def check_place(http: HttpSettings) -> None:
    """Raises ConfigError, which names the setting or the file and what mends it."""
    certificate, key = http.tls_certificate, http.tls_key
    if (certificate is None) != (key is None):
        raise ConfigError("http: tls_certificate and tls_key belong together; give both.")
    if http.host not in LOOPBACK and certificate is None and http.proxy is None:
        raise ConfigError(
            f"http.host is {http.host}: only loopback is served without TLS. Give "
            "http.tls_certificate and http.tls_key, or set http.host to 127.0.0.1."
        )
    for path in (certificate, key):
        if path is not None:
            _check_readable(path)
    if certificate is not None and key is not None:
        try:
            # A key with a password of its own must not ask for it at a terminal.
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, lambda: "")
        except (ssl.SSLError, ValueError) as error:
            raise ConfigError(
                f"http: {certificate} and {key} do not load ({error}): both have to be PEM, the "
                "certificate first, and its own key without a password."
            ) from error


def why_not_bound(http: HttpSettings, error: BaseException | None) -> str:
    """Why it does not listen at `http.host` and `port`, and what to do."""
    where = f"http: {http.host}:{http.port} cannot be served"
    match error.errno if isinstance(error, OSError) else None:
        case errno.EADDRINUSE:
            return (
                f"{where}: another program has that port (`sudo ss -ltnp 'sport = :{http.port}'` "
                "says which). End that program, or set another http.port."
            )
        case errno.EADDRNOTAVAIL:
            return (
                f"{where}: this machine has no such address (`ip -brief address` lists its own). "
                "Set http.host to one of them, or to 0.0.0.0 for all."
            )
        case errno.EACCES if http.port < FIRST_OF_ALL_USERS:
            return f"{where}: ports below {FIRST_OF_ALL_USERS} are root's. Set http.port to 8443."
        case _:
            return f"{where}{'' if error is None else f': {error}'}."


def listener(http: HttpSettings) -> socket.socket:
    """A socket that is bound there. Raises OSError."""
    bound = socket.socket(socket.AF_INET6 if ":" in http.host else socket.AF_INET)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((http.host, http.port))
    except OSError:
        bound.close()
        raise
    return bound


def _check_readable(path: Path) -> None:
    try:
        path.open("rb").close()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ConfigError(
            f"http: {path}: no such file. (The service sees nothing below /home, /root and /tmp.)"
        ) from error
    except OSError as error:
        group = grp.getgrgid(os.getegid()).gr_name
        source, target = shlex.quote(str(path)), Path("/etc/ostiary") / path.name
        raise ConfigError(
            f"http: {path}: {error.strerror}. The door may read it in its own folder: "
            f"`sudo install -m 0640 -g {group} {source} {target}`, and name that in the settings."
            if path != target
            else f"http: {path}: {error.strerror}. `sudo chgrp {group} {source}` and "
            f"`sudo chmod 0640 {source}`."
        ) from error
