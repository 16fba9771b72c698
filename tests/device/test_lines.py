"""Relay, contact, button and keypad on the kernel's own drivers: gpio-sim and uinput."""

import json
from typing import Any

import pytest

from tests.device.conftest import tell
from tests.device.door import Door
from tests.device.why_not import MARKS

pytestmark = MARKS


@pytest.fixture(scope="module")
def seen(door: Door) -> dict[str, Any]:
    """What guest/lines.py found."""
    door.stop()
    found: dict[str, Any] = door.run("lines", timeout_s=600)
    tell(f"lines: {json.dumps(found)}")
    return found


def of(seen: dict[str, Any], scenario: str) -> Any:
    result = seen[scenario]
    assert not (isinstance(result, dict) and "error" in result), result["error"]
    return result


def test_the_relays_pulse_is_not_shorter_than_it_was_set_and_ends(seen: dict[str, Any]) -> None:
    """How much longer it is, is this machine's; test_door.py measures it at a door."""
    pulse = of(seen, "pulse")
    assert pulse["levels"] == ["0", "1", "0"]
    assert pulse["length_s"] >= pulse["wanted_s"] - 0.05 - pulse["blind_s"]
    assert pulse["held by us"]


def test_the_line_is_let_go_after_kill_9(seen: dict[str, Any]) -> None:
    killed = of(seen, "killed")
    assert killed["held"] == "1"
    assert (killed["after"], killed["taken again"]) == ("0", "0")


def test_a_contact_that_bounces_is_one_edge_and_a_touch_too_short_is_none(
    seen: dict[str, Any],
) -> None:
    edges = of(seen, "debounce")
    assert edges["before"] == {"contact": False, "button": False}
    assert edges["bounced"] == [["contact", True]]
    assert edges["short"] == []
    assert edges["pressed"] == [["button", True]]
    assert edges["let go"] == [["button", False]]
    assert edges["opened"] == [["contact", False]]


def test_a_line_that_is_in_use_is_said(seen: dict[str, Any]) -> None:
    assert "line 3" in of(seen, "line_in_use")


def test_a_keypads_keys_come_to_the_door_alone(seen: dict[str, Any]) -> None:
    keys = of(seen, "keys")
    assert keys["typed"] == "1234\n"
    assert "Something else has it" in keys["second"]
    assert "No such device" in keys["gone"]
