"""PINs, cards, contacts and modes on the real daemon: real broker, real models, a keypad of the
kernel's own records, simulated contacts."""

import re
import signal
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from testing.broker import Mosquitto
from testing.command_line import ostiary
from testing.house import BASE, DOOR_EVENT, ENTRANCE, LOGIN, House
from testing.waiting import wait_until

DURESS = f"{BASE}/duress"
DOOR = f"{BASE}/door"
PIN, DURESS_PIN, CARD = "471108256391", "081547936204", "0008154711"


@pytest.fixture(scope="module")
def one_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path_factory.mktemp("broker")) as running:
        yield running


@pytest.fixture(scope="module")
def empty(
    tmp_path_factory: pytest.TempPathFactory, one_broker: Mosquitto, models: Path, portraits: Path
) -> Iterator[House]:
    """Nobody before the camera; obama and biden may pass by PIN or card alone."""
    folder = tmp_path_factory.mktemp("empty")
    with House(folder, one_broker.port, models, []) as house:
        house.people(portraits, "obama", "biden")
        house.rule("pin")
        house.ask("set_rule", rule={"name": "C", "groups": ["G"], "needs": "card"})
        house.ask("set_pin", username="obama", pin=PIN)
        house.ask("set_pin", username="obama", pin=DURESS_PIN, duress=True)
        house.ask("add_card", username="biden", card=CARD)
        yield house


@pytest.fixture
def house(empty: House) -> House:
    """As `empty`, with nothing heard yet, a sensor that is there, a shut door and no lock-out."""
    empty.probe.send("zigbee2mqtt/bridge/state", '{"state":"online"}')
    empty.contact("closed")

    empty.ask("door", action="lockdown")  # which ends the time for which a grant opened

    def is_locked() -> bool:
        state: str = empty.ask("door", action="lock")["door"]["state"]
        return state == "locked"

    wait_until(is_locked, "a locked door", every_s=0.1)
    with empty.probe._changed:
        empty.probe.heard.clear()
    return empty


def test_a_pin_alone_lets_in_by_the_keypad(house: House) -> None:
    house.type(f"{PIN}\n")
    house.wait_login("granted", "obama")
    event = house.probe.of(LOGIN)[-1].json
    assert (event["source"], event["distance"], event["liveness"]) == ("front", None, None)
    assert house.probe.wait(DOOR)[0].json["username"] == "obama"
    house.wait_state("unlocked")
    assert not house.probe.of(DURESS)


def test_a_card_alone_lets_in_by_the_reader_whatever_zeros_it_begins_with(house: House) -> None:
    house.type(f"{CARD}\n", pace_s=0.004)
    house.wait_login("granted", "biden")
    answer = house.ask("credential", card=CARD.lstrip("0"))
    assert answer == {"door": "front", "outcome": "granted"}


def test_a_duress_pin_opens_as_always_and_tells_the_building_silently(house: House) -> None:
    answer = house.ask("credential", pin=DURESS_PIN)
    assert answer == {"door": "front", "outcome": "granted"}
    house.wait_login("granted", "obama")
    duress = house.probe.wait(DURESS)[0].json
    assert (duress["username"], duress["source"]) == ("obama", "front")
    assert duress["seq"] == house.probe.of(LOGIN)[-1].json["seq"]  # no gap tells of it
    usual, forced = house.probe.of(LOGIN)[-1].json, house.ask("credential", pin=PIN)
    assert forced == answer
    house.wait_login("granted", "obama", 2)
    again = house.probe.of(LOGIN)[-1].json
    told_apart = {key for key in usual if usual[key] != again[key]}
    assert told_apart == {"event_id", "seq", "timestamp"}
    kinds = [set(each) for each in house.ask("events", limit=50)["events"]]
    assert all("duress" not in fields for fields in kinds)
    assert len(house.ask("events", kind="duress")["events"]) >= 1


def test_wrong_pins_lock_out_and_the_right_one_does_not_help_then(house: House) -> None:
    assert [house.ask("credential", pin="999888")["outcome"] for _ in range(3)] == ["denied"] * 3
    assert house.ask("credential", pin=PIN)["outcome"] == "denied"
    assert house.ask("credential", card=CARD)["outcome"] == "denied"
    house.wait_login("wrong_credential", count=3)
    house.wait_login("locked_out")
    assert not [reason for reason, _ in house.logins() if reason == "granted"]
    assert house.logins().count(("locked_out", None)) == 1  # told once, however often it is tried
    # A reload is no way around it.
    house.ask("reload")
    house.probe.wait_for(f"{BASE}/availability", b"online")
    assert house.ask("credential", pin=PIN)["outcome"] == "denied"


