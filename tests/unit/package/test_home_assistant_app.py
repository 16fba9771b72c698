"""The Home Assistant app and the compose file name settings that the daemon has."""

import os
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType
from typing import Any, get_args

import pytest
import yaml  # type: ignore[import-untyped]

from ostiary import __version__
from ostiary.http.place import check_place
from ostiary.settings import Section, Settings, load_settings

PACKAGE = Path(__file__).resolve().parents[3] / "package"
CONFIG = yaml.safe_load((PACKAGE / "home-assistant/config.yaml").read_text(encoding="utf-8"))
COMPOSE = yaml.safe_load((PACKAGE / "container/compose.yaml").read_text(encoding="utf-8"))


def start_app() -> ModuleType:
    loader = SourceFileLoader("start_app", str(PACKAGE / "home-assistant/start-app"))
    spec = spec_from_loader("start_app", loader)
    assert spec is not None
    module = module_from_spec(spec)
    loader.exec_module(module)
    return module


def baked_in() -> dict[str, str]:
    """The variables of the app's image."""
    found: dict[str, str] = {}
    for name in ("container", "home-assistant"):
        text = (PACKAGE / name / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
        for line in text.splitlines():
            if line.startswith("ENV "):
                found |= dict(each.split("=", 1) for each in line.split()[1:])
    return found


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in baked_in().items():
        if name.startswith("OSTIARY_") and name != "OSTIARY_CONFIG":
            monkeypatch.setenv(name, value)


def section(name: str) -> type[Section]:
    kind = Settings.model_fields[name].annotation
    found = next((each for each in get_args(kind) if isinstance(each, type)), kind)
    assert isinstance(found, type)
    assert issubclass(found, Section)
    return found


def test_the_app_is_of_this_version() -> None:
    assert CONFIG["version"] == __version__


def test_the_options_are_settings_and_all_are_in_the_schema() -> None:
    assert CONFIG["options"].keys() == CONFIG["schema"].keys()
    for name, schema in CONFIG["schema"].items():
        (keys,) = schema if isinstance(schema, list) else (schema,)
        given = CONFIG["options"][name]
        (values,) = given if isinstance(given, list) else (given,)
        assert values.keys() <= keys.keys() <= section(name).model_fields.keys()


@pytest.mark.usefixtures("installed")
def test_what_the_app_begins_with_is_a_door_that_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    broker = {"mqtt": {"host": "core-mosquitto", "port": 1883, "username": "a", "tls": False}}
    given: dict[str, Any] = CONFIG["options"] | broker
    for name, value in start_app().variables(given):
        monkeypatch.setenv(name, value)
    settings = load_settings(PACKAGE.parent / "config/ostiary.toml")
    assert settings.device.id == "door"
    assert settings.cameras[0].source == "0"
    assert settings.mqtt.host == "core-mosquitto"
    assert settings.mqtt.discovery
    assert settings.http.port == CONFIG["ingress_port"]
    check_place(settings.http)


def test_the_compose_file_names_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    door = COMPOSE["services"]["ostiary"]
    assert door["read_only"]
    for name, value in door["environment"].items():
        if name.startswith("OSTIARY_"):
            monkeypatch.setenv(name, value)
    assert load_settings(None).mqtt.host in COMPOSE["services"]


def test_a_camera_of_the_options_keeps_what_the_file_says_besides(tmp_path: Path) -> None:
    config = tmp_path / "ostiary.toml"
    config.write_text(
        '[[cameras]]\nname = "front"\nmirrored = true\nsource = "1"\n', encoding="utf-8"
    )
    found = start_app().with_the_rest([{"name": "front", "source": "0"}, {"name": "back"}], config)
    assert found == [{"name": "front", "mirrored": True, "source": "0"}, {"name": "back"}]
    config.write_text("[[cameras", encoding="utf-8")
    assert start_app().with_the_rest([{"name": "back"}], config) == [{"name": "back"}]


@pytest.mark.skipif(os.geteuid() != 0, reason="root alone gives files away")
def test_root_gives_away_no_file_to_which_the_door_has_laid_a_link(tmp_path: Path) -> None:
    (tmp_path / "roots").touch()
    data = tmp_path / "data"
    data.mkdir()
    (data / "link").symlink_to(tmp_path / "roots")
    (data / "own").touch()
    if not (child := os.fork()):
        try:
            start_app().become(900, (data,))
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    assert (tmp_path / "roots").stat().st_uid == 0
    assert (data / "own").stat().st_uid == 900
