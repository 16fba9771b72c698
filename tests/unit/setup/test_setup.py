"""Parts of the guided first hour: how it asks, the lines' group, the console's certificate."""

from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from ostiary.camera.address import redact
from ostiary.errors import ConfigError
from ostiary.setup import console, service
from ostiary.setup.asking import Questions
from ostiary.setup.console import make_certificate
from ostiary.setup.service import Service

SOURCE = "rtsp://door:hunter2@192.0.2.9/"


@pytest.mark.parametrize("given", [None, SOURCE])
@pytest.mark.parametrize("take_defaults", [True, False])
def test_an_answer_with_a_password_is_not_shown(given: str | None, take_defaults: bool) -> None:
    questions = Questions(take_defaults=take_defaults)
    with CliRunner().isolation("\n") as (out, _, _):
        assert questions.ask("Source", SOURCE, given, shown=redact) == SOURCE
        said = out.getvalue().decode()
    assert "192.0.2.9" in said
    assert "hunter2" not in said


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of a machine with systemd, where no group has the name of the lines'."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "shipped").write_text("[Service]\n", encoding="utf-8")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr(service, "BOOTED", tmp_path)
    monkeypatch.setattr(service, "GPIO_SHIPPED", tmp_path / "shipped")
    monkeypatch.setattr(service, "GPIO", tmp_path / "ostiary.service.d/gpio.conf")
    monkeypatch.setattr(service, "GPIO_RULE", tmp_path / "rules.d/gpio.rules")
    monkeypatch.setattr(service, "GPIO_GROUP", "no-such-group")
    return tmp_path


def test_the_unit_names_no_group_that_is_not_there(machine: Path) -> None:
    with pytest.raises(ConfigError, match="groupadd --system no-such-group"):
        Service().permit_lines()
    assert not (machine / "ostiary.service.d").exists()


@pytest.mark.parametrize("programs", [("groupadd", "udevadm"), ("groupadd",)])
def test_the_lines_get_a_group_where_there_is_none(
    machine: Path, programs: tuple[str, ...]
) -> None:
    for program in programs:
        (machine / "bin" / program).write_text(f'#!/bin/sh\necho {program} "$@" >>{machine}/did\n')
        (machine / "bin" / program).chmod(0o755)
    Service().permit_lines()
    did = (machine / "did").read_text(encoding="utf-8").splitlines()
    assert did[0] == "groupadd --system no-such-group"
    told_udev = [line.split()[1] for line in did[1:]]
    assert told_udev == (["control", "trigger"] if "udevadm" in programs else [])
    rule = (machine / "rules.d/gpio.rules").read_text(encoding="utf-8")
    assert 'GROUP="no-such-group"' in rule
    assert (machine / "ostiary.service.d/gpio.conf").exists()


def test_a_certificate_is_kept_while_it_holds_for_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("192.0.2.1", "door.local")
    certificate, _ = make_certificate(tmp_path, names)
    first = certificate.read_bytes()
    make_certificate(tmp_path, names)
    assert certificate.read_bytes() == first
    make_certificate(tmp_path, ("192.0.2.2", "door.local"))
    assert (second := certificate.read_bytes()) != first
    certificate.write_bytes(b"nonsense")
    with monkeypatch.context() as patch:
        patch.setattr(console, "VALID", timedelta(days=2))
        make_certificate(tmp_path, names)
    assert (third := certificate.read_bytes()) not in (b"nonsense", second)
    make_certificate(tmp_path, names)
    assert certificate.read_bytes() != third  # which ends soon
