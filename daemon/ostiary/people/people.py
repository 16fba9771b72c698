"""The registered people: the store, and the roster in step with it."""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from typing import Protocol

import structlog

from ostiary.decision.probe import Probe
from ostiary.decision.risk import Risk
from ostiary.decision.roster import Roster, Template
from ostiary.errors import OstiaryError, SiteNotJoined, UserUnknown
from ostiary.messages.commands.people import Scope
from ostiary.messages.username import same_name
from ostiary.messages.words import RecognizerName
from ostiary.people.names import Names
from ostiary.store import users as stored
from ostiary.store.credentials import Credentials
from ostiary.store.database import Database
from ostiary.store.events import Events
from ostiary.store.users import User, Users
from ostiary.vision.arrays import Descriptor
from ostiary.vision.engine import RECOGNIZERS
from ostiary.vision.recognizer import ErrorRates

log = structlog.get_logger(__name__)

MIGRATION = "migration"
"""The source of templates that the door made of somebody known by the former recogniser."""

FORMER: dict[RecognizerName, RecognizerName] = {"sface": "dlib"}
"""The former recogniser whose people each recogniser takes over."""


def former_needed(users: Users, used: RecognizerName, *, migrate: bool) -> RecognizerName | None:
    """The recogniser to load beside the one in use, because somebody is known by it only. None
    where nobody is, or without `migrate`."""
    former = FORMER.get(used)
    waits = (former in user.recognizers and used not in user.recognizers for user in users.list())
    return former if migrate and former is not None and any(waits) else None


def roster_of(
    users: Users,
    used: RecognizerName,
    rates: Mapping[RecognizerName, ErrorRates],
    risk: Risk,
) -> Roster:
    """Everybody who is stored, to be matched with the recognisers that have `rates`."""
    people: dict[str, list[Template]] = {}
    for username, name, descriptor in users.templates():
        people.setdefault(username, []).extend(_known((name, descriptor)))
    return Roster(used, rates, risk, people.items())


class SiteChanges(Protocol):
    """Tells the other doors of a site, in the transaction of the change. Each method raises
    NotAllowed where this door may not change people of the site."""

    @property
    def is_shared(self) -> bool:
        """Whether people whom this door enrols are known at the whole site by default."""

    def usernames(self) -> frozenset[str]:
        """People who are known at the whole site."""

    def enrolled(self, username: str, now: datetime) -> None:
        """Let the whole site know a person of this door. Raises SiteNotJoined."""

    def changed(self, username: str, now: datetime) -> None:
        """Tell of a changed person of the site; nothing happens for this door's own people."""

    def deleting(self, username: str, now: datetime) -> None:
        """Tell of a deletion; nothing happens for this door's own people."""

    def freed(self, name: str) -> None:
        """Take note that nobody here has that name any more."""


