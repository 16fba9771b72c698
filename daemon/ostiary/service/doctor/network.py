"""Does the broker take us, encrypted, to publish and subscribe? Can the console be served?"""

import errno
import os
import queue
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from pydantic import ValidationError

from ostiary.errors import BrokerUnavailable, ConfigError, OstiaryError
from ostiary.http.place import LOOPBACK, check_place, listener, why_not_bound
from ostiary.messages.state import State
from ostiary.mqtt.broker import Limits, Login, Loss, ProtocolRefused, login_of
from ostiary.mqtt.client import Suspicion
from ostiary.mqtt.connection import Connection, Incoming
from ostiary.mqtt.paho_client import MQTT5, MQTT311
from ostiary.mqtt.topics import Topics
from ostiary.service.doctor.check import Check, green, red, yellow
from ostiary.settings import HttpSettings, Settings

ANSWER_WITHIN_S = 5.0
KEPT_WITHIN_S = 1.0
WINDOW = 8
ROOMY_BYTES = 256 * 1024
"""From this size on pictures and lists of people usually fit."""
SOON = timedelta(days=14)
LISTENS = "0A"
TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
_HOW_TO_RENEW = "Put a new one in its place, and `sudo systemctl reload ostiary`."


def check_broker(settings: Settings) -> Iterator[Check]:
    mqtt, topics = settings.mqtt, Topics.of(settings)
    where = f"{mqtt.host}:{mqtt.port}"
    try:
        client_id = f"{mqtt.base_topic}-{settings.device.id}-doctor"
        visit = _Visit(replace(login_of(settings, client_id), clean=True))
    except OstiaryError as error:
        yield red("broker", error.message, "The daemon keeps events until the broker is back.")
        return
    try:
        yield _encryption(where, visit)
        yield from _limits(visit.connection.limits, needs_retain=settings.site.id is not None)
        yield _permission("subscribe", topics.requests, visit.subscribe(topics.requests))
        if visit.connection.lowest_granted == 0 < visit.connection.limits.qos:
            yield _without_qos1("it grants subscriptions at QoS 0 only")
        yield from _running(topics, visit.kept(topics.state))
        # Last: mosquitto 2.0.11 hangs up on a message that it does not permit.
        topic = topics.response("doctor")
        refused = visit.publish(topic)
        yield _permission("publish", topic, refused)
        if refused is None and visit.connection.limits.retain:
            refused = visit.publish(topic, retain=True)  # empty: nothing is kept
            if refused is not None:
                yield _without_retain(refused, needs_retain=settings.site.id is not None)
    finally:
        visit.connection.close()


def _encryption(where: str, visit: "_Visit") -> Check:
    if (version := visit.connection.tls_version) is not None:
        return green("broker", f"{where}: connected, {version}")
    if where.startswith(("127.", "localhost:", "::1:")):
        return green("broker", f"{where}: connected, on this machine")
    return yellow(
        "broker",
        f"{where}: connected without TLS",
        "Anybody on the network can read who passes: set mqtt.tls; see security.md.",
    )


def _limits(limits: Limits, *, needs_retain: bool) -> Iterator[Check]:
    """Limits of the broker."""
    size = limits.packet_bytes
    if size is None:
        yield green("broker limit", "messages of any size")
    elif size >= ROOMY_BYTES:
        yield green("broker limit", f"messages of {size:,} bytes at most")
    else:
        yield yellow(
            "broker limit",
            f"messages of {size:,} bytes at most",
            "Larger answers become the error answer_too_large, and larger events wait: raise the "
            "broker's limit (mosquitto: max_packet_size), or ask for lists in parts.",
        )
    if not limits.retain:
        yield _without_retain("it keeps no retained messages", needs_retain=needs_retain)
    if limits.qos == 0:
        yield _without_qos1("it takes messages of QoS 0 only")


