"""Checks PINs and cards that are presented at a door: finds the owner, and has the door decide.

They come from a keypad (`submit`, which has a thread of its own) or by MQTT (`present`, on the
commands' thread): never from recognition, which must not wait for a hash. No PIN and no card number
stands in a log line or an event. PINs that anybody would try first are refused.
"""

import hashlib
import queue
import threading
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Literal, Protocol

import structlog

from ostiary.crypto.argon import Hasher
from ostiary.decision.admission import Need, Waiting
from ostiary.decision.camera_memory import Announcement
from ostiary.errors import Busy, OstiaryError, PinWeak, TimedOut
from ostiary.hardware.keypad import Entry, card_number
from ostiary.limits.lock_out import LockOut, Wait
from ostiary.messages.words import Reason
from ostiary.store.credentials import Credentials, Pins
from ostiary.store.pin_rows import HINTS

log = structlog.get_logger(__name__)

Outcome = Literal["granted", "denied", "waiting"]
_QUEUE = 8
"""Entries that may wait to be checked; a keypad gives one every few seconds."""


class PinHasher(Hasher):
    """Hashes PINs with the parameters that OWASP recommends for little memory: 19 MiB, two passes.
    A PIN has few digits: the lock-out and the sealed hash keep it from being guessed."""

    def __init__(self) -> None:
        super().__init__(time_cost=2, memory_cost=19 * 1024, parallelism=1)

    def which(self, pins: Pins, pin: str) -> tuple[bool, bool]:
        """Whether `pin` is this person's, and whether it is the one for duress. Both are always
        checked, so that the time it takes tells nothing."""
        usual, forced = self.verify(pins.pin, pin), self.verify(pins.duress, pin)
        return usual or forced, forced


def hint_of(pin: str) -> int:
    """Six bits of a PIN, by which its few candidates are found among all PINs."""
    return hashlib.sha256(pin.encode()).digest()[0] % HINTS


def check_pin(pin: str, least_digits: int) -> None:
    """Raise PinWeak for a PIN that is too short, or that anybody would try first."""
    if not (pin.isascii() and pin.isdecimal()):
        raise PinWeak("A PIN has digits only.")
    if len(pin) < least_digits:
        raise PinWeak(f"A PIN has at least {least_digits} digits (credentials.pin_digits).")
    steps = {(int(after) - int(before)) % 10 for before, after in pairwise(pin)}
    if len(steps) == 1 and steps <= {0, 1, 9}:
        raise PinWeak("A PIN of one digit, or of digits in a row, is tried first. Take another.")
    half = len(pin) // 2
    if pin == pin[:half] * 2 and len(set(pin)) <= 2:
        raise PinWeak("A PIN that repeats two digits is tried first. Take another.")


class Keeper(Protocol):
    """Decides at the doors (`Doorkeeper`)."""

    def waiting(self, door: str) -> Waiting | None: ...

    def presented(
        self, door: str, need: Need, username: str, now: float, *, duress: bool = False
    ) -> tuple[Announcement, ...]: ...

    def mistaken(
        self, door: str, reason: Reason, now: float, username: str | None = None
    ) -> tuple[Announcement, ...]: ...


