"""Rules and visitors on the real daemon, with a person before its camera."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from ostiary.service.machine import is_synchronised
from testing.broker import Mosquitto
from testing.daemon import BASE, DaemonProcess, write_config
from testing.enrolment import register_at_the_camera
from testing.probe import Probe

LOGIN = f"{BASE}/event/login"
DOOR = f"{BASE}/door"
USER = f"{BASE}/event/user"
SITE = """
[access]
cooldown_s = 0.5
[rules]
timezone = "Europe/Berlin"
remove_ended_after_days = 30
shown_within_s = 2
"""
TRUSTING = SITE + '[clock]\ntrust = "always"\n'
LONG_AGO = "2020-01-01"
"""An end after which somebody is removed."""


def test_a_visitor_passes_before_the_end_and_not_after_and_is_then_removed(
    tmp_path: Path, broker: Mosquitto, models: Path, at_the_door: Path, probe: Probe
) -> None:
    with DaemonProcess(write_config(tmp_path, broker.port, models, at_the_door, TRUSTING)):
        probe.wait_for(f"{BASE}/availability", b"online")
        tomorrow = datetime.now(UTC) + timedelta(days=1)
        register_at_the_camera(probe, "Visitor", valid_until=tomorrow.isoformat())
        granted = probe.first_login(BASE, "granted")
        assert granted["username"] == "Visitor"
        opened = probe.wait(DOOR)
        # Only now, as nobody knows how long a slow machine takes until the first grant.
        end = datetime.now(UTC) + timedelta(seconds=3)
        probe.data(
            BASE, "set_access", username="Visitor", valid_until=end.isoformat(), confirm=True
        )
        over = max(end, datetime.now(UTC))  # also where the door heard of the end after it
        denied = probe.first_login(BASE, "expired")
        assert denied["username"] == "Visitor"
        assert "expired" not in denied["message"].lower()
        assert datetime.fromisoformat(granted["timestamp"]) < end
        assert datetime.fromisoformat(denied["timestamp"]) >= end
        granted_later = [
            each.json
            for each in probe.of(LOGIN)
            if each.json["success"] and datetime.fromisoformat(each.json["timestamp"]) >= over
        ]
        assert granted_later == []
        assert len(probe.of(DOOR)) >= len(opened)
        # The daemon looks every half a minute for people whose time is over for so many days.
        probe.data(BASE, "set_access", username="Visitor", valid_until=LONG_AGO, confirm=True)
        probe.wait_until(lambda: probe.of(USER)[-1].json["action"] == "deleted")
        removed = probe.of(USER)[-1].json
        assert removed["source"] == "expiry"
        assert probe.first_login(BASE, "unknown_face", removed["seq"])["username"] is None


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
        register_at_the_camera(probe, "Ann", groups=["Staff"])
        probe.first_login(BASE, "granted")
        hours = [{"days": week, "start": elsewhere, "end": then}]
        probe.data(BASE, "set_rule", rule={**rule, "hours": hours})
        assert probe.first_login(BASE, "outside_schedule")["username"] == "Ann"
        answer = probe.data(BASE, "access", username="Ann")
        assert answer["now"][0]["reason"] == "outside_schedule"
        probe.data(BASE, "set_rule", rule={**rule, "needs": "face+pin"})
        # Whoever stays is not told the same grant again.
        probe.first_login(BASE, "credential_missing")
        probe.data(BASE, "set_rule", rule=rule)
        over = datetime.now(UTC).isoformat()  # not so long ago that she is removed
        probe.data(
            BASE, "set_access", username="Ann", groups=["Staff"], valid_until=over, confirm=True
        )
        probe.first_login(BASE, "expired")


def test_hours_go_by_the_clock_only_while_it_is_synchronised(
    tmp_path: Path, broker: Mosquitto, models: Path, at_the_door: Path, probe: Probe
) -> None:
    expected = "granted" if is_synchronised() else "clock_untrusted"
    with DaemonProcess(write_config(tmp_path, broker.port, models, at_the_door, SITE)):
        probe.wait_for(f"{BASE}/availability", b"online")
        register_at_the_camera(probe, "Ann", valid_until="2099-01-01")
        assert probe.first_login(BASE, expected)["username"] == "Ann"