class People:
    """Changes go to the store first, with their event, and to the roster once committed, so
    that nobody is matched who is not stored. Every method may be called from any thread."""

    def __init__(self, users: Users, events: Events, roster: Roster) -> None:
        self._site: SiteChanges | None = None
        self._users = users
        self._events = events
        self.credentials = Credentials(users.database)
        self.roster = roster
        self._names = Names(user.username for user in users.list())
        self._lock = threading.RLock()
        self._after_commit: list[Callable[[], object]] = []
        self._depth = 0  # of changing(); guarded by _lock
        self._followers: list[Callable[[], object]] = []

    def join(self, site: SiteChanges) -> None:
        """Tell `site` of each change from now on: this door is one of several."""
        self._site = site

    def check_open(self) -> None:
        """Raise StoreLocked where the people are sealed, and the key is not here."""
        self._users.database.seal.check()

    @property
    def database(self) -> Database:
        return self._users.database

    def follow(self, follower: Callable[[], object]) -> None:
        """Call `follower` after each removal or renaming of a person."""
        self._followers.append(follower)

    def after_commit(self, apply: Callable[[], object]) -> None:
        """Call `apply` once what the block of `changing` wrote is on disk, and not if it fails."""
        self._after_commit.append(apply)

    def get(self, username: str) -> User:
        """Raises UserUnknown."""
        return self._users.get(username)

    def has(self, username: str) -> bool:
        try:
            self._users.get(username)
        except UserUnknown:
            return False
        return True

    def list(self) -> tuple[User, ...]:
        """Everybody, by name."""
        return self._users.list()

    def names(self) -> tuple[str, ...]:
        """Everybody's name, sorted, without a look into the store."""
        return tuple(self._names)

    def count(self) -> int:
        return self._users.count()

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Make all changes in the block one transaction of the store; the roster follows at the
        end of the outermost block. On an exception neither changes."""
        with self._lock:
            mark = len(self._after_commit)
            self._depth += 1
            try:
                with self._users.database.transaction():
                    yield
            except BaseException:
                del self._after_commit[mark:]
                raise
            finally:
                self._depth -= 1
            if self._depth == 0:
                waiting, self._after_commit = self._after_commit, []
                for apply in waiting:
                    apply()

    def after_commit_once(self, *applied: Callable[[], object]) -> None:
        """As `after_commit`, but once for any number of changes in the block."""
        self._after_commit += [each for each in applied if each not in self._after_commit]

    def register(
        self,
        username: str,
        looks: Sequence[Probe],
        now: datetime,
        *,
        source: str,
        scope: Scope | None = None,
    ) -> User:
        """Register a person; each look becomes a template of the recogniser in use. `scope`: known
        at this door only or at the whole site; None: at the site, where there is one.

        Raises UsernameInvalid, UserExists, DescriptorInvalid, DatabaseUnwritable, SiteNotJoined,
        NotAllowed.
        """
        used = self.roster.used
        with self.changing():
            self._names.check_new(username)
            user = self._users.add(
                username,
                [look.descriptors[used] for look in looks],
                now,
                recognizer=used,
                source=source,
                qualities=[look.quality for look in looks],
            )
            self._events.append_user(
                action="registered", username=user.username, source=source, now=now
            )
            if self.is_shared if scope is None else scope == "site":
                self.share(user.username, now)
            self._after_commit += [
                partial(self._names.add, user.username),
                partial(self._match_anew, user.username),
            ]
            return user

    def add_template(
        self, username: str, look: Probe, now: datetime, *, source: str
    ) -> stored.Template:
        """Add a further template. Raises UserUnknown, DescriptorInvalid, DatabaseUnwritable."""
        with self.changing():
            template = self._keep(username, look, now, source)
            name = same_name(username)
            self._events.append_user(action="updated", username=name, source=source, now=now)
            self._tell_site(name, now)
            self._after_commit.append(partial(self._match_anew, name))
            return template

    def _keep(self, username: str, look: Probe, now: datetime, source: str) -> stored.Template:
        used = self.roster.used
        face, quality = look.descriptors[used], look.quality
        return self._users.add_template(
            username, face, now, recognizer=used, source=source, quality=quality
        )

    def lacks_second(self, username: str) -> bool:
        """Whether a person has one template only, never had two, and this door may give them
        another."""
        return (
            self.roster.has_one_template(username)
            and self.may_change(username)
            and not self._users.had_two(username)
        )

    def add_learned(
        self, username: str, looks: Sequence[Probe], now: datetime, *, source: str = MIGRATION
    ) -> None:
        """Add templates of the recogniser in use that the door itself made from a visit. The site
        is told of those that are not of a migration.

        Raises UserUnknown, DescriptorInvalid, DatabaseUnwritable.
        """
        with self.changing():
            for look in looks:
                self._keep(username, look, now, source)
            self._events.append_user(action="updated", username=username, source=source, now=now)
            if source != MIGRATION:
                self._tell_site(username, now)
            self._after_commit.append(partial(self._match_anew, username))

    def remove_template(
        self, username: str, template_id: int, now: datetime, *, source: str
    ) -> str:
        """Remove a template; the name as it is stored. Raises UserUnknown, TemplateUnknown,
        LastTemplate."""
        name = same_name(username)
        with self.changing():
            self._users.remove_template(name, template_id)
            self._events.append_user(action="updated", username=name, source=source, now=now)
            self._tell_site(name, now)
            self._after_commit.append(partial(self._match_anew, name))
            return name

    def probes_of(self, username: str) -> tuple[Probe, ...]:
        """One person's templates, each as a probe of its own; none where nobody has the name."""
        stored_ones = self._users.descriptors_of(username)
        return tuple(Probe({name: each}) for name, each in _known(*stored_ones))

    def delete(self, username: str, now: datetime, *, source: str) -> str:
        """Delete a person; the name as it was stored. Raises UserUnknown."""
        name = same_name(username)
        with self.changing():
            self.get(name)
            if self._site is not None:
                self._site.deleting(name, now)
            self.forget(name)
            if self._site is not None:
                self._site.freed(name)
            self._events.append_user(action="deleted", username=name, source=source, now=now)
            return name

    def forget(self, name: str) -> None:
        """Delete a person without an event: another door told of it. Raises UserUnknown."""
        with self.changing():
            self._users.delete(name)
            self._after_commit += [
                partial(self.roster.put, name, ()),
                partial(self._names.remove, name),
            ]
            self.after_commit_once(*self._followers, self._scrub)

    def import_from_site(
        self,
        name: str,
        templates: Sequence[stored.StoredTemplate],
        now: datetime,
        *,
        known_as: str | None,
    ) -> None:
        """Register a person of the site as another door knows them, or change them where they have
        the name `known_as` here; without an event. The caller writes what else is kept of them, and
        calls `refresh_followers`. Raises UsernameInvalid, UserExists, DescriptorInvalid,
        DatabaseUnwritable."""
        with self.changing():
            if known_as is None:
                self._users.add_all(name, templates, now)
            else:
                if name != known_as:
                    self.set_name(known_as, name)
                self._users.replace(name, templates, now, keep=MIGRATION)
            self._after_commit += [partial(self._names.add, name), partial(self._match_anew, name)]

    def refresh_followers(self) -> None:
        """Call the followers after this block, which changed more of people than their faces."""
        self.after_commit_once(*self._followers)

    def may_change(self, username: str) -> bool:
        """Whether this door may change a person: its own, and the site's where it enrols for it."""
        site = self._site
        return site is None or site.is_shared or username not in site.usernames()

    def set_name(self, before: str, name: str) -> None:
        """Give a person another name without an event. Raises UserExists, UsernameInvalid."""
        with self.changing():
            self._users.rename(before, name)
            self._after_commit += [
                partial(self.roster.put, before, ()),
                partial(self._names.remove, before),
                partial(self._names.add, name),
                partial(self._match_anew, name),
            ]
            self.after_commit_once(*self._followers)

    def templates_of(self, username: str) -> tuple[stored.StoredTemplate, ...]:
        """A person's templates for other doors: without those of a migration here."""
        return tuple(each for each in self._users.all_of(username) if each.source != MIGRATION)

    def share(self, username: str, now: datetime) -> str:
        """Let the whole site know somebody of this door; the name as it is stored. Raises
        UserUnknown, SiteNotJoined, NotAllowed."""
        with self.changing():
            name = self.get(username).username
            if self._site is None:
                raise SiteNotJoined(
                    "This door is on its own: `ostiary site join` makes it one of a site."
                )
            self._site.enrolled(name, now)
            return name

    @property
    def is_shared(self) -> bool:
        """Whether people whom this door enrols are known at the whole site by default."""
        return self._site is not None and self._site.is_shared

    def site_usernames(self) -> frozenset[str]:
        """People who are known at the whole site."""
        return frozenset() if self._site is None else self._site.usernames()

    def _tell_site(self, name: str, now: datetime) -> None:
        if self._site is not None:
            self._site.changed(name, now)

    def _scrub(self) -> None:
        """Clean the file of deleted rows; where it cannot be done now, it is done later."""
        try:
            failed = None if self._users.database.scrub() else "busy"
        except OstiaryError as error:
            failed = error.code
        if failed is not None:
            log.warning("database_not_scrubbed", code=failed)

    def rename(self, old: str, new: str, now: datetime, *, source: str) -> User:
        """Give a person another name. Raises UserUnknown, UsernameInvalid, UserExists."""
        before = same_name(old)
        with self.changing():
            self._names.check_new(new, instead_of=before)
            after = same_name(new)
            if after == before:
                return self.get(before)
            self.set_name(before, after)
            self._tell_site(after, now)
            if self._site is not None:
                self._site.freed(before)
            self._events.append_user(
                action="renamed", username=after, previous_username=before, source=source, now=now
            )
            return self.get(after)

    def updated(self, username: str, now: datetime, *, source: str) -> None:
        """Tell of a change to a person besides name and templates."""
        self._events.append_user(action="updated", username=username, source=source, now=now)
        self._tell_site(username, now)

    def _match_anew(self, name: str) -> None:
        self.roster.put(name, _known(*self._users.descriptors_of(name)))


def _known(*templates: tuple[str, Descriptor]) -> Iterable[Template]:
    """Templates of recognisers that this version has; those of a newer one match nobody."""
    for name in RECOGNIZERS:
        yield from ((name, descriptor) for which, descriptor in templates if which == name)
