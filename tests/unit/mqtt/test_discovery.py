"""What is announced to Home Assistant; a real one reads it in tests/integration."""

import json
import re
from pathlib import Path

import jinja2
import pytest

from ostiary.mqtt.discovery import announcements, console_address, former_topics
from ostiary.mqtt.topics import Topics
from ostiary.settings import Settings
from ostiary.settings.http import HttpSettings
from testing.certificates import Authority

# From Home Assistant's own schemas (components/mqtt/*.py), 2024.3: what a configuration may have.
COMMON = {
    "availability_topic",
    "default_entity_id",
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
    "select": {"command_template", "command_topic", "options", "state_topic"},
    "image": {"image_topic", "content_type"},
}
REQUIRED = {
    "event": {"state_topic", "event_types"},
    "sensor": {"state_topic"},
    "button": {"command_topic"},
    "binary_sensor": {"state_topic"},
    "lock": {"command_topic"},
    "select": {"command_topic", "options"},
    "image": {"image_topic"},
}


def announced(**mqtt: object) -> dict[str, bytes]:
    settings = Settings.model_validate(
        {"device": {"id": "front_door"}, "mqtt": {"discovery": True, **mqtt}}
    )
    return announcements(settings, Topics.of(settings))


def test_every_component_has_what_it_needs_and_nothing_unknown() -> None:
    for topic, payload in announced().items():
        if not payload:  # a door without a contact, or without pictures
            continue
        prefix, component, node, name, last = topic.split("/")
        assert (prefix, node, last) == ("homeassistant", "ostiary_front_door", "config")
        config = json.loads(payload)
        assert set(config) <= COMMON | BY_COMPONENT[component]
        assert set(config) >= REQUIRED[component]
        assert config["unique_id"] == f"ostiary_front_door_{name}"
        assert config["object_id"] == f"ostiary_front_door_{name}"  # up to 2026.3
        assert config["default_entity_id"] == f"{component}.ostiary_front_door_{name}"
        assert config["availability_topic"] == "ostiary/front_door/availability"
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


def test_a_picture_is_shown_only_where_the_settings_say_so_and_the_button_asks_for_one() -> None:
    picture = "homeassistant/image/ostiary_front_door/picture/config"
    button = "homeassistant/button/ostiary_front_door/snapshot/config"
    off, on = announced(), announced(event_pictures=True)
    assert off[picture] == b""
    assert json.loads(json.loads(off[button])["payload_press"]) == {}
    shown = json.loads(on[picture])
    assert set(shown) <= COMMON | BY_COMPONENT["image"]
    assert shown["image_topic"] == "ostiary/front_door/picture/front"
    assert json.loads(json.loads(on[button])["payload_press"]) == {"show": True}


def test_each_of_several_cameras_has_a_picture_of_its_own() -> None:
    cameras = [{"name": name} for name in ("in", "out")]
    mqtt = {"discovery": True, "event_pictures": True}
    settings = Settings.model_validate({"mqtt": mqtt, "cameras": cameras})
    found = announcements(settings, Topics.of(settings))
    for name in ("in", "out"):
        picture = json.loads(found[f"homeassistant/image/ostiary_door/picture_{name}/config"])
        assert picture["image_topic"] == f"ostiary/door/picture/{name}"
        button = json.loads(found[f"homeassistant/button/ostiary_door/snapshot_{name}/config"])
        assert json.loads(button["payload_press"]) == {"camera": name, "show": True}


def test_a_tap_opens_once_and_only_the_mode_leaves_it_open() -> None:
    lock = json.loads(announced()["homeassistant/lock/ostiary_front_door/lock/config"])
    assert json.loads(lock["payload_unlock"])["action"] == "open"
    assert json.loads(lock["payload_lock"])["action"] == "relock"
    mode = json.loads(announced()["homeassistant/select/ostiary_front_door/mode/config"])
    template = jinja2.Template(mode["command_template"])
    asked = {each: json.loads(template.render(value=each))["action"] for each in mode["options"]}
    assert asked == {"normal": "lock", "unlocked": "unlock", "lockdown": "lockdown"}


@pytest.mark.parametrize("signed", [False, True])
def test_what_needs_a_signature_is_shown_and_cannot_be_set(*, signed: bool) -> None:
    settings = Settings.model_validate(
        {"mqtt": {"discovery": True}, "commands": {"signed": signed}}
    )
    found = announcements(settings, Topics.of(settings))
    for component, what in (("lock", "lock"), ("select", "mode")):
        assert bool(found[f"homeassistant/{component}/ostiary_door/{what}/config"]) is not signed
    for component, what in (("binary_sensor", "unlocked"), ("sensor", "mode")):
        assert bool(found[f"homeassistant/{component}/ostiary_door/{what}/config"]) is signed


def named(device: str, *cameras: str) -> set[str | None]:
    settings = Settings.model_validate(
        {
            "device": {"name": device},
            "mqtt": {"discovery": True},
            "cameras": [{"name": camera} for camera in cameras],
        }
    )
    found = announcements(settings, Topics.of(settings)).values()
    return {json.loads(payload)["name"] for payload in found if payload}


