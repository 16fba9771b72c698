"""The registered people: the store, and the gallery in step with it."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import partial

from ostiary.access.decision import Candidate
from ostiary.access.gallery import Gallery
from ostiary.errors import UserUnknown
from ostiary.messages.username import same_name
from ostiary.store.events import Events
from ostiary.store.users import Template, User, Users
from ostiary.vision.arrays import Descriptor


class People:
    """Changes go to the store first, with their event, and to the gallery once committed, so
    that nobody is matched who is not stored. Every method may be called from any thread."""

    def __init__(self, users: Users, events: Events, gallery: Gallery | None = None) -> None:
        self._users = users
        self._events = events
        self._gallery = Gallery(users.templates()) if gallery is None else gallery
        self._lock = threading.RLock()
        self._after_commit: list[Callable[[], object]] = []
        self._depth = 0  # of changing(); guarded by _lock

    def match(self, descriptor: Descriptor) -> Candidate | None:
        """The nearest person, None where nobody is registered. Never waits for the disk."""
        return self._gallery.best_match(descriptor)

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

    def count(self) -> int:
        return self._users.count()

    @contextmanager
    def changing(self) -> Iterator[None]:
        """All changes in the block are one transaction of the store; the gallery follows at the
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

    def register(
        self, username: str, descriptor: Descriptor, now: datetime, *, source: str
    ) -> User:
        """Raises UsernameInvalid, UserExists, DescriptorInvalid, DatabaseUnwritable."""
        with self.changing():
            user = self._users.add(username, [descriptor], now, source=source)
            self._events.append_user(
                action="registered", username=user.username, source=source, now=now
            )
            self._after_commit.append(partial(self._gallery.add, user.username, descriptor))
            return user

    def add_template(
        self, username: str, descriptor: Descriptor, now: datetime, *, source: str
    ) -> Template:
        """Raises UserUnknown, DescriptorInvalid, DatabaseUnwritable."""
        with self.changing():
            template = self._users.add_template(username, descriptor, now, source=source)
            name = same_name(username)
            self._events.append_user(action="updated", username=name, source=source, now=now)
            self._after_commit.append(partial(self._gallery.add, name, descriptor))
            return template

    def remove_template(
        self, username: str, template_id: int, now: datetime, *, source: str
    ) -> str:
        """Returns the name as it is stored. Raises UserUnknown, TemplateUnknown, LastTemplate."""
        name = same_name(username)
        with self.changing():
            self._users.remove_template(name, template_id)
            self._events.append_user(action="updated", username=name, source=source, now=now)
            self._after_commit.append(partial(self._match_anew, name))
            return name

    def descriptors_of(self, username: str) -> tuple[Descriptor, ...]:
        """One person's descriptors, oldest first; empty for nobody."""
        name = same_name(username)
        return tuple(each for known, each in self._users.templates() if known == name)

    def delete(self, username: str, now: datetime, *, source: str) -> str:
        """Returns the name as it was stored. Raises UserUnknown."""
        name = same_name(username)
        with self.changing():
            self._users.delete(name)
            self._events.append_user(action="deleted", username=name, source=source, now=now)
            self._after_commit.append(partial(self._gallery.remove, name))
            return name

    def rename(self, old: str, new: str, now: datetime, *, source: str) -> User:
        """Raises UserUnknown, UsernameInvalid, UserExists."""
        before = same_name(old)
        with self.changing():
            user = self._users.rename(before, new)
            if user.username == before:
                return user
            self._events.append_user(
                action="renamed",
                username=user.username,
                previous_username=before,
                source=source,
                now=now,
            )
            self._after_commit.append(partial(self._rename, before, user.username))
            return user

    def _match_anew(self, name: str) -> None:
        self._gallery.remove(name)
        for descriptor in self.descriptors_of(name):
            self._gallery.add(name, descriptor)

    def _rename(self, old: str, new: str) -> None:
        if old in self._gallery.users():  # not so for a row that could never be matched
            self._gallery.rename(old, new)
