"""The physical door: what its lock and its alarm do, and what is told of it. Pure: no clock.

The lock is released for a moment by a grant or by the request-to-exit button, and for as long as
the mode is `unlocked`; by nothing else. A door that opens without that is *forced*, one that stays
open is *held open*: both sound the alarm. In a lockdown nobody is let in, and everybody may still
leave by the button. A contact that cannot be read is told, and the door does not stand unlocked
meanwhile. Getting out in an emergency is up to the hardware (a release that cuts the lock's own
current), never to this program.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

from ostiary.messages.words import DoorState, DoorWhat, Mode


class Contact(StrEnum):
    """What the door's contact says. `NONE`: the door has none; `UNREADABLE`: it says nothing."""

    NONE = "none"
    CLOSED = "closed"
    OPEN = "open"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class EntranceRules:
    """Times of a door, in seconds.

    `release_s`: how long a grant or the button releases the lock. `held_open_s`: how long the door
    may stay open. `grace_s`: a door that opens so shortly after its lock was released is not forced
    (somebody held it already, or it rebounded). `alarm_s`: the alarm of a forced door sounds at
    least so long, also when it was closed again.
    """

    release_s: float = 3.0
    held_open_s: float = 30.0
    grace_s: float = 0.5
    alarm_s: float = 60.0


@dataclass(frozen=True, slots=True)
class DoorChange:
    """A change to record and tell. `username` is the person who was let in when the door opened,
    `by` who asked for the mode."""

    what: DoorWhat
    username: str | None = None
    mode: Mode | None = None
    by: str | None = None


