"""What is announced to Home Assistant; a real one reads it in tests/integration."""

import json

import pytest

from ostiary.config import Settings
from ostiary.mqtt.discovery import announcements
from ostiary.mqtt.topics import Topics

# From Home Assistant's own schemas (components/mqtt/*.py), 2024.3: what a configuration may have.
COMMON = {
    "availability_topic",
    "device",
    "entity_category",
    "icon",
    "json_attributes_topic",
    "name",
    "object_id",
    "origin",
    "qos",
    "unique_id",
    "value_template",
}
BY_COMPONENT = {
    "event": {"state_topic", "event_types", "device_class"},
    "sensor": {"state_topic", "device_class", "options", "state_class"},
    "button": {"command_topic", "payload_press", "device_class"},
    "binary_sensor": {"state_topic", "device_class", "off_delay"},
    "lock": {
        "command_topic",
        "optimistic",
        "payload_lock",
        "payload_open",
        "payload_unlock",
        "state_topic",
    },
}
REQUIRED = {
    "event": {"state_topic", "event_types"},
    "sensor": {"state_topic"},
    "button": {"command_topic"},
    "binary_sensor": {"state_topic"},
    "lock": {"command_topic"},
}


def announced(**mqtt: object) -> dict[str, bytes]:
    settings = Settings.model_validate(
        {"device": {"id": "front door".replace(" ", ".")}, "mqtt": {"discovery": True, **mqtt}}
    )
    return announcements(settings, Topics.of(settings))


def test_every_component_has_what_it_needs_and_nothing_unknown() -> None:
    for topic, payload in announced().items():
        if not payload:  # a door without a contact
            continue
        prefix, component, node, name, last = topic.split("/")
        assert (prefix, node, last) == ("homeassistant", "ostiary_front_door", "config")
        config = json.loads(payload)
        assert set(config) <= COMMON | BY_COMPONENT[component]
        assert set(config) >= REQUIRED[component]
        assert config["unique_id"] == f"ostiary_front_door_{name}"
        assert config["availability_topic"] == "ostiary/front.door/availability"
        assert config["device"]["identifiers"] == ["ostiary_front_door"]


def test_switched_off_every_announcement_is_taken_back() -> None:
    on, off = announced(), announced(discovery=False)
    assert set(on) == set(off)
    assert set(off.values()) == {b""}


@pytest.mark.parametrize("prefix", ["homeassistant", "ha"])
def test_the_prefix_is_configurable(prefix: str) -> None:
    topics = announced(discovery_prefix=prefix)
    assert all(topic.startswith(f"{prefix}/") for topic in topics)


def test_a_button_that_could_not_sign_is_not_offered() -> None:
    settings = Settings.model_validate({"mqtt": {"discovery": True}, "commands": {"signed": True}})
    found = announcements(settings, Topics.of(settings))
    assert found["homeassistant/button/ostiary_door/snapshot/config"] == b""


def test_each_of_several_cameras_has_a_button_of_its_own() -> None:
    cameras = [{"name": "in"}, {"name": "out.side"}]
    settings = Settings.model_validate({"mqtt": {"discovery": True}, "cameras": cameras})
    found = announcements(settings, Topics.of(settings))
    button = json.loads(found["homeassistant/button/ostiary_door/snapshot_out_side/config"])
    assert json.loads(button["payload_press"]) == {"camera": "out.side"}
    assert "homeassistant/button/ostiary_door/snapshot/config" not in found


def test_a_door_of_a_site_is_shown_below_it() -> None:
    settings = Settings.model_validate(
        {"device": {"id": "door"}, "mqtt": {"discovery": True}, "site": {"id": "campus"}}
    )
    found = announcements(settings, Topics.of(settings))
    people = json.loads(found.pop("homeassistant/sensor/ostiary_door/site_people/config"))
    assert people["device"]["identifiers"] == ["ostiary_site_campus"]
    for payload in filter(None, found.values()):  # what the door has not is taken back
        assert json.loads(payload)["device"]["via_device"] == "ostiary_site_campus"
