"""The site over the broker: hears what other doors tell, and tells them what was changed here.

It has a connection of its own, so that a large roster delays neither commands nor events. The
database is the queue of what is to be told. A worker thread does everything.
"""

import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial

import structlog

from ostiary.clock import always
from ostiary.commands.site import Heard, SiteRoster
from ostiary.errors import BrokerUnavailable, OstiaryError
from ostiary.messages.state import SiteState
from ostiary.mqtt.broker import Brokers, Login, login_of
from ostiary.mqtt.client import MqttClient
from ostiary.mqtt.connection import Connection, Incoming
from ostiary.mqtt.site_sync import BrokerRepair, SiteSync
from ostiary.mqtt.site_watch import SiteWatch
from ostiary.settings import Settings
from ostiary.site.doors import CONFIRM_WITHIN_S, DoorLine, DoorReport, overview
from ostiary.site.envelope import key_number
from ostiary.site.members import MemberRole, Membership

log = structlog.get_logger(__name__)

BATCH = 256
"""Messages applied in one transaction, and changes under way to the broker, at most."""
JOINED_EVERY_S = 1.0
HOUSEKEEPING_S = 3600.0
UNDO_FOR = timedelta(days=1)
"""How long a deletion by another door can be undone."""
REFUSED_SHOWN = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class _Told:
    """The broker has a change, or refuses it; `refused` says why."""

    connection: Connection
    person: str
    version: str
    refused: str | None


@dataclass(frozen=True, slots=True)
class _Attached:
    connection: Connection | None