class CredentialCheck:
    """Finds the owner of a PIN or card, and has the door decide. `locked` is kept over a reload."""

    def __init__(
        self,
        credentials: Credentials,
        keeper: Keeper,
        hasher: PinHasher,
        locked: LockOut,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._credentials = credentials
        self._keeper = keeper
        self._hasher = hasher
        self._locked = locked
        self._monotonic = monotonic
        self._told_locked: set[str] = set()
        self._wanted: dict[str, queue.SimpleQueue[str]] = {}
        self._queue: queue.Queue[tuple[str, Entry] | None] = queue.Queue(_QUEUE)
        self._thread = threading.Thread(target=self._run, name="credentials", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        try:
            self._queue.put(None, timeout=1.0)
        except queue.Full:
            return
        if self._thread.is_alive():
            self._thread.join(1.0)

    def submit(self, door: str, entry: Entry) -> None:
        """Take an entry of a keypad. Returns at once; it is dropped where too many wait."""
        wanted = self._wanted.get(door)
        if wanted is not None and entry.kind == "card":
            wanted.put(entry.text)
            return
        try:
            self._queue.put_nowait((door, entry))
        except queue.Full:
            log.warning("credential_dropped", door=door, kind=entry.kind)

    def next_card(self, door: str, timeout_s: float) -> str:
        """The number of the next card held to a reader of `door`; it opens nothing.

        Raises TimedOut, or Busy while another is waited for.
        """
        if door in self._wanted:
            raise Busy(f"Another card is waited for at {door}.")
        wanted: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._wanted[door] = wanted
        try:
            return wanted.get(timeout=timeout_s)
        except queue.Empty:
            raise TimedOut(f"No card was held to a reader of {door} in {timeout_s:g} s.") from None
        finally:
            del self._wanted[door]

    def again(self, door: str, *, is_same: bool) -> bool:
        """Whether a PIN or card may be sent once more, as `commands.services.Presents` says."""
        try:
            self._locked.attempt(door)
        except Wait:
            self._refused(door, Reason.LOCKED_OUT, None, again=door in self._told_locked)
            return False
        self._told_locked.discard(door)
        if is_same:
            self._locked.take_back(door)
        else:
            self._refused(door, Reason.WRONG_CREDENTIAL, None)
        return is_same

    def present(self, door: str, entry: Entry, claimed: str | None = None) -> Outcome:
        """Decide about an entry. `claimed`: the person who is said to present it. Raises
        OstiaryError where it cannot be decided; nobody passes then."""
        person = claimed or (self._awaited(door) if entry.kind == "pin" else None)
        keys = (door,) if person is None else (door, f"{door}\0{person}")
        try:
            self._locked.attempt(*keys)
        except Wait:
            return self._refused(door, Reason.LOCKED_OUT, person, again=door in self._told_locked)
        self._told_locked.discard(door)
        username, duress = self._owner(entry, person)
        if username is None:
            return self._refused(door, Reason.WRONG_CREDENTIAL, person)
        need = Need.PIN if entry.kind == "pin" else Need.CARD
        final = self._keeper.presented(door, need, username, self._monotonic(), duress=duress)
        # This was no wrong try. Earlier wrong ones still count: everybody may have a PIN of their
        # own, also people who may not pass.
        self._locked.take_back(*keys)
        outcome = _outcome(final, username)
        if outcome != "denied":
            self._locked.succeeded(f"{door}\0{username}")
        return outcome

    def _awaited(self, door: str) -> str | None:
        """The person whose PIN is waited for: another person's is a wrong one then."""
        waiting = self._keeper.waiting(door)
        return None if waiting is None or Need.PIN not in waiting.needs else waiting.username

    def _owner(self, entry: Entry, person: str | None) -> tuple[str | None, bool]:
        """The owner of an entry, and whether it says that they are forced."""
        if entry.kind == "card":
            number = card_number(entry.text)
            return None if number is None else self._credentials.owner_of(number), False
        if person is not None:
            candidates: tuple[Pins, ...] = (self._credentials.pins_of(person),)
        else:
            candidates = self._credentials.pins_like(hint_of(entry.text)) or (Pins(""),)
        found: tuple[str | None, bool] = (None, False)
        for pins in candidates:  # all of them, so that the time it takes does not tell the owner
            is_right, duress = self._hasher.which(pins, entry.text)
            if is_right:
                found = (pins.username, duress)
        return found

    def _refused(
        self, door: str, reason: Reason, person: str | None, *, again: bool = False
    ) -> Outcome:
        """Have a refusal recorded: each wrong entry, and a lock-out once."""
        if reason is Reason.LOCKED_OUT:
            self._told_locked.add(door)
        if not again:
            self._keeper.mistaken(door, reason, self._monotonic(), person)
        return "denied"

    def _run(self) -> None:
        while (presented := self._queue.get()) is not None:
            door, entry = presented
            try:
                outcome = self.present(door, entry)
            except OstiaryError as error:
                log.error("credential_not_decided", door=door, kind=entry.kind, code=error.code)
            except Exception:  # one entry must not end the thread
                log.exception("credential_failed", door=door, kind=entry.kind)
            else:
                log.info("credential_presented", door=door, kind=entry.kind, outcome=outcome)


def _outcome(final: tuple[Announcement, ...], username: str) -> Outcome:
    own = [each.decision for each in final if each.decision.username == username]
    if not own:
        return "waiting"
    return "granted" if own[-1].success else "denied"
