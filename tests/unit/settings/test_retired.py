"""Settings of earlier versions: what was set by a key of then, and what is said of it."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from ostiary.commands.services import CommandLimits
from ostiary.errors import ConfigError
from ostiary.hardware.keypad import Keypad
from ostiary.hardware.watching import DEBOUNCE_S
from ostiary.http.app import SIGN_IN_TRIES
from ostiary.http.live import AT_MOST_FPS, AT_MOST_WIDE
from ostiary.http.parts import ConsoleLimits
from ostiary.mqtt.broker import KEEP_ALIVE_S
from ostiary.mqtt.door import SESSION_S
from ostiary.mqtt.housekeeping import KEEP_ANSWERS, MOST_ANSWERS
from ostiary.mqtt.publisher import RESEND, WINDOW
from ostiary.mqtt.signing import SIGNATURE_AGE
from ostiary.service.doctor.check import Level
from ostiary.service.doctor.machine import check_settings
from ostiary.settings import CameraSettings, Settings, load_settings
from ostiary.settings.file import EXAMPLES
from ostiary.settings.retired import RETIRED, Fixed, Moved, renewed
from ostiary.site.doors import CONFIRM_WITHIN_S
from ostiary.vision import quality
from ostiary.vision.detect import WHOLE_FRAME_EVERY_S
from ostiary.vision.image import ImageLimits

OLD = Path(__file__).with_name("ostiary-51ddf7d.toml")
"""Every setting of that version, as its `ostiary config --defaults` wrote them."""

IN_FORCE = {
    "doors.debounce_ms": DEBOUNCE_S * 1000,
    "credentials.forget_after_s": Keypad().forget_after_s,
    "vision.whole_frame_every_s": WHOLE_FRAME_EVERY_S,
    "vision.min_inside": quality.LEAST_INSIDE,
    "vision.max_yaw": quality.MOST_YAW,
    "vision.min_brightness": quality.LEAST_BRIGHTNESS,
    "vision.max_over_exposed": quality.MOST_OVER_EXPOSED,
    "vision.max_filled": quality.MOST_FILLED,
    "vision.min_colour": quality.LEAST_COLOUR,
    "vision.min_sharpness": quality.LEAST_SHARPNESS,
    "site.confirm_within_s": CONFIRM_WITHIN_S,
    "store.keep_answers_hours": KEEP_ANSWERS.total_seconds() / 3600,
    "store.keep_answers": MOST_ANSWERS,
    "mqtt.keepalive_s": KEEP_ALIVE_S,
    "mqtt.session_expiry_s": SESSION_S,
    "mqtt.window": WINDOW,
    "mqtt.resend_s": RESEND.total_seconds(),
    "commands.payload_limit_bytes": ImageLimits().bytes,
    "commands.image_pixel_limit": ImageLimits().pixels,
    "commands.image_side_limit": ImageLimits().side,
    "commands.camera_timeout_s": CommandLimits().camera_s,
    "commands.queue_limit": CommandLimits().waiting,
    "commands.signature_age_s": SIGNATURE_AGE.total_seconds(),
    "http.sign_in_tries": SIGN_IN_TRIES,
    "http.viewers": ConsoleLimits().viewers,
    "http.live_fps": AT_MOST_FPS,
    "http.live_width": AT_MOST_WIDE,
    "http.connections": ConsoleLimits().connections,
    "http.request_timeout_s": ConsoleLimits().request_s,
}
"""What the code does, by the name under which it could be set."""


def with_every_key() -> str:
    """The old file, in which those of its commented keys are in force that are retired now."""
    lines = "|".join([r"\[\[doors\]\]", *(f"{key.partition('.')[2]} =" for key in RETIRED)])
    return re.sub(rf"(?m)^#({lines})", r"\1", OLD.read_text(encoding="utf-8"))


def read(folder: Path, text: str) -> Settings:
    path = folder / "ostiary.toml"
    path.write_text(text, encoding="utf-8")
    return load_settings(path)


def test_what_is_said_to_be_fixed_is_so_and_as_it_was_by_default() -> None:
    fixed = {key: what.at for key, what in RETIRED.items() if isinstance(what, Fixed)}
    assert fixed == IN_FORCE
    then = tomllib.loads(with_every_key())
    for key, value in fixed.items():
        section, _, name = key.partition(".")
        assert first(then[section]).get(name, value) == value


def test_what_moved_is_a_setting_and_what_is_retired_is_none() -> None:
    for old, what in RETIRED.items():
        assert not is_setting(old)
        assert not isinstance(what, Moved) or is_setting(what.to)


def first(table: Any) -> dict[str, Any]:
    """Of a table that is repeated, the first."""
    return dict(table[0] if isinstance(table, list) else table)


def is_setting(key: str) -> bool:
    section, _, name = key.partition(".")
    tables = {**dict(Settings.model_construct()), "cameras": CameraSettings(), **EXAMPLES}
    return name in type(tables[section]).model_fields


def test_a_file_with_every_key_of_an_earlier_version_is_read_and_the_doctor_names_what_retired(
    tmp_path: Path,
) -> None:
    settings, then = read(tmp_path, with_every_key()), tomllib.loads(with_every_key())
    (check,) = check_settings(settings)
    assert check.level is Level.YELLOW
    for key in RETIRED:
        section, _, name = key.partition(".")
        assert (f"{key} is " in check.found) == (name in first(then[section]))
    assert settings.vision.liveness == "v2"  # what is a setting counts as it stands there
    assert settings.mqtt.base_topic == "ostiary"


def test_the_doctor_says_nothing_of_a_file_of_today() -> None:
    assert not list(check_settings(load_settings(None)))


def test_what_has_no_effect_any_more_refuses_no_start_whatever_it_says(tmp_path: Path) -> None:
    settings = read(tmp_path, '[mqtt]\nwindow = "many"\nport = 1884\n')
    assert settings.mqtt.port == 1884
    assert settings.retired == ("mqtt.window is 16 now, whatever is set",)


def test_a_key_of_no_version_is_still_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"mqtt\.windows: unknown key"):
        read(tmp_path, "[mqtt]\nwindow = 1\nwindows = 1\n")


@pytest.mark.parametrize("requires", [True, False])
def test_a_former_name_is_still_read(tmp_path: Path, requires: bool) -> None:
    settings = read(tmp_path, f"[[cameras]]\nrefuse_stills = {str(requires).lower()}\n")
    assert settings.cameras[0].require_movement is requires
    assert settings.retired == ("cameras.refuse_stills is cameras.require_movement now",)


def test_beside_the_new_name_the_former_one_does_not_count(tmp_path: Path) -> None:
    text = "[[cameras]]\nrefuse_stills = false\n"
    second = '[[cameras]]\nname = "out"\nrefuse_stills = true\nrequire_movement = false\n'
    settings = read(tmp_path, text + second)
    assert [camera.require_movement for camera in settings.cameras] == [False, False]


def test_the_environment_wins_by_a_former_name_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OSTIARY_SITE__WITHOUT_GROUP", "never")
    settings = read(tmp_path, '[rules]\nwithout_group = "always"\ntimezone = "Asia/Tokyo"\n')
    assert settings.rules.without_group == "never"
    assert settings.rules.zone.key == "Asia/Tokyo"


def test_the_site_of_an_earlier_file_gives_the_rules_their_times(tmp_path: Path) -> None:
    settings = read(
        tmp_path, '[site]\nid = "campus"\nshown_within_s = 4.0\ntimezone = "Asia/Tokyo"\n'
    )
    assert settings.site.id == "campus"
    assert (settings.rules.shown_within_s, settings.rules.second_person_s) == (4.0, 15.0)
    assert settings.rules.zone.key == "Asia/Tokyo"


def test_a_wrong_value_by_a_former_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"rules\.shown_within_s: must be more than 0"):
        read(tmp_path, "[site]\nshown_within_s = 0\n")


def test_what_retired_in_the_environment_is_named_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OSTIARY_HTTP__VIEWERS", "3")
    assert read(tmp_path, "").retired == ("http.viewers is 8 now, whatever is set",)


def test_beside_another_value_by_the_new_name_it_says_that_the_former_is_not_read() -> None:
    both = {"site": {"without_group": "never"}, "rules": {"without_group": "always"}}
    tables, said = renewed(both)
    assert tables["rules"] == {"without_group": "always"}
    assert said == ("site.without_group is not read: rules.without_group is set, too",)
    both["rules"]["without_group"] = "never"
    assert renewed(both)[1] == ("site.without_group is rules.without_group now",)
