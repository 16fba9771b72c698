"""A contact that is a sensor of its own: its words, its availability, its silence."""

from datetime import UTC, datetime

import pytest

from ostiary.hardware.doors import Doors, Hardware
from ostiary.hardware.physical_door import Contact
from ostiary.hardware.sensor import ContactSensor, Silence, availability_topics, contact_in
from ostiary.settings import DoorSettings, Settings

CLOSED, OPEN, UNREADABLE = Contact.CLOSED, Contact.OPEN, Contact.UNREADABLE
TOPIC = "zigbee2mqtt/front door"
AVAILABILITY = f"{TOPIC}/availability"
BRIDGE = "zigbee2mqtt/bridge/state"
DAY_S = 24 * 3600.0


def door(**more: object) -> DoorSettings:
    return DoorSettings.model_validate({"contact": "mqtt", "contact_topic": TOPIC, **more})


@pytest.mark.parametrize(
    ("payload", "contact"),
    [
        (b'{"contact": true}', CLOSED),
        (b'{"contact": false, "battery": 97}', OPEN),
        (b'{"contact": "open"}', OPEN),
        (b'{"contact": null, "battery": 97}', UNREADABLE),
        (b'{"closed": true}', CLOSED),
        (b"true", CLOSED),
        (b"false", OPEN),
        (b"True\n", CLOSED),
        (b"1", CLOSED),
        (b"0", OPEN),
        (b'"closed"', CLOSED),
        (b"ON", OPEN),
        (b"OFF", CLOSED),
        (b" open\n", OPEN),
        (b"close", CLOSED),
        (b"closed", CLOSED),
        (b'{"state": "ON"}', OPEN),
        (b'{"state": "closed"}', CLOSED),
        (b'{"time": 1, "value": 22}', OPEN),
        (b'{"time": 1, "value": 23}', CLOSED),
        (b'{"value": true}', CLOSED),
        (b'{"open": false}', CLOSED),
        (b"unavailable", UNREADABLE),
        (b"", UNREADABLE),
        (b"\xff", UNREADABLE),
        (b"{", UNREADABLE),
        (b"[1]", UNREADABLE),
        (b"{" * 5000, UNREADABLE),
    ],
)
def test_a_contact_sensors_words(payload: bytes, contact: Contact) -> None:
    assert contact_in(payload) is contact


@pytest.mark.parametrize(
    "payload",
    [b'{"battery": 97, "linkquality": 120}', b'{"update": {"state": "idle"}}', b"{}"],
)
def test_a_message_that_says_nothing_of_the_contact_is_no_fault(payload: bytes) -> None:
    assert contact_in(payload) is Silence.OF_OTHER_THINGS
    sensor = ContactSensor(door())
    assert sensor.heard(TOPIC, b'{"contact": true}', 0) is CLOSED
    assert sensor.heard(TOPIC, payload, 1) is CLOSED


def test_a_plain_true_may_be_set_to_mean_open() -> None:
    sensor = ContactSensor(door(contact_true="open"))
    assert sensor.heard(TOPIC, b"true", 0) is OPEN
    assert sensor.heard(TOPIC, b"0", 1) is CLOSED
    assert sensor.heard(TOPIC, b'{"contact": true}', 2) is CLOSED  # that has a name


@pytest.mark.parametrize(
    ("topic", "payload"),
    [
        (AVAILABILITY, b'{"state":"offline"}'),
        (AVAILABILITY, b"offline"),
        (BRIDGE, b'{"state":"offline"}'),
        (BRIDGE, b"offline"),
    ],
)
def test_a_sensor_that_is_offline_cannot_be_read_until_it_is_back_and_says_something(
    topic: str, payload: bytes
) -> None:
    sensor = ContactSensor(door())
    sensor.heard(TOPIC, b'{"contact": true}', 0)
    assert sensor.heard(topic, payload, 1) is UNREADABLE
    assert sensor.heard(topic, payload.replace(b"offline", b"online"), 2) is UNREADABLE
    assert sensor.heard(TOPIC, b'{"contact": true}', 3) is CLOSED


def test_what_is_kept_of_a_sensor_that_is_offline_does_not_count() -> None:
    sensor = ContactSensor(door())
    sensor.heard(AVAILABILITY, b'{"state":"offline"}', 0)
    assert sensor.heard(TOPIC, b'{"contact": true}', 0) is UNREADABLE
    sensor.heard(BRIDGE, b'{"state":"online"}', 1)
    assert sensor.heard(AVAILABILITY, b'{"state":"online"}', 2) is CLOSED


def test_a_sensor_that_is_silent_for_too_long_cannot_be_read() -> None:
    sensor = ContactSensor(door())
    sensor.heard(TOPIC, b'{"contact": true}', 0)
    sensor.heard(TOPIC, b'{"battery": 3}', DAY_S)  # a sign of life
    assert not sensor.lapses(2 * DAY_S)
    assert sensor.lapses(2.1 * DAY_S)
    assert not sensor.lapses(2.2 * DAY_S)  # told once
    assert sensor.heard(TOPIC, b'{"contact": true}', 3 * DAY_S) is CLOSED


def test_a_silence_may_be_permitted_for_ever() -> None:
    sensor = ContactSensor(door(contact_silence_s=0))
    sensor.heard(TOPIC, b"closed", 0)
    assert not sensor.lapses(1000 * DAY_S)


@pytest.mark.parametrize(
    ("contact_topic", "expected"),
    [
        (TOPIC, (AVAILABILITY, BRIDGE)),
        (f"{TOPIC}/contact", (AVAILABILITY, BRIDGE)),  # zigbee2mqtt's output by attribute
        ("zigbee2mqtt/house/door", ("zigbee2mqtt/house/door/availability", BRIDGE)),
        ("door", ()),
    ],
)
def test_availability_is_looked_for_where_zigbee2mqtt_has_it(
    contact_topic: str, expected: tuple[str, ...]
) -> None:
    assert availability_topics(door(contact_topic=contact_topic)) == expected


def test_availability_may_be_elsewhere_or_nowhere() -> None:
    assert availability_topics(door(contact_availability=["esp/status"])) == ("esp/status",)
    assert availability_topics(door(contact_availability=[])) == ()


def test_only_topics_that_were_asked_for_have_to_be_granted() -> None:
    asked = Settings(doors=(door(contact_availability=["esp/status"]),))
    usual = Settings(doors=(door(),))
    found = [
        Doors(
            settings,
            Hardware(),
            lambda *_: None,
            lambda _state: None,
            before={},
            modes={},
            clock=lambda: datetime(2026, 11, 25, tzinfo=UTC),
            beat=lambda: None,
        )
        for settings in (asked, usual)
    ]
    assert [each.sensor_topics for each in found] == [
        (TOPIC, "esp/status"),
        (TOPIC, AVAILABILITY, BRIDGE),
    ]
    assert [each.optional_topics for each in found] == [set(), {AVAILABILITY, BRIDGE}]
