"""PINs against whoever overhears, repeats, guesses and floods."""

import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from ostiary.clock import utc_now
from ostiary.hardware.keypad import Entry
from ostiary.mqtt.signing import Signer
from ostiary.people.credential_check import Outcome
from ostiary.vision.engine import VisionEngine
from testing.broker import Mosquitto
from testing.doorway import Doorway, door_settings
from testing.house import BASE, House
from testing.probe import Probe
from testing.waiting import wait_until

SIGNER = Signer(b"a key that both sides have, 32 bytes", timedelta(seconds=60))
CREDENTIAL = f"{BASE}/request/credential"
ANSWER = f"{BASE}/response/credential"
PIN = "471108"


class Counting:
    """Lets in, and counts."""

    def __init__(self) -> None:
        self.presented: list[str] = []

    def present(self, door: str, _entry: Entry, _claimed: str | None = None) -> Outcome:
        self.presented.append(door)
        return "granted"

    def next_card(self, door: str, timeout_s: float) -> str:
        raise NotImplementedError


def test_a_signed_credential_that_was_overheard_opens_nothing_when_it_is_sent_again(
    tmp_path: Path, broker: Mosquitto, engine: VisionEngine
) -> None:
    key = tmp_path / "key"
    key.write_bytes(SIGNER.key)
    commands = {"signed": True, "signing_key_file": key}
    settings = door_settings(tmp_path, broker.port, commands=commands)
    counting = Counting()
    data = SIGNER.sign(CREDENTIAL, f'{{"pin": "{PIN}"}}', utc_now()).model_dump_json().encode()
    with (
        Doorway(settings, engine, doors={"front": None}, credential_check=counting),
        Probe(broker.port, f"{BASE}/response/#") as probe,
    ):
        probe.send(CREDENTIAL, data)
        assert probe.wait(ANSWER)[0].json["data"]["outcome"] == "granted"
        for _ in range(5):
            probe.send(CREDENTIAL, data)
        answers = [heard.json for heard in probe.wait(ANSWER, 6)[1:]]
        assert {each["error"]["code"] for each in answers} == {"signature_invalid"}
    assert counting.presented == ["front"]


@pytest.fixture(scope="module")
def house(
    tmp_path_factory: pytest.TempPathFactory, models: Path, portraits: Path
) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("house")
    with (
        Mosquitto(folder / "broker") as broker,
        House(folder, broker.port, models, []) as running,
    ):
        running.people(portraits, "obama")
        running.rule("pin")
        running.ask("set_pin", username="obama", pin=PIN)
        yield running


def test_a_credential_with_its_transaction_sent_again_opens_once(house: House) -> None:
    request = {"pin": PIN, "transaction": "overheard"}
    for _ in range(5):
        house.probe.send(CREDENTIAL, request)
    answers = [heard.json for heard in house.probe.wait(ANSWER, 5)]
    assert {each["data"]["outcome"] for each in answers} == {"granted"}
    assert house.ask("events", kind="login", reason="granted", limit=10)["events"].__len__() == 1
    # The same transaction with another PIN is no way to try one.
    house.probe.send(CREDENTIAL, {"pin": "111222", "transaction": "overheard"})
    assert house.probe.wait(ANSWER, 6)[-1].json["error"]["code"] == "transaction_conflict"


def test_a_flood_of_credentials_from_many_clients_gets_three_tries_and_stops_nothing_else(
    house: House,
) -> None:
    port = house.probe._port
    gate = threading.Barrier(6)

    def guess(client: int) -> None:
        with Probe(port) as mine:
            gate.wait()
            for number in range(20):  # all are answered before the first lock, of a minute, ends
                mine.send(CREDENTIAL, {"pin": f"{client}{number:05d}"})

    clients = [threading.Thread(target=guess, args=(each + 1,)) for each in range(6)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    wait_until(lambda: house.probe.ask(BASE, "ping", {})["status"] == "ok", "an answer amid them")
    # An event is told after its command is answered.
    house.wait_login("locked_out")
    reasons = [reason for reason, _ in house.logins()]
    assert reasons.count("wrong_credential") == 3
    assert reasons.count("locked_out") == 1
    assert house.ask("credential", pin=PIN)["outcome"] == "denied"
    # Whoever runs the door still does.
    assert house.ask("door", action="open")["door"]["lock"] == "unlocked"