@pytest.mark.parametrize("device", ["Door", "Front door", "Lock", "last", "Mode", "前门"])
@pytest.mark.parametrize("cameras", [("front",), ("front", "back")])
def test_no_name_says_the_doors_name_again(device: str, cameras: tuple[str, ...]) -> None:
    """Home Assistant puts the device's name before each."""
    for name in filter(None, named(device, *cameras)):
        assert not f"{name} ".casefold().startswith(f"{device} ".casefold())


def test_the_lock_of_a_single_door_is_called_as_the_door_is() -> None:
    lock = json.loads(announced()["homeassistant/lock/ostiary_front_door/lock/config"])
    assert lock["name"] is None


def linked(**http: object) -> str | None:
    return console_address(HttpSettings.model_validate({"enabled": True, **http}))


def test_home_assistant_links_to_the_console_where_another_machine_reaches_it(
    tmp_path: Path,
) -> None:
    by_name, by_address = (
        Authority(tmp_path / each).issue("console", host=each).certificate
        for each in ("door.example", "192.0.2.7")
    )
    assert linked() is None  # this machine only
    assert linked(enabled=False, host="192.0.2.7") is None
    assert linked(host="192.0.2.7", proxy="192.0.2.8") is None
    assert linked(host="::", tls_certificate=tmp_path / "none.pem") is None
    assert linked(host="192.0.2.9", port=80) == "http://192.0.2.9:80/"
    assert linked(host="2001:db8::1", port=80) == "http://[2001:db8::1]:80/"
    assert linked(host="0.0.0.0", tls_certificate=by_name) == "https://door.example:8080/"
    assert linked(host="::", tls_certificate=by_address) == "https://192.0.2.7:8080/"
    settings = Settings.model_validate({"mqtt": {"discovery": True}})
    shown = announcements(settings, Topics.of(settings), "https://door.example:8080/")
    for payload in filter(None, shown.values()):
        assert json.loads(payload)["device"]["configuration_url"] == "https://door.example:8080/"


def test_each_of_several_cameras_has_a_button_of_its_own() -> None:
    cameras = [{"name": "in"}, {"name": "out-Side"}]
    settings = Settings.model_validate({"mqtt": {"discovery": True}, "cameras": cameras})
    found = announcements(settings, Topics.of(settings))
    button = json.loads(found["homeassistant/button/ostiary_door/snapshot_out-Side/config"])
    assert json.loads(button["payload_press"]) == {"camera": "out-Side"}
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


NAMES = (
    *("入口", "出口", "前门", "后门", "вход", "выход", "المدخل", "المخرج", "입구", "출구"),
    *("ทางเข้า", "ทางออก", "é", "e\u0301", "🚪", "🚪🚪"),
    *("a.b", "a_b", "a-b", "A_B", "a__b", "_a_b", "a_b_", "a,b", "a:b"),
    *("front", "Front", "FRONT", "ﬀront", "x" * 64, "x" * 63 + "é", "'", '"', "{{", "\\"),
)


def announced_of(device: str, *cameras: str) -> dict[str, dict[str, object]]:
    found = announcements(
        settings := Settings.model_validate(
            {
                "device": {"id": device},
                "mqtt": {"discovery": True},
                "cameras": [{"name": name} for name in cameras],
            }
        ),
        Topics.of(settings),
    )
    return {topic: json.loads(payload) for topic, payload in found.items() if payload}


def test_every_camera_has_ids_of_its_own_whatever_the_name() -> None:
    found = announced_of("door", *NAMES)
    per_camera = {topic for topic in announced_of("door", "a", "b") if topic.endswith("_a/config")}
    shared = len(announced_of("door", "a", "b")) - 2 * len(per_camera)
    assert len(found) == len(NAMES) * len(per_camera) + shared
    assert all(re.fullmatch(r"homeassistant(/[A-Za-z0-9_-]+){3}/config", topic) for topic in found)
    for key in ("unique_id", "default_entity_id"):
        assert len({config[key] for config in found.values()}) == len(found)
    for config in found.values():  # as Home Assistant itself would write it
        assert re.fullmatch(r"[a-z_]+\.[a-z0-9]+(_[a-z0-9]+)*", str(config["default_entity_id"]))


def test_every_door_is_a_device_of_its_own_whatever_its_id() -> None:
    devices = [next(iter(announced_of(name, "front").values()))["device"] for name in NAMES]
    nodes = {each["identifiers"][0] for each in devices if isinstance(each, dict)}
    assert len(nodes) == len(NAMES)
    topics = [set(announced_of(name, "front")) for name in NAMES]
    assert len(set().union(*topics)) == sum(map(len, topics))


def test_the_ids_of_a_name_stay_whatever_other_names_there_are() -> None:
    alone = announced_of("前门", "入口", "a")
    with_others = announced_of("前门", "出口", "入口", "a", "a.b")
    assert set(alone) <= set(with_others)
    assert all(alone[topic]["unique_id"] == with_others[topic]["unique_id"] for topic in alone)


def test_plain_names_keep_the_ids_they_had() -> None:
    found = announced_of("back-door", "in", "Out")
    assert "homeassistant/lock/ostiary_back-door/lock_Out/config" in found
    config = found["homeassistant/lock/ostiary_back-door/lock_Out/config"]
    assert config["unique_id"] == "ostiary_back-door_lock_Out"
    assert announced_of("door", "front").keys() <= former_topics(Settings(), Topics.of(Settings()))
