"""Whether the hour may be believed."""

import time
from pathlib import Path

import pytest

from ostiary.service import machine
from ostiary.service.machine import Synchronised


def test_a_clock_is_as_synchronised_as_was_said_when_it_was_last_asked() -> None:
    answers = [False, True, False]
    synchronised = Synchronised(lambda: answers.pop(0))
    assert not synchronised()
    synchronised.look()
    assert synchronised()
    assert synchronised()
    synchronised.look()
    assert not synchronised()


def test_a_year_before_this_program_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: 0.0)
    assert not Synchronised(lambda: True)()


@pytest.mark.parametrize(
    ("answer", "expected"),
    [("echo b true", True), ("echo b false", False), ("echo no bus >&2; exit 1", False)],
)
def test_where_the_sandbox_refuses_the_kernels_answer_systemd_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str, expected: bool
) -> None:
    busctl = tmp_path / "busctl"
    busctl.write_text(f"#!/bin/sh\n{answer}\n", encoding="ascii")
    busctl.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert machine._systemd_says_so() is expected


def test_where_nobody_can_be_asked_a_clock_is_not_synchronised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert machine._systemd_says_so() is False