class SiteLink:
    """The link of a door to its site: start it, `wake` it after a change, stop it. `report` makes
    this door's report. `beat` is called every few seconds while the worker is alive."""

    def __init__(
        self,
        settings: Settings,
        roster: SiteRoster,
        report: Callable[["SiteLink"], DoorReport],
        beat: Callable[[], object] = lambda: None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        clock_trusted: Callable[[], bool] = always,
    ) -> None:
        self._clock_trusted = clock_trusted
        self._settings = settings
        self._brokers = Brokers(settings.mqtt)
        self._roster = roster
        self._topics = roster.topics
        self._watch = SiteWatch(roster, partial(report, self))
        self._repair = BrokerRepair(roster)
        self._beat = beat
        self._clock = clock
        self._inbox: queue.SimpleQueue[Incoming | _Told | _Attached | None] = queue.SimpleQueue()
        self._sync: SiteSync | None = None
        self._under_way: dict[str, str] = {}
        self._may_wait = True
        self._pending = False
        self._too_large: dict[str, str] = {}
        """The version of each person's change that is larger than the broker takes."""
        self._next_look = 0.0
        self._next_housekeeping = 0.0
        self._stopping = False
        self._client = MqttClient(
            self._login, self, reconnect_at_most_s=settings.mqtt.reconnect_at_most_s
        )
        self._thread = threading.Thread(target=self._run, name="site", daemon=True)
        roster.on_change(self.wake)

    @property
    def is_synced(self) -> bool:
        """Whether everything that the broker keeps was heard since it was last connected."""
        return self._sync is not None and self._sync.is_done

    def state(self) -> SiteState:
        """What this door knows of its site, for its own report."""
        roster, membership = self._roster, self._roster.membership
        signers = () if membership is None else tuple(membership.signers.values())
        role = None if membership is None or membership.role is None else membership.role.value
        return SiteState(
            site=roster.site,
            role=role,
            heard=self.is_synced,
            people=roster.living,
            pending=roster.store.count_waiting(),
            doors=sum(each.role is not MemberRole.REVOKED for each in signers),
            unconfirmed=roster.unconfirmed(timedelta(seconds=CONFIRM_WITHIN_S)),
            refused=roster.refused,
        )

    def overview(self) -> tuple[DoorLine, ...]:
        """All doors of the site; none before this door has joined. In a large site this door now
        begins to listen to all of them, and knows more when it is asked again."""
        membership = self._roster.membership
        if membership is None:
            return ()
        self._watch.look()
        reports = {member: said.report for member, said in self._roster.doors.said.items()}
        return overview(membership, reports, CONFIRM_WITHIN_S, self._clock())

    def problems(self, state: SiteState) -> tuple[str, ...]:
        """What of the site needs attention, as stable words."""
        connection, refused_at = self._client.connection, self._roster.refused_at
        found = {
            "site_not_joined": state.role is None,
            "site_revoked": state.role == "revoked",
            "site_unconfirmed": bool(state.unconfirmed),
            "site_messages_too_large": connection is not None and bool(connection.too_large),
            "site_needs_retain": connection is not None and not connection.limits.retain,
            "site_differs": self._watch.differs,
            "site_messages_refused": refused_at is not None
            and self._clock() - refused_at < REFUSED_SHOWN,
        }
        return tuple(word for word, is_so in found.items() if is_so)

    def start(self) -> None:
        self._thread.start()
        self._client.start()

    def stop(self) -> None:
        """Stop. What could not be told is told next time."""
        self._client.stop()
        self._stopping = True
        self._inbox.put(None)
        if self._thread.is_alive():
            self._thread.join(1.0)

    def wake(self) -> None:
        """Note that there is something to tell."""
        self._inbox.put(None)

    # what MqttClient tells, on its threads

    def connected(self, connection: Connection) -> None:
        self._inbox.put(_Attached(connection))

    def message(self, incoming: Incoming) -> None:
        self._inbox.put(incoming)

    def tend(self, _connection: Connection) -> None:
        pass

    def lost(self, _connection: Connection) -> None:
        self._inbox.put(_Attached(None))

    def closing(self, _connection: Connection) -> None:
        pass

    def _login(self) -> Login:
        mqtt = self._settings.mqtt
        site, settings = self._settings.site, self._settings
        if site.tls_certificate is not None:
            own = {"tls_certificate": site.tls_certificate, "tls_key": site.tls_key}
            settings = settings.model_copy(update={"mqtt": mqtt.model_copy(update=own)})
        login = login_of(settings, f"{mqtt.base_topic}-{self._settings.device.id}-site")
        return self._brokers.next(replace(login, receive_maximum=BATCH, clean=True))

    # the worker

    def _run(self) -> None:
        while not self._stopping:
            self._beat()
            try:
                self._step()
            except OstiaryError as error:
                log.error("site_waits", code=error.code, reason=error.message)
                self._start_over()
            except Exception:  # whatever somebody sends: the site goes on being heard
                log.exception("site_step_failed")
                self._start_over()

    def _start_over(self) -> None:
        """Hear everything again: something was not applied."""
        self._sync = None
        time.sleep(1.0)
        try:
            self._begin(self._client.connection)
        except OstiaryError as error:  # it is tried again every second
            log.error("site_waits", code=error.code, reason=error.message)

    def _step(self) -> None:
        items = self._drained()
        for item in items:
            if isinstance(item, _Attached):
                self._begin(item.connection)
        if None in items or not items:  # it was woken, or it is quiet
            self._may_wait = True
        self._settle([each for each in items if isinstance(each, _Told)])
        self._hear([each for each in items if isinstance(each, Incoming)])
        self._advance()
        self._keep_house()

    def _drained(self) -> list[Incoming | _Told | _Attached | None]:
        """Take what came, after waiting a little for the first."""
        items: list[Incoming | _Told | _Attached | None] = []
        try:
            items.append(self._inbox.get(timeout=self._patience()))
            while len(items) < BATCH:
                items.append(self._inbox.get_nowait())
        except queue.Empty:
            pass
        return items

    def _patience(self) -> float:
        if self._sync is not None and not self._sync.is_done:
            return 0.1
        repair, report = self._repair.soonest, self._watch.report_due
        due = report if repair is None else min(repair, report)
        return min(1.0, max(0.05, due - time.monotonic()))

    def _begin(self, connection: Connection | None) -> None:
        """Hear everything from the beginning on this connection; None: there is none."""
        self._under_way.clear()
        self._too_large.clear()
        self._may_wait = True
        self._sync = None
        if connection is None or not connection.alive or not self._roster.reread():
            return
        try:
            self._sync = SiteSync(connection, self._roster, self._watch)
        except BrokerUnavailable as error:
            log.error("site_not_heard", reason=error.message)

    def _hear(self, incoming: list[Incoming]) -> None:
        roster = self._roster
        heard = [each for each in incoming if each.topic.startswith(self._topics.base)]
        members = roster.members_payload
        wrong = set(roster.receive([Heard(each.topic, each.payload) for each in heard]))
        for each in incoming:
            each.connection.acknowledge(each)
        for each in heard:
            self._note(each, is_wrong=each.topic in wrong)
        if roster.members_payload != members:
            self._begin(self._client.connection)  # what was refused before may be believed now

    def _note(self, incoming: Incoming, *, is_wrong: bool) -> None:
        topic = incoming.topic
        if self._sync is not None:
            self._sync.heard(topic, incoming.payload, is_wrong=is_wrong)
        if topic == self._topics.keys or self._topics.person_of(topic) is not None:
            (self._repair.later if is_wrong else self._repair.is_right)(topic)

    def _advance(self) -> None:
        """Go on hearing everything; once that is done, tell what waits."""
        sync, membership = self._sync, self._roster.membership
        now = time.monotonic()
        if sync is None or membership is None:
            if now >= self._next_look:
                self._next_look = now + JOINED_EVERY_S
                self._begin(self._client.connection)
            return
        if not sync.connection.alive:
            return
        if sync.is_done:
            self._stay_equal(sync.connection, membership, now)
            return
        sync.advance(membership, now)
        if sync.is_done:
            self._finish(sync)

    def _finish(self, sync: SiteSync) -> None:
        missing = sync.missing()
        if self._was_away_too_long():
            self._roster.forget_absent(missing)
        else:
            for person in missing:
                if self._roster.store.envelope(person) is not None:
                    self._repair.later(self._topics.person(person))
        if sync.members_payload != self._roster.members_payload:
            self._repair.later(self._topics.keys)
        self._note_heard()
        log.info("site_heard", people=self._roster.living, missing=len(missing))

    def _note_heard(self) -> None:
        if self._clock_trusted():
            self._roster.store.heard(self._clock())

    def _was_away_too_long(self) -> bool:
        """Whether this door was away for longer than the others keep deletions."""
        heard_at = self._roster.store.heard_at()
        if heard_at is None or not self._clock_trusted():
            return False
        until = heard_at + timedelta(days=self._settings.site.tombstone_days)
        others = (each.report.at for each in self._roster.doors.said.values())
        return self._clock() > until and any(at > until for at in others)

    def _stay_equal(self, connection: Connection, membership: Membership, now: float) -> None:
        """Do what there is to do once everything was heard."""
        self._mend(connection, now)
        self._watch.listen(connection, membership, now)
        self._tell(connection)
        self._watch.tell(connection, membership, now, pending=self._pending)
        if self._watch.is_to_hear_again(membership, now):
            self._begin(self._client.connection)

    def _mend(self, connection: Connection, now: float) -> None:
        topics = self._repair.due(now)
        people = [person for topic in topics if (person := self._topics.person_of(topic))]
        if self._topics.keys in topics:
            connection.publish(self._topics.keys, self._roster.members_payload, retain=True)
        if people:
            log.info("site_mended", people=len(people))
            self._roster.store.publish_again(people)
            self._may_wait = True

    def _tell(self, connection: Connection) -> None:
        if not self._may_wait or len(self._under_way) >= BATCH:
            return
        asked = BATCH + len(self._too_large)
        waiting = self._roster.store.waiting(asked)
        self._pending = bool(waiting)
        self._may_wait = len(waiting) == asked
        for person, version, payload in waiting:
            if self._under_way.get(person) == version or len(self._under_way) >= BATCH:
                continue
            if self._too_large.get(person) == version:
                continue
            if payload is not None and self._is_sealed_by_former_key(person, payload):
                self._roster.sealed_anew(person, self._clock())
                continue
            topic = self._topics.person(person)
            if not connection.fits(topic, payload or b""):
                self._too_large[person] = version
            else:
                self._under_way[person] = version
            told = partial(self._on_told, connection, person, version)
            connection.publish(topic, payload or b"", retain=True, acknowledged=told)

    def _on_told(
        self, connection: Connection, person: str, version: str, refused: str | None
    ) -> None:
        self._inbox.put(_Told(connection, person, version, refused))

    def _is_sealed_by_former_key(self, person: str, payload: bytes) -> bool:
        membership, entry = self._roster.membership, self._roster.entry(person)
        if membership is None or entry is None or not membership.may_change:
            return False
        is_own = entry.version.member == membership.identity.id
        return is_own and key_number(payload) != membership.members.key

    def _settle(self, told: list[_Told]) -> None:
        sync = self._sync
        mine = [each for each in told if sync is not None and each.connection is sync.connection]
        for each in mine:
            self._under_way.pop(each.person, None)
        has = [(each.person, each.version) for each in mine if each.refused is None]
        if has:
            self._roster.store.published(has)
            self._may_wait = True
        if refused := next((each.refused for each in mine if each.refused is not None), None):
            raise BrokerUnavailable(
                f"The broker refuses people of the site ({refused}). Does its ACL let this door "
                f"write {self._topics.everything}?"
            )

    def _keep_house(self) -> None:
        now = time.monotonic()
        if now < self._next_housekeeping or not self._roster.is_joined:
            return
        self._next_housekeeping = now + HOUSEKEEPING_S
        if not self._clock_trusted():
            return
        lifetime = timedelta(days=self._settings.site.tombstone_days)
        millis = int((self._clock() - lifetime).timestamp() * 1000)
        self._roster.store.forget_former(self._clock() - UNDO_FOR)
        if gone := self._roster.store.forget_envelopes(f"{max(0, millis):012x}"):
            log.info("site_tombstones_gone", people=len(gone))
        if self.is_synced:
            self._note_heard()
