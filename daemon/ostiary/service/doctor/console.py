"""Can the console be served where the settings say?"""

import errno
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509

from ostiary.errors import ConfigError
from ostiary.http.place import LOOPBACK, check_place, listener, why_not_bound
from ostiary.service.doctor.check import Check, green, red, yellow
from ostiary.settings import HttpSettings

SOON = timedelta(days=14)
LISTENS = "0A"
TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
_HOW_TO_RENEW = "Put a new one in its place, and `sudo systemctl reload ostiary`."


def check_console(http: HttpSettings) -> Iterator[Check]:
    """Nothing where it is off."""
    if not http.enabled:
        return
    try:
        check_place(http)
    except ConfigError as error:
        found, _, advice = error.message.partition(". ")
        yield red("console", found, advice or "See [http] of the settings.")
        return
    if http.proxy is not None and http.tls_certificate is None and http.host not in LOOPBACK:
        found = f"{http.host}:{http.port}: not encrypted on its way to the proxy, {http.proxy}"
        yield yellow("console proxy", found, "Let both be one machine, or give a certificate.")
    if http.tls_certificate is not None:
        yield from _age(http.tls_certificate, datetime.now(UTC))
    try:
        listener(http).close()
    except OSError as error:
        if error.errno == errno.EADDRINUSE and os.geteuid() in _who_listens(http.port):
            yield green("console", f"{http.host}:{http.port}: the door that runs serves it")
            return
        found, _, advice = why_not_bound(http, error).partition(". ")
        yield red("console", found, advice or "See [http] of the settings.")
    else:
        yield green("console", f"{http.host}:{http.port} is free for it")


def _age(certificate: Path, now: datetime) -> Iterator[Check]:
    until = x509.load_pem_x509_certificate(certificate.read_bytes()).not_valid_after_utc
    if until < now:
        found = f"{certificate}: over since {until:%Y-%m-%d}"
        yield yellow("console certificate", found, f"Browsers warn of it. {_HOW_TO_RENEW}")
    elif until < now + SOON:
        yield yellow("console certificate", f"{certificate}: until {until:%Y-%m-%d}", _HOW_TO_RENEW)


def _who_listens(port: int) -> set[int]:
    """The users whose programs listen at that TCP port."""
    users = set()
    for table in TABLES:
        for line in table.read_text(encoding="ascii").splitlines()[1:] if table.exists() else ():
            _, local, _, state, *_, uid = line.split()[:8]
            if state == LISTENS and int(local.rpartition(":")[2], 16) == port:
                users.add(int(uid))
    return users
