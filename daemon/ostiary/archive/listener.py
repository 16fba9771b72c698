"""Takes all doors' events from a session that the broker keeps, and acknowledges those on disk.

Killed at any moment, it loses nothing: an event that was not acknowledged comes again, and one that
comes twice is one row.
"""

import queue
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime

import structlog

from ostiary.archive.keeper import ArchiveKeeper, Record, record_of
from ostiary.errors import ArchiveUnavailable
from ostiary.mqtt.broker import Brokers, Login, login_of
from ostiary.mqtt.client import MqttClient
from ostiary.mqtt.connection import Connection, Incoming
from ostiary.mqtt.session import Backoff, Subscriptions
from ostiary.settings import Settings

log = structlog.get_logger(__name__)

BATCH = 500
"""Most events of a transaction, and most that the broker sends unacknowledged."""
FORGET_EVERY_S = 3600.0
SESSION_S = 30 * 24 * 3600
"""How long the broker keeps events for an archive that is away."""


class Archive:
    """The archive's process: `run` lasts until `stop`. While the clock is not trusted, nothing is
    forgotten."""

    def __init__(
        self, settings: Settings, clock_trusted: Callable[[], bool] = lambda: True
    ) -> None:
        self._clock_trusted = clock_trusted
        self._settings = settings
        self._brokers = Brokers(settings.mqtt)
        self._incoming: queue.SimpleQueue[Incoming | None] = queue.SimpleQueue()
        self._stopping = threading.Event()
        self._next_forget = 0.0
        self._subscriptions = Subscriptions(self.topic)
        self._client = MqttClient(
            self._login, self, reconnect_at_most_s=settings.mqtt.reconnect_at_most_s
        )

    @property
    def topic(self) -> str:
        """The topic filter of all events: a shared one, where several archives share the work."""
        base, share = self._settings.mqtt.base_topic, self._settings.archive.share
        return f"{f'$share/{share}/' if share else ''}{base}/+/event/+"

    def run(self) -> None:
        self._client.start()
        backoff = Backoff(0.5, 30.0)
        keeper: ArchiveKeeper | None = None
        waiting: list[Incoming] = []
        try:
            while not self._stopping.is_set():
                waiting = waiting or self._drained()
                try:
                    keeper = keeper or ArchiveKeeper.connect(self._settings.archive.database)
                    self._keep(keeper, waiting)
                    waiting = []
                    self._forget(keeper)
                    backoff.reset()
                except ArchiveUnavailable as error:
                    log.error("archive_waits", reason=error.message)
                    if keeper is not None:
                        keeper.close()
                        keeper = None
                    self._stopping.wait(backoff.wait_s())
        finally:
            self._client.stop()
            if keeper is not None:
                keeper.close()

    def stop(self) -> None:
        """End `run`. May be called from a signal handler or any thread."""
        self._stopping.set()
        self._incoming.put(None)

    # what MqttClient tells, on its threads

    def connected(self, connection: Connection) -> None:
        self._subscriptions.ask(connection)

    def tend(self, connection: Connection) -> None:
        self._subscriptions.tend(connection)

    def message(self, incoming: Incoming) -> None:
        self._incoming.put(incoming)

    def lost(self, _connection: Connection) -> None:
        pass

    def closing(self, _connection: Connection) -> None:
        pass

    def _login(self) -> Login:
        name = self._settings.archive.name
        login = login_of(
            self._settings,
            f"{self._settings.mqtt.base_topic}-archive-{name}",
            session_expiry_s=SESSION_S,
            receive_maximum=BATCH,
        )
        return self._brokers.next(login)

    def _drained(self) -> list[Incoming]:
        """Take at most BATCH messages that came, after waiting up to a second for the first."""
        found: list[Incoming] = []
        try:
            first = self._incoming.get(timeout=1.0)
            while first is not None:
                found.append(first)
                if len(found) == BATCH:
                    break
                first = self._incoming.get_nowait()
        except queue.Empty:
            pass
        return found

    def _keep(self, keeper: ArchiveKeeper, incoming: list[Incoming]) -> None:
        if not incoming:
            return
        records: list[Record] = []
        refused = []
        for each in incoming:
            try:
                records.append(record_of(each.topic, each.payload))
            except ValueError as error:
                refused.append((each.topic, each.payload, str(error)))
        new = keeper.keep(records, refused)
        for each in incoming:  # in the order of their arrival, as MQTT 5 (4.6) demands
            each.connection.acknowledge(each)
        log.info("archived", events=len(records), new=new, refused=len(refused))

    def _forget(self, keeper: ArchiveKeeper) -> None:
        if time.monotonic() < self._next_forget:
            return
        self._next_forget = time.monotonic() + FORGET_EVERY_S
        if not self._clock_trusted():
            log.warning("archive_forgets_nothing", reason="the clock is not synchronised")
            return
        if gone := keeper.forget(datetime.now(UTC), self._settings.archive.keep_days):
            log.info("archive_forgot", partitions=gone)
