"""Settings: one declaration, a file, the environment, and errors that name the key."""

import tomllib
from pathlib import Path

import pytest
from pydantic import BaseModel
from typer.testing import CliRunner

from ostiary.cli.main import app
from ostiary.decision.policy import policy_of
from ostiary.decision.risk import Risk, risk_of
from ostiary.errors import ConfigError, SettingInvalid
from ostiary.http.messages import ThresholdValues
from ostiary.settings import AccessSettings, Settings, load_settings
from ostiary.settings.access import ADJUSTABLE
from ostiary.settings.device import DeviceSettings, proposed_id, this_machines_id
from ostiary.settings.file import EXAMPLES, render
from ostiary.settings.overrides import adjusted, overrides_path, with_overrides, write_overrides

SAMPLE = Path(__file__).resolve().parents[3] / "config" / "ostiary.toml"


def written(folder: Path, text: str) -> Path:
    path = folder / "ostiary.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_sample_is_what_the_declaration_says_and_holds_the_defaults() -> None:
    assert SAMPLE.read_text(encoding="utf-8") == render(Settings.model_construct())
    assert load_settings(SAMPLE).model_dump() == load_settings(None).model_dump()


def test_every_setting_stands_in_the_sample_with_what_it_is_for() -> None:
    lines = SAMPLE.read_text(encoding="utf-8").splitlines()
    for section, field in Settings.model_fields.items():
        model = type(field.get_default(call_default_factory=True))
        if section == "cameras":
            model = type(load_settings(None).cameras[0])
        elif section in EXAMPLES:
            model = type(EXAMPLES[section])
        for name, declared in model.model_fields.items():
            (at,) = [
                number
                for number, line in enumerate(lines)
                if line.startswith((f"{name} = ", f"#{name} = "))
                and _section_of(lines, number) == section
            ]
            assert declared.description, f"{section}.{name} says nothing of itself"
            assert lines[at - 1].startswith("# ")


def test_the_environment_wins_over_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path, '[mqtt]\nhost = "localhost"\nport = 1\n')
    monkeypatch.setenv("OSTIARY_MQTT__PORT", "1884")
    settings = load_settings(path)
    assert (settings.mqtt.host, settings.mqtt.port) == ("localhost", 1884)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[mqtt]\nhots = 1", "mqtt.hots: unknown key"),
        ("[nonsense]\na = 1", "nonsense: unknown key"),
        ("[mqtt]\nport = 70000", "mqtt.port: must be 65535 or less"),
        ("[mqtt]\nport = 'x'", "mqtt.port: must be a whole number"),
        ("[mqtt]\ntls = 'x'", "mqtt.tls: must be true or false"),
        ("[mqtt]\nhost = 1", "mqtt.host: must be a text"),
        ("[relay]\npulse_s = 0", "relay.pulse_s: must be more than 0"),
        ("[log]\nlevel = 'loud'", "log.level: must be 'debug', 'info', 'warning' or 'error'"),
        ("mqtt = 1", "mqtt: must be a table"),
        ("[access]\nvotes = 6", "access: votes (6) cannot exceed window (5)"),
        ("[access]\nattack_threshold = 0.9", "access: attack_threshold (0.9) must be below"),
        ("cameras = []", "cameras: "),
        ("[device]\nid = 'a/b'", "device.id: "),
        ("[mqtt", "not valid TOML"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=r"ostiary\.toml: ") as caught:
        load_settings(written(tmp_path, text))
    assert said in caught.value.message
    assert (caught.value.code, caught.value.exit_status) == ("config_invalid", 78)


def test_a_wrong_value_is_never_repeated_in_the_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings(written(tmp_path, '[mqtt]\nport = "my-secret"'))
    assert "my-secret" not in caught.value.message


def test_a_table_in_the_environment_that_is_no_json_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OSTIARY_CAMERAS", "my-secret")
    with pytest.raises(ConfigError, match=r'the environment: .*"cameras".* as JSON') as caught:
        load_settings(None)
    assert "my-secret" not in caught.value.message


def test_a_missing_file_is_named() -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.toml: no such file"):
        load_settings(Path("nowhere.toml"))


def test_what_is_rendered_is_read_back_as_it_was(tmp_path: Path) -> None:
    settings = load_settings(
        written(tmp_path, '[device]\nname = "前门 \\"A\\""\n[[cameras]]\nname = "in"\n')
    )
    again = load_settings(written(tmp_path, render(settings)))
    assert again.model_dump() == settings.model_dump()
    assert tomllib.loads(render(settings))["device"]["name"] == '前门 "A"'


def test_the_thresholds_become_the_policy() -> None:
    access = AccessSettings(distance_threshold=0.5, votes=2)
    assert risk_of(access) == Risk(0.001, 0.5)
    assert policy_of(access).votes == 2


def _section_of(lines: list[str], number: int) -> str:
    heads = [line.strip("#[]") for line in lines[:number] if line.startswith(("[", "#[["))]
    return heads[-1]


