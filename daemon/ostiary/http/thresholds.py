"""Reads and sets the thresholds in force, and previews what new ones would have changed."""

import threading
from collections.abc import Iterable
from dataclasses import dataclass

from ostiary.decision.risk import Threshold, risk_of
from ostiary.decision.roster import RosterThresholds as Distances
from ostiary.errors import SettingInvalid
from ostiary.http.parts import ConsoleParts
from ostiary.messages.events import LoginEvent
from ostiary.messages.words import Reason
from ostiary.settings import AccessSettings
from ostiary.settings.access import ADJUSTABLE
from ostiary.settings.overrides import (
    Values,
    adjusted,
    overrides_path,
    read_overrides,
    set_by_environment,
    write_overrides,
)
from ostiary.store.events import EventFilter

LOOK_BACK = 500
"""Events that a preview judges again, at most."""


BY_THRESHOLDS = frozenset(
    {Reason.GRANTED, Reason.UNKNOWN_FACE, Reason.PRESENTATION_ATTACK, Reason.UNCERTAIN}
)
"""The reasons that these thresholds decide; rules, credentials and failures decide the others."""


@dataclass(frozen=True, slots=True)
class Rejudged:
    """A recent event that would have come out otherwise, and its reason then."""

    event: LoginEvent
    reason: Reason


@dataclass(frozen=True, slots=True)
class Preview:
    """What thresholds would have done to the last decisions. `unknown`: how many events do not say
    enough."""

    judged: int
    unknown: int
    granted_before: int
    granted_after: int
    changes: tuple[Rejudged, ...]
    threshold: Threshold


@dataclass(frozen=True, slots=True)
class Judge:
    """Judges recorded faces by thresholds."""

    access: AccessSettings
    distances: Distances

    def reason(self, event: LoginEvent) -> Reason | None:
        """The reason that the medians of `event` give; None: they do not say enough."""
        if event.liveness is None:
            return None
        if event.liveness <= self.access.attack_threshold:
            return Reason.PRESENTATION_ATTACK
        if event.liveness < self.access.live_threshold:
            return Reason.UNCERTAIN
        if event.distance is None:
            return Reason.UNKNOWN_FACE if event.reason is Reason.UNKNOWN_FACE else None
        by = event.recognizer or "dlib"  # before there was another, events did not say
        known = (self.distances.used, self.distances.former)
        near = (each.distance for each in known if each is not None and each.recognizer == by)
        threshold = next(near, None)
        if threshold is None:
            return None
        return Reason.GRANTED if event.distance <= threshold else Reason.UNKNOWN_FACE


class ThresholdEditor:
    """Reads and sets `[access]` while the daemon runs."""

    def __init__(self, parts: ConsoleParts) -> None:
        self._parts = parts
        self._path = overrides_path(parts.settings)
        self._lock = threading.Lock()

    @property
    def current(self) -> AccessSettings:
        return self._parts.access()

    @property
    def distance(self) -> Threshold:
        """The distance threshold of today's roster, with its risk."""
        return self._parts.people.roster.thresholds.used

    def overridden(self) -> frozenset[str]:
        """The fields that the console set over the configuration."""
        return frozenset(read_overrides(self._path))

    def fixed(self) -> frozenset[str]:
        """The fields that the environment sets, and the console cannot."""
        return frozenset(name for name in ADJUSTABLE if set_by_environment(name))

    def preview(self, values: Values) -> Preview:
        """Judge the last decisions by `values`. Raises SettingInvalid."""
        access = self._checked(values)
        page = self._parts.events.page(EventFilter(kind="login"), limit=LOOK_BACK)
        events = (event for event in page.events if isinstance(event, LoginEvent))
        return preview(events, self._judge(self.current), self._judge(access))

    def _judge(self, access: AccessSettings) -> Judge:
        return Judge(access, self._parts.people.roster.thresholds_for(risk_of(access)))

    def set(self, values: Values) -> AccessSettings:
        """Put these in force and keep them. Raises SettingInvalid, DatabaseUnwritable."""
        with self._lock:
            access = self._checked(values)
            write_overrides(self._path, {**read_overrides(self._path), **values})
            self._parts.apply_access(access)
            return access

    def reset(self) -> AccessSettings:
        """Back to what the configuration says. Raises DatabaseUnwritable."""
        with self._lock:
            write_overrides(self._path, {})
            self._parts.apply_access(self._parts.configured)
            return self._parts.configured

    def _checked(self, values: Values) -> AccessSettings:
        for name in values:
            if set_by_environment(name):
                raise SettingInvalid(
                    f"{name} is set by OSTIARY_ACCESS__{name.upper()} in the daemon's environment."
                )
        if "distance_threshold" in values and self.current.distance_threshold is None:
            raise SettingInvalid(
                "This door goes by a risk: set false_accept. Its distance follows from the people "
                "who are registered."
            )
        return adjusted(self.current, values)


def preview(events: Iterable[LoginEvent], now: Judge, then: Judge) -> Preview:
    """Judge events by other thresholds. An event keeps the medians of its frames, and the roster
    has changed since, so this is nearly, not exactly, what the door would have said."""
    judged = unknown = before = after = 0
    changes = []
    for event in events:
        reason = judged_again(event, now, then)
        if reason is None:
            unknown += 1
            continue
        judged += 1
        before += event.success
        after += reason is Reason.GRANTED
        if event.success != (reason is Reason.GRANTED):
            changes.append(Rejudged(event, reason))
    return Preview(judged, unknown, before, after, tuple(changes), then.distances.used)


def judged_again(event: LoginEvent, now: Judge, then: Judge) -> Reason | None:
    """The reason that `then` would have given instead of `now`; None: the event does not say
    enough. The event's own reason where both agree, and where no threshold decided it."""
    if event.reason is Reason.SEVERAL_FACES:
        same = now.access.one_person_only == then.access.one_person_only
        return event.reason if same else None
    if event.reason not in BY_THRESHOLDS or event.liveness is None:  # None: a card or PIN alone
        return event.reason
    before, after = now.reason(event), then.reason(event)
    return event.reason if before is after is not None else after