def test_nothing_of_a_credential_is_written_anywhere(house: House) -> None:
    house.ask("credential", pin="314159265358")
    answer = house.probe.ask(BASE, "credential", {"pin": "a pin 27182", "card": "a card 27182"})
    assert answer["status"] == "error"
    assert not {"a pin", "a card"} & set(re.findall("a pin|a card", str(answer)))
    everything = house.daemon.log + str([each.payload for each in house.probe.heard])
    sent = [each for each in house.probe.heard if "/request/" in each.topic]
    told = everything
    for each in sent:
        told = told.replace(str(each.payload), "")
    assert "314159265358" not in told
    assert PIN not in house.daemon.log
    assert DURESS_PIN not in house.daemon.log
    assert CARD not in house.daemon.log
    path = house.folder / "ostiary.db"
    with closing(sqlite3.connect(path)) as connection:
        dump = "\n".join(connection.iterdump())
    for pin in (PIN, "314159265358"):
        assert pin not in dump
        assert pin.encode().hex().upper() not in dump  # as bytes are dumped


def test_a_door_forced_open_alarms_until_it_is_over(house: House) -> None:
    house.contact("open")
    house.wait_door("forced")
    state = house.wait_state("forced")
    assert state["alarm"] is True
    house.wait_door("held_open")
    house.contact("closed")
    house.wait_door("alarm_over")
    assert house.wait_state("locked")["alarm"] is False


def test_an_alarm_is_silenced_and_the_door_still_forced(house: House) -> None:
    house.contact("open")
    house.wait_state("forced")
    shown = house.ask("door", action="silence")["door"]
    assert (shown["alarm"], shown["state"]) == (False, "forced")
    assert house.wait_door("silenced")["by"] == "mqtt"


def test_a_door_opened_from_afar_and_left_open_is_held_open(house: House) -> None:
    house.ask("door", action="open")
    assert house.wait_door("released")["by"] == "mqtt"
    house.contact("open")
    house.wait_door("opened")
    house.wait_door("held_open")
    house.contact("closed")
    house.wait_door("alarm_over")
    assert not [each for each in house.probe.of(DOOR_EVENT) if each.json["what"] == "forced"]


def test_a_lockdown_lets_nobody_in_says_so_and_outlives_a_kill(
    tmp_path: Path, broker: Mosquitto, models: Path, portraits: Path
) -> None:
    with House(tmp_path, broker.port, models, []) as house:
        house.people(portraits, "obama")
        house.rule("pin")
        house.ask("set_pin", username="obama", pin=PIN)
        assert house.ask("door", action="lockdown")["door"]["mode"] == "lockdown"
        assert house.ask("credential", pin=PIN)["outcome"] == "denied"
        house.wait_login("lockdown", "obama")
        assert house.refused("door", action="open") == "not_allowed"
        house.daemon.send(signal.SIGKILL)
        house.daemon.wait(60)
        with house.probe._changed:
            house.probe.heard.clear()
        house.daemon.__enter__()
        house.probe.wait_for(f"{BASE}/availability", b"online")
        house.probe.wait_until(
            lambda: any(each.json["mode"] == "lockdown" for each in house.probe.of(ENTRANCE))
        )
        assert house.ask("credential", pin=PIN)["outcome"] == "denied"
        house.ask("door", action="lock")
        assert house.ask("credential", pin=PIN)["outcome"] == "granted"


def test_a_contact_that_is_not_heard_is_a_fault_and_takes_unlocked_back(house: House) -> None:
    house.ask("door", action="unlock")
    house.wait_state("unlocked")
    house.probe.send("zigbee2mqtt/front", "nonsense")
    house.wait_state("fault")
    assert house.wait_door("fault")["by"] == "contact"
    assert house.probe.of(ENTRANCE)[-1].json["lock"] == "locked"
    house.contact("closed")
    house.wait_state("unlocked")


def test_a_sensor_that_zigbee2mqtt_calls_offline_is_a_fault_until_it_says_something(
    house: House,
) -> None:
    house.ask("door", action="unlock")
    house.wait_state("unlocked")
    house.probe.send("zigbee2mqtt/front", '{"battery": 97}')
    house.probe.send("zigbee2mqtt/front/availability", '{"state":"offline"}')
    house.wait_state("fault")
    house.probe.send("zigbee2mqtt/front/availability", '{"state":"online"}')
    house.probe.send("zigbee2mqtt/front", '{"contact": true, "battery": 97}')
    house.wait_state("unlocked")
    house.probe.send("zigbee2mqtt/bridge/state", '{"state":"offline"}')
    house.wait_state("fault")


def test_a_card_is_given_by_holding_it_to_the_reader_and_opens_nothing_meanwhile(
    house: House,
) -> None:
    answers: list[Any] = []
    asking = threading.Thread(
        target=lambda: answers.append(house.ask("add_card", username="obama", door="front"))
    )
    asking.start()
    time.sleep(3.0)  # the daemon waits for a card by then
    house.type("0000999777\n", pace_s=0.004)
    asking.join()
    assert answers == [{"username": "obama", "cards": 1}]
    assert house.logins() == []
    assert house.ask("remove_card", username="obama")["cards"] == 0