def test_a_risk_and_a_distance_at_once_are_refused(tmp_path: Path) -> None:
    config = written(tmp_path, "[access]\nfalse_accept = 0.001\ndistance_threshold = 1.1\n")
    with pytest.raises(ConfigError, match="remove one of them"):
        load_settings(config)


@pytest.mark.parametrize("risk", ["0.2", "1e-7", "0", "nan", '"small"'])
def test_a_risk_that_no_house_could_mean_is_refused(tmp_path: Path, risk: str) -> None:
    with pytest.raises(ConfigError, match="false_accept"):
        load_settings(written(tmp_path, f"[access]\nfalse_accept = {risk}\n"))


def test_a_new_door_goes_by_a_risk_and_sface() -> None:
    settings = load_settings(None)
    assert settings.vision.recognizer == "sface"
    assert risk_of(settings.access) == Risk(0.001, None)


def test_a_file_from_before_sface_means_dlibs_distance(tmp_path: Path) -> None:
    old = load_settings(written(tmp_path, "[access]\ndistance_threshold = 0.6\n"))
    assert (old.vision.recognizer, risk_of(old.access).distance) == ("dlib", 0.6)
    text = '[vision]\nrecognizer = "sface"\n[access]\ndistance_threshold = 1.1\n'
    new = load_settings(written(tmp_path, text))
    assert (new.vision.recognizer, risk_of(new.access).distance) == ("sface", 1.1)


def test_a_risk_set_while_running_replaces_a_distance_and_the_other_way_round() -> None:
    by_distance = AccessSettings(distance_threshold=0.6)
    assert risk_of(adjusted(by_distance, {"false_accept": 0.01})) == Risk(0.01, None)
    by_risk = AccessSettings(false_accept=0.01)
    assert risk_of(adjusted(by_risk, {"distance_threshold": 1.0})).distance == 1.0
    assert risk_of(adjusted(by_risk, {"votes": 2})) == Risk(0.01, None)
    with pytest.raises(SettingInvalid, match="remove one"):
        adjusted(by_risk, {"distance_threshold": 1.0, "false_accept": 0.01})


def test_a_distance_set_in_the_console_before_sface_is_dlibs(tmp_path: Path) -> None:
    text = f'[store]\npath = "{tmp_path}/ostiary.db"\n'
    settings = load_settings(written(tmp_path, text))
    write_overrides(overrides_path(settings), {"distance_threshold": 0.5})
    effective = with_overrides(settings)
    assert (effective.vision.recognizer, risk_of(effective.access).distance) == ("dlib", 0.5)


@pytest.mark.parametrize(
    "text",
    [
        "[access]\nlive_threshold = 0.0001",
        "[access]\nvotes = 1\nwindow = 1",
        "[access]\nattack_threshold = 0.0",
        '[vision]\nrecognizer = "sface"\n[access]\ndistance_threshold = 2.0',
        "[access]\ndistance_threshold = 0.9",
        "[access]\nfalse_accept = 0.5",
    ],
)
def test_a_threshold_at_which_anybody_passes_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError, match="access"):
        load_settings(written(tmp_path, text))


@pytest.mark.parametrize(
    ("host", "proposed"),
    [
        ("lobby-pi", "lobby-pi"),
        ("lobby-pi.example.org", "lobby-pi"),
        ("Gate_2", "Gate_2"),
        ("tür#1", "t-r-1"),
        ("x" * 64, "x" * 48),
    ],
)
def test_a_new_door_is_called_after_its_machine(host: str, proposed: str) -> None:
    assert proposed_id(host, "1234") == proposed


@pytest.mark.parametrize("host", ["raspberrypi", "localhost", "debian", "", "...", "door"])
def test_two_machines_of_one_image_get_two_ids(host: str) -> None:
    one, other = proposed_id(host, "1234"), proposed_id(host, "5678")
    assert one != other
    assert {DeviceSettings(id=each).id for each in (one, other)} == {one, other}
    assert proposed_id(host, "1234\n") == one


def test_the_file_for_a_new_door_has_an_id_and_is_otherwise_the_default(tmp_path: Path) -> None:
    runner = CliRunner()
    new, usual = (
        runner.invoke(app, ["config", option]).stdout for option in ("--new", "--defaults")
    )
    path = tmp_path / "new.toml"
    path.write_text(new, encoding="utf-8")
    assert load_settings(path).device.id == this_machines_id()
    assert new.replace(f'id = "{this_machines_id()}"', 'id = "door"', 1) == usual


@pytest.mark.parametrize("name", ADJUSTABLE)
def test_the_console_takes_thresholds_in_the_ranges_of_the_settings(name: str) -> None:
    limits = {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"}

    def of(model: type[BaseModel]) -> dict[str, float]:
        field = model.model_json_schema()["properties"][name]
        return {
            key: value
            for part in (field, *field.get("anyOf", ()))
            for key, value in part.items()
            if key in limits
        }

    assert of(ThresholdValues) == of(AccessSettings)
    assert of(AccessSettings) or name == "one_person_only"
