"""The doctor's page as people and programs read it."""

import io
import json

import pytest
from rich.console import Console

from ostiary.service.doctor.check import Check, Level, as_json, exit_status, render

WELL = Check("disk", Level.GREEN, "900 MB free")
DARK = Check("camera front picture", Level.YELLOW, "dark", "Light the faces from the front.")
BROKEN = Check("models", Level.RED, "dlib_resnet.onnx altered", "Install the package again.")


def printed(*checks: Check) -> str:
    out = io.StringIO()
    render(checks, Console(file=out, width=40))
    return out.getvalue()


def test_each_check_is_a_line_with_a_word_for_its_colour() -> None:
    lines = printed(WELL, DARK, BROKEN).splitlines()
    assert lines[0] == "ok    disk: 900 MB free"
    assert lines[1] == "look  camera front picture: dark"
    assert lines[3] == "BAD   models: dlib_resnet.onnx altered"


def test_what_to_do_stands_below_what_is_wrong() -> None:
    assert printed(DARK).splitlines()[1].strip() == "→ Light the faces from the front."


def test_brackets_in_a_finding_are_no_markup() -> None:
    assert "[red]" in printed(Check("x", Level.GREEN, "a path [red]"))


@pytest.mark.parametrize(
    ("checks", "level", "status"),
    [((WELL,), "green", 0), ((WELL, DARK), "yellow", 0), ((DARK, BROKEN, WELL), "red", 1)],
)
def test_the_worst_line_decides(checks: tuple[Check, ...], level: str, status: int) -> None:
    assert json.loads(as_json(checks))["level"] == level
    assert exit_status(checks) == status


def test_json_has_every_check_with_its_advice() -> None:
    (line,) = json.loads(as_json([DARK]))["checks"]
    assert line == {
        "name": "camera front picture",
        "level": "yellow",
        "found": "dark",
        "advice": "Light the faces from the front.",
    }