@dataclass(frozen=True, slots=True)
class PhysicalDoor:
    """The state of one door. Every method returns the next state and what is to be told.

    `now` is in seconds and never goes back; call `at` when `due` is reached. `released_until` is
    when the lock shuts again, `opened_at` since when the door is open (or since when that counts),
    `unseen_since` since when its contact cannot be read.
    """

    rules: EntranceRules = EntranceRules()
    contact: Contact = Contact.NONE
    mode: Mode = Mode.NORMAL
    released_until: float = float("-inf")
    admitted: str | None = None
    opened_at: float | None = None
    unseen_since: float | None = None
    forced: bool = False
    held: bool = False
    alarm_until: float | None = None
    silenced: bool = False

    def remembering(self, before: "PhysicalDoor") -> "PhysicalDoor":
        """The state `before` a reload, with the rules of now."""
        return replace(before, rules=self.rules)

    def is_released(self, now: float) -> bool:
        """Whether the lock lets the door open."""
        return now < self.released_until or self.stands_unlocked

    @property
    def is_alarming(self) -> bool:
        """Whether the alarm output is on."""
        return self._has_alarm and not self.silenced

    def state(self, now: float) -> DoorState:
        if self.forced:
            return DoorState.FORCED
        if self.held:
            return DoorState.HELD_OPEN
        if self.contact is Contact.UNREADABLE:
            return DoorState.FAULT
        if self.contact is Contact.OPEN:
            return DoorState.OPEN
        return DoorState.UNLOCKED if self.is_released(now) else DoorState.LOCKED

    def due(self, now: float) -> float | None:
        """When `at` has to be called next, or the lock shuts; None: nothing happens by itself."""
        moments = [self.released_until, self._held_at, self.alarm_until]
        coming = [moment for moment in moments if moment is not None and moment > now]
        return min(coming, default=None)

    def granted(self, username: str | None, now: float) -> "Transition":
        """The state after a grant. In a lockdown it changes nothing; the decision denies it,
        too."""
        door, changes = self.at(now)
        if door.mode is Mode.LOCKDOWN:
            return door, changes
        return door._releasing(username, now), changes

    def exit_pressed(self, now: float) -> "Transition":
        """The state after the exit button was pressed, which releases the lock in every mode."""
        door, changes = self.at(now)
        return door._releasing(None, now), (*changes, DoorChange(DoorWhat.EXIT_BUTTON))

    def released(self, by: str, now: float) -> "Transition":
        """The state after the lock was released from afar; in a lockdown it is not."""
        door, changes = self.at(now)
        if door.mode is Mode.LOCKDOWN:
            return door, changes
        return door._releasing(None, now), (*changes, DoorChange(DoorWhat.RELEASED, by=by))

    def set_mode(self, mode: Mode, by: str, now: float) -> "Transition":
        """The state in another mode. A lockdown also ends a release that lasts."""
        before, changes = self.at(now)
        if mode is before.mode:
            return before, changes
        until = min(before.released_until, now) if mode is Mode.LOCKDOWN else before.released_until
        if before.stands_unlocked:
            until = max(until, now)  # it was released up to this moment
        open_since = now if before.mode is Mode.UNLOCKED else before.opened_at
        changed = replace(
            before,
            mode=mode,
            released_until=until,
            opened_at=None if before.opened_at is None else open_since,
            held=before.held and mode is not Mode.UNLOCKED,
        )
        settled, over = changed._settled(before, now)
        return settled, (*changes, DoorChange(DoorWhat.MODE, mode=mode, by=by), *over)

    def relock(self, by: str, now: float) -> "Transition":
        """The state in normal mode after `unlocked`; other modes stay."""
        mode = Mode.NORMAL if self.mode is Mode.UNLOCKED else self.mode
        return self.set_mode(mode, by, now)

    def saw(self, contact: Contact, now: float) -> "Transition":
        """The state after the contact said `contact`; the same as before changes nothing."""
        before, changes = self.at(now)
        if contact is before.contact:
            return before, changes
        if contact is Contact.UNREADABLE:
            unseen = replace(before, contact=contact, unseen_since=now)
            return unseen, (*changes, DoorChange(DoorWhat.FAULT, by="contact"))
        if before.contact is Contact.UNREADABLE:
            changes = (*changes, DoorChange(DoorWhat.FAULT_OVER, by="contact"))
        seen = replace(before, contact=contact)
        if contact is Contact.OPEN:
            changed, news = seen._opened(before, now)
        else:
            changed, news = seen._closed(before, now)
        return replace(changed, unseen_since=None), (*changes, *news)

    def silence(self, by: str, now: float) -> "Transition":
        """The state with a silent alarm. Its cause is still told until it is over."""
        door, changes = self.at(now)
        if not door.is_alarming:
            return door, changes
        return replace(door, silenced=True), (*changes, DoorChange(DoorWhat.SILENCED, by=by))

    def at(self, now: float) -> "Transition":
        """The state at `now`, by time alone."""
        held_at = self._held_at
        if held_at is not None and now >= held_at:
            return replace(self, held=True, silenced=False), (DoorChange(DoorWhat.HELD_OPEN),)
        return self._settled(self, now)

    @property
    def stands_unlocked(self) -> bool:
        """Whether the lock is released for as long as the mode stays."""
        return self.mode is Mode.UNLOCKED and self.contact is not Contact.UNREADABLE

    @property
    def _has_alarm(self) -> bool:
        return self.forced or self.held or self.alarm_until is not None

    @property
    def _held_at(self) -> float | None:
        if self.opened_at is None or self.held or self.mode is Mode.UNLOCKED:
            return None
        return self.opened_at + self.rules.held_open_s

    def _releasing(self, username: str | None, now: float) -> "PhysicalDoor":
        until = max(self.released_until, now + self.rules.release_s)
        return replace(self, released_until=until, admitted=username)

    def _was_released(self, now: float) -> bool:
        """Whether the lock is released, was a moment ago, or while the contact was unreadable."""
        since = now if self.unseen_since is None else self.unseen_since
        return self.is_released(now) or since < self.released_until + self.rules.grace_s

    def _opened(self, before: "PhysicalDoor", now: float) -> "Transition":
        if before.opened_at is not None:  # it was open before it could not be seen
            return self, ()
        opened = replace(self, opened_at=now)
        if before.contact is Contact.NONE or opened._was_released(now):
            by_grant = now < self.released_until + self.rules.grace_s
            admitted = self.admitted if by_grant else None
            return opened, (DoorChange(DoorWhat.OPENED, username=admitted),)
        alarm_until = now + self.rules.alarm_s
        forced = replace(
            opened, forced=True, admitted=None, silenced=False, alarm_until=alarm_until
        )
        return forced, (DoorChange(DoorWhat.FORCED),)

    def _closed(self, before: "PhysicalDoor", now: float) -> "Transition":
        if before.opened_at is None:
            return self, ()
        closed = replace(
            self,
            opened_at=None,
            forced=False,
            held=False,
            released_until=min(self.released_until, now),  # nobody follows on the same grant
            admitted=None,
        )
        settled, over = closed._settled(before, now)
        return settled, (DoorChange(DoorWhat.CLOSED), *over)

    def _settled(self, before: "PhysicalDoor", now: float) -> "Transition":
        """The state after an alarm that is over, with the change that tells so."""
        lasts = self.forced or self.held
        is_past = self.alarm_until is not None and now >= self.alarm_until
        settled = replace(self, alarm_until=None) if is_past and not lasts else self
        if settled._has_alarm or not before._has_alarm:
            return settled, ()
        return replace(settled, silenced=False), (DoorChange(DoorWhat.ALARM_OVER),)


Transition = tuple[PhysicalDoor, tuple[DoorChange, ...]]