def test_the_command_line_says_how_the_door_is_and_runs_it(house: House) -> None:
    config = house.daemon.config
    listed = ostiary("door", "list", config=config)
    assert (listed.returncode, listed.stdout) == (0, "front: locked, mode normal\n")
    assert "mode lockdown" in ostiary("door", "set", "lockdown", config=config).stdout
    locked = ostiary("door", "set", "lock", "--door", "front", config=config)
    assert "mode normal" in locked.stdout
    ostiary("users", "card", "biden", typed="4096081\n", config=config)
    has = ostiary("users", "credentials", "biden", config=config)
    assert (has.returncode, has.stdout) == (0, "biden: 2 card(s)\n")
    house.ask("remove_card", username="biden", card="4096081")


def test_anti_passback_and_two_people_by_credential_over_a_restart(
    tmp_path: Path, broker: Mosquitto, models: Path, portraits: Path
) -> None:
    with House(tmp_path, broker.port, models, []) as house:
        # One camera, which sees people go in.
        config = tmp_path / "ostiary.toml"
        text = config.read_text(encoding="utf-8")
        config.write_text(text.replace("fps = 8", 'fps = 8\ndirection = "in"', 1))
        house.people(portraits, "obama", "biden")
        house.rule("pin", anti_passback=True)
        house.ask("set_pin", username="obama", pin=PIN)
        house.ask("set_pin", username="biden", pin="902736")
        for _ in range(2):  # the second time it knows which way the camera looks
            house.daemon.send(signal.SIGKILL)
            house.daemon.wait(60)
            house.daemon.__enter__()
            house.probe.wait_until(lambda: bool(house.probe.of(ENTRANCE)))
            house.probe.wait_for(f"{BASE}/availability", b"online")
            outcome = house.ask("credential", pin=PIN)["outcome"]
        assert outcome == "denied"
        house.wait_login("granted", "obama")
        house.wait_login("passed_back", "obama")
        house.ask("door", action="forgive")
        assert house.ask("credential", pin=PIN)["outcome"] == "granted"
        house.ask("door", action="forgive")
        house.rule("pin", two_person=True)
        assert house.ask("credential", pin=PIN)["outcome"] == "waiting"
        assert house.ask("credential", pin="902736")["outcome"] == "granted"
        house.wait_login("granted", "biden")
        assert house.ask("credential", pin=PIN)["outcome"] == "waiting"
        house.wait_login("second_person_missing", "obama")


def test_bad_input_is_refused_and_says_what_to_do(house: House) -> None:
    assert house.refused("set_pin", username="nobody", pin=PIN) == "user_unknown"
    assert house.refused("set_pin", username="biden", pin="1234") == "pin_weak"
    assert house.refused("set_pin", username="biden", pin="111111") == "pin_weak"
    assert house.refused("set_pin", username="biden", pin="12a4") == "pin_weak"
    assert house.refused("set_pin", username="biden", pin=PIN) == "pin_weak"  # somebody's
    assert house.refused("set_pin", username="obama", pin=PIN, duress=True) == "pin_weak"
    assert house.refused("set_pin", username="biden", pin=4711) == "request_malformed"
    assert house.refused("add_card", username="obama", card=CARD) == "card_taken"
    assert house.refused("remove_card", username="obama", card="1") == "credential_unknown"
    assert house.refused("credential", door="back", pin=PIN) == "door_unknown"
    assert house.refused("credential") == "request_malformed"
    assert house.refused("contact", contact="ajar") == "request_malformed"
    held = house.ask("credentials", username="obama")
    assert held == {"username": "obama", "pin": True, "duress": True, "cards": 0}


def test_face_and_pin_in_either_order_and_neither_alone(
    tmp_path: Path, broker: Mosquitto, models: Path, portraits: Path
) -> None:
    with House(tmp_path, broker.port, models, [portraits / "obama.jpg"]) as house:
        house.people(portraits, "obama", "biden")
        house.rule("face+pin")
        house.ask("set_pin", username="obama", pin=PIN)
        house.ask("set_pin", username="biden", pin="902736")
        house.wait_login("credential_missing", "obama")
        assert not house.probe.of(DOOR)
        # He has stayed longer than the door waits. His own PIN helps, that of another does not.
        waits = threading.Event()
        outcomes = []
        for _ in range(40):
            outcomes.append(house.ask("credential", pin=PIN, username="obama")["outcome"])
            if outcomes[-1] == "granted" or ("granted", "obama") in house.logins():
                break
            waits.wait(0.5)
        house.wait_login("granted", "obama")
        house.ask("credential", pin="902736", username="biden")
        house.wait_login("face_missing", "biden")
        assert ("granted", "biden") not in house.logins()
