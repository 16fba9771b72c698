"""Rules and visitors on the real daemon, with a person before its camera."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from ostiary.service.machine import is_synchronised
from testing.broker import Mosquitto
from testing.daemon import BASE, DaemonProcess, write_config
from testing.probe import Probe

LOGIN = f"{BASE}/event/login"
DOOR = f"{BASE}/door"
SITE = """
[access]
cooldown_s = 0.5
[rules]
timezone = "Europe/Berlin"
remove_ended_after_days = 0
shown_within_s = 2
"""
TRUSTING = SITE + '[clock]\ntrust = "always"\n'


def next_reason(probe: Probe, reason: str) -> dict[str, Any]:
    """The next decision with that reason, from now on."""
    before = len(probe.of(LOGIN))

    def found() -> list[dict[str, Any]]:
        return [each.json for each in probe.of(LOGIN)[before:] if each.json["reason"] == reason]

    probe.wait_until(lambda: bool(found()))
    return found()[0]


def test_a_visitor_passes_before_the_end_and_not_after_and_is_then_removed(
    tmp_path: Path, broker: Mosquitto, models: Path, at_the_door: Path, probe: Probe
) -> None:
    with DaemonProcess(write_config(tmp_path, broker.port, models, at_the_door, TRUSTING)):
        probe.wait_for(f"{BASE}/availability", b"online")
        end = datetime.now(UTC) + timedelta(seconds=12)
        probe.data(
            BASE,
            "register",
            username="Visitor",
            source="camera",
            valid_until=end.isoformat(),
        )
        granted = next_reason(probe, "granted")
        assert granted["username"] == "Visitor"
        opened = probe.wait(DOOR)
        denied = next_reason(probe, "expired")
        assert denied["username"] == "Visitor"
        assert "expired" not in denied["message"].lower()
        assert datetime.fromisoformat(granted["timestamp"]) < end
        assert datetime.fromisoformat(denied["timestamp"]) >= end
        granted_later = [
            each.json
            for each in probe.of(LOGIN)
            if each.json["success"] and datetime.fromisoformat(each.json["timestamp"]) >= end
        ]
        assert granted_later == []
        assert len(probe.of(DOOR)) >= len(opened)
        # The daemon looks every half a minute for people whose time is over.
        removed = probe.wait(f"{BASE}/event/user", 3)[-1].json
        assert (removed["action"], removed["source"]) == ("deleted", "expiry")
        assert next_reason(probe, "unknown_face")["username"] is None


def test_a_group_passes_in_its_hours_and_a_change_of_them_holds_at_once(
    tmp_path: Path, broker: Mosquitto, models: Path, at_the_door: Path, probe: Probe
) -> None:
    week = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
    always = {"days": week, "start": "00:00", "end": "24:00"}
    rule = {"name": "Staff", "groups": ["Staff"], "hours": [always]}
    elsewhere = (datetime.now(UTC) + timedelta(hours=8)).strftime("%H:00")
    then = (datetime.now(UTC) + timedelta(hours=9)).strftime("%H:00")
    with DaemonProcess(write_config(tmp_path, broker.port, models, at_the_door, TRUSTING)):
        probe.wait_for(f"{BASE}/availability", b"online")
        probe.data(BASE, "set_group", group="Staff")
        probe.data(BASE, "set_rule", rule=rule)
        probe.data(BASE, "register", username="Ann", source="camera", groups=["Staff"])
        next_reason(probe, "granted")
        hours = [{"days": week, "start": elsewhere, "end": then}]
        probe.data(BASE, "set_rule", rule={**rule, "hours": hours})
        assert next_reason(probe, "outside_schedule")["username"] == "Ann"
        answer = probe.data(BASE, "access", username="Ann")
        assert answer["now"][0]["reason"] == "outside_schedule"
        probe.data(BASE, "set_rule", rule={**rule, "needs": "face+pin"})
        next_reason(probe, "credential_missing")  # whoever stays is not told the same grant again
        probe.data(BASE, "set_rule", rule=rule)
        probe.data(
            BASE,
            "set_access",
            username="Ann",
            groups=["Staff"],
            valid_until="2020-01-01",
            confirm=True,
        )
        next_reason(probe, "expired")


def test_hours_go_by_the_clock_only_while_it_is_synchronised(
    tmp_path: Path, broker: Mosquitto, models: Path, at_the_door: Path, probe: Probe
) -> None:
    expected = "granted" if is_synchronised() else "clock_untrusted"
    with DaemonProcess(write_config(tmp_path, broker.port, models, at_the_door, SITE)):
        probe.wait_for(f"{BASE}/availability", b"online")
        probe.data(BASE, "register", username="Ann", source="camera", valid_until="2099-01-01")
        assert next_reason(probe, expected)["username"] == "Ann"