def _without_retain(found: str, *, needs_retain: bool) -> Check:
    return (red if needs_retain else yellow)(
        "broker retain",
        found,
        "Who comes later does not hear whether the door is there, and a site needs retained "
        "messages: permit them at the broker (mosquitto: retain_available).",
    )


def _without_qos1(found: str) -> Check:
    return red(
        "broker qos",
        found,
        "What is lost on the way nobody sends again: permit QoS 1 (mosquitto: max_qos).",
    )


def _permission(what: str, topic: str, refused: str | None) -> Check:
    if refused is None:
        return green(f"broker {what}", f"{topic}: permitted")
    return red(
        f"broker {what}",
        f"{topic}: {refused}",
        "Let the door's user do it in the broker's ACL; config/mosquitto/ has an example.",
    )


def _running(topics: Topics, kept: bytes | None) -> Iterator[Check]:
    """What the running door says of its connections, where this user may read it."""
    try:
        state = State.model_validate_json(kept or b"")
    except ValidationError:
        return
    if Suspicion.TWIN in state.problems:
        yield red(
            "broker twin",
            f"another client connects as {topics.base}, and each throws the other off",
            "Two doors have one device.id: give each its own. `ostiary config --new` proposes one.",
        )
    if Suspicion.KICKED in state.problems:
        yield red(
            "broker connections",
            "the broker ends each connection of the running door soon",
            "The door's log says with which words; the broker's log says more.",
        )


class _Visit:
    """A short connection under a client id of its own, which leaves the daemon's alone."""

    def __init__(self, login: Login) -> None:
        """Connect. Raises BrokerUnavailable."""
        self._heard: queue.SimpleQueue[Incoming] = queue.SimpleQueue()
        self._loss: Loss | None = None
        self.connection = Connection(login, MQTT5, WINDOW, self)
        try:
            self.connection.open()
        except ProtocolRefused:
            self.connection = Connection(login, MQTT311, WINDOW, self)
            self.connection.open()

    def publish(self, topic: str, *, retain: bool = False) -> str | None:
        """Why the broker refuses a message on `topic`; None: it takes it."""
        answers: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        if not self.connection.publish(topic, b"", retain=retain, acknowledged=answers.put):
            return self._ended()
        try:
            return answers.get(timeout=ANSWER_WITHIN_S)
        except queue.Empty:
            return self._ended()

    def subscribe(self, topic: str) -> str | None:
        """Why the broker refuses a subscription to `topic`; None: it takes it."""
        try:
            self.connection.subscribe(topic)
        except BrokerUnavailable as error:
            return error.message
        return None

    def kept(self, topic: str) -> bytes | None:
        """The message that the broker keeps at `topic`; None: none, or this user may not read
        it."""
        if self.subscribe(topic) is not None:
            return None
        until = time.monotonic() + KEPT_WITHIN_S
        while (left := until - time.monotonic()) > 0:
            try:
                incoming = self._heard.get(timeout=left)
            except queue.Empty:
                break
            self.connection.acknowledge(incoming)
            if incoming.topic == topic:
                return incoming.payload
        return None

    def _ended(self) -> str:
        return f"no answer in {ANSWER_WITHIN_S:g} s" if self._loss is None else self._loss.words

    # what Connection tells, on its network thread

    def message(self, incoming: Incoming) -> None:
        self._heard.put(incoming)

    def lost(self, _connection: Connection, loss: Loss) -> None:
        self._loss = loss


def check_console(http: HttpSettings) -> Iterator[Check]:
    """Whether the console can be served where the settings say; nothing where it is off."""
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
    """Users whose programs listen at a TCP port."""
    users = set()
    for table in TABLES:
        for line in table.read_text(encoding="ascii").splitlines()[1:] if table.exists() else ():
            _, local, _, state, *_, uid = line.split()[:8]
            if state == LISTENS and int(local.rpartition(":")[2], 16) == port:
                users.add(int(uid))
    return users
