"""A contact that is a sensor on the bus, as zigbee2mqtt and others have it. No clock inside.

A sensor that is offline, was cleared away, or has been silent for too long cannot be read.
"""

import json
import threading
from enum import Enum
from typing import Any

from ostiary.hardware.physical_door import Contact
from ostiary.settings.doors import DoorSettings

_OPEN = ("open", "opened", "on", "22")
_CLOSED = ("closed", "close", "shut", "off", "23")  # 22 and 23: Z-Wave's state of a door
_YES = ("true", "1", "yes")
_NO = ("false", "0", "no")
_OFFLINE = ("offline", "unavailable", "false", "0", "disconnected", "lost")
_ASKED = (
    ("contact", {True: Contact.CLOSED, False: Contact.OPEN}),  # there is contact: it is shut
    ("closed", {True: Contact.CLOSED, False: Contact.OPEN}),
    ("open", {True: Contact.OPEN, False: Contact.CLOSED}),
    ("opened", {True: Contact.OPEN, False: Contact.CLOSED}),
)
_PLAIN = ("state", "value")


class Silence(Enum):
    """A message that says nothing of the contact."""

    OF_OTHER_THINGS = "of other things"


class ContactSensor:
    """The contact sensor of one door. Every method may be called from any thread; `now` is in
    seconds of one monotonic clock."""

    def __init__(self, door: DoorSettings) -> None:
        assert door.contact_topic is not None
        self.door = door.camera
        self._topic = door.contact_topic
        self._availability = availability_topics(door)
        self._true = Contact.CLOSED if door.contact_true == "closed" else Contact.OPEN
        self._silence_s = door.contact_silence_s
        self._lock = threading.Lock()
        self._said = Contact.UNREADABLE
        self._offline: set[str] = set()
        self._heard_at: float | None = None

    @property
    def topics(self) -> tuple[str, ...]:
        return (self._topic, *self._availability)

    def heard(self, topic: str, payload: bytes | None, now: float) -> Contact:
        """The contact after a message of one of its topics; None: the topic cannot be heard."""
        with self._lock:
            if topic == self._topic:
                self._hear(payload, now)
            elif payload is not None and _is_offline(payload):
                self._offline.add(topic)
                self._said = Contact.UNREADABLE  # until it says something again
            else:
                self._offline.discard(topic)
            return Contact.UNREADABLE if self._offline else self._said

    def lapses(self, now: float) -> bool:
        """Whether it became silent for too long just now; what it said counts no more then."""
        with self._lock:
            at, longest = self._heard_at, self._silence_s
            if longest == 0 or at is None or now - at <= longest:
                return False
            self._said, self._heard_at = Contact.UNREADABLE, None
            return True

    def _hear(self, payload: bytes | None, now: float) -> None:
        said = Contact.UNREADABLE if payload is None else contact_in(payload, self._true)
        self._heard_at = None if payload is None else now
        if not isinstance(said, Silence):
            self._said = said


def availability_topics(door: DoorSettings) -> tuple[str, ...]:
    """Topics that tell whether the sensor is there: as set, or as zigbee2mqtt has them, of the
    device and of the bridge."""
    if door.contact_topic is None or door.contact_availability is not None:
        return door.contact_availability or ()
    device = door.contact_topic.removesuffix("/contact")
    if "/" not in device:
        return ()
    return (f"{device}/availability", f"{device.partition('/')[0]}/bridge/state")


def contact_in(payload: bytes, true: Contact = Contact.CLOSED) -> Contact | Silence:
    """The contact by a message: `open`, `closed`, ON (open), OFF; true or false, where `true` is
    what a plain true means; or JSON with `contact` or `closed` (true: shut), `open`, or `state` or
    `value` as when plain. JSON without any of these says nothing of it; other texts cannot be
    read."""
    try:
        text = payload.decode("utf-8-sig").strip()
        value = json.loads(text) if text.startswith(("{", "[", '"')) else text
    except (ValueError, RecursionError):
        return Contact.UNREADABLE
    if not isinstance(value, dict):
        return _plain(value, true)
    for key, meaning in _ASKED:
        if key in value:
            said = _truth(value[key])
            return _plain(value[key], true) if said is None else meaning[said]
    for key in _PLAIN:
        if key in value:
            return _plain(value[key], true)
    return Silence.OF_OTHER_THINGS


def _plain(value: Any, true: Contact) -> Contact:
    said = _truth(value)
    if said is not None:
        return true if said else _other(true)
    word = str(value).strip().lower()
    if word in _OPEN:
        return Contact.OPEN
    return Contact.CLOSED if word in _CLOSED else Contact.UNREADABLE


def _truth(value: Any) -> bool | None:
    word = str(value).strip().lower()
    if word in _YES:
        return True
    return False if word in _NO else None


def _other(contact: Contact) -> Contact:
    return Contact.OPEN if contact is Contact.CLOSED else Contact.CLOSED


def _is_offline(payload: bytes) -> bool:
    """Whether a message says `offline`, plain or as `state` in JSON (zigbee2mqtt since 1.29)."""
    try:
        value = json.loads(payload) if payload.lstrip().startswith(b"{") else payload.decode()
    except (ValueError, RecursionError):
        return False
    word = value.get("state", "") if isinstance(value, dict) else value
    return str(word).strip().lower() in _OFFLINE
