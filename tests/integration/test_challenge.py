"""A rendered head before the real daemon: what passes a challenge, and what does not.

Rendered, not filmed (`demo.head`). The person hears the prompt as everybody does, over MQTT.
"""

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from demo.portraits import Portrait
from demo.turner import Mirrored, Performer, Person, Photo, Stage, Still, Swapped, Turner, as_asked
from ostiary.messages.words import Prompt
from ostiary.vision.engine import VisionEngine
from testing.broker import Mosquitto
from testing.cameras import until
from testing.daemon import BASE, DaemonProcess, write_config
from testing.probe import Heard, Probe
from testing.waiting import wait_until

LOGIN, PROMPT = f"{BASE}/event/login", f"{BASE}/door/prompt"
ENROL = "[commands]\nallow_unverified_enrolment = true"
ALWAYS = '[access]\nchallenge = "always"\nchallenge_s = 60\ndecide_within_s = 60'
SHORT = '[access]\nchallenge = "always"\nchallenge_s = 5\ndecide_within_s = 60'
ANOTHER = {
    Prompt.TURN_LEFT: Prompt.TURN_RIGHT,
    Prompt.TURN_RIGHT: Prompt.TURN_LEFT,
    Prompt.NOD: Prompt.TURN_LEFT,
    Prompt.COME_CLOSER: Prompt.TURN_LEFT,
}


@dataclass(frozen=True)
class People:
    """Obama, who is registered from another picture than the one that is seen; and Biden."""

    obama: Turner
    biden: Turner
    portraits: Path


@pytest.fixture(scope="module")
def people(engine: VisionEngine, portraits: Path) -> People:
    obama, biden = (
        Turner.of(Portrait.load(portraits / name), engine.detector)
        for name in ("obama3.jpg", "biden.jpg")
    )
    for each in (obama, biden):
        each.rehearse()
    return People(obama, biden, portraits)


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path_factory.mktemp("broker")) as mosquitto:
        yield mosquitto


@dataclass
class Door:
    """A running door, what it says, and the stage before its camera."""

    stage: Stage
    probe: Probe
    daemon: DaemonProcess

    def performs(self, person: Person, answer: Any = as_asked) -> None:
        self.stage.performer = Performer(person, answer)

    def decision(self) -> dict[str, Any]:
        """The first decision that is not a starved machine's, which loses sight of who stands there
        and asks again."""

        def decided() -> list[dict[str, Any]]:
            return [
                heard.json
                for heard in self.probe.of(LOGIN)
                if heard.json["reason"] != "challenge_paused" and self._why(heard.json) != "gone"
            ]

        return wait_until(decided, "a decision", 150)[0]

    def asked(self) -> list[str | None]:
        """Every prompt since the last challenge began, once nothing is asked any more."""

        def prompts() -> list[str | None]:
            return [heard.json["prompt"] for heard in self.probe.of(PROMPT)]

        self.probe.wait_until(lambda: prompts()[2:] != [] and prompts()[-1] is None)
        *earlier, _ = prompts()
        begun = max(number for number, prompt in enumerate(earlier) if prompt is None)
        return prompts()[begun:]

    def why(self) -> str | None:
        """Why that challenge was not passed, or that it was, as the journal has it."""
        return self._why(self.decision())

    def _why(self, decided: dict[str, Any]) -> str | None:
        mine = f'"seq": {decided["seq"]},'
        until(lambda: mine in self.daemon.log)
        line = next(line for line in self.daemon.log.splitlines() if mine in line)
        why: str | None = json.loads(line)["challenge"]
        return why


@contextmanager
def door(
    folder: Path, broker: Mosquitto, models: Path, people: People, access: str, **camera: Any
) -> Iterator[Door]:
    """`camera` are settings of the camera besides the usual ones."""
    stage = Stage()

    def hear(heard: Heard) -> None:
        if heard.topic == PROMPT and stage.performer is not None:
            said = heard.json["prompt"]
            stage.performer.asked(Prompt(said) if said else None, heard.at)

    with stage, Probe(broker.port, f"{BASE}/#", heard=hear) as probe:
        config = write_config(folder, broker.port, models, stage.url, f"{access}\n{ENROL}")
        cameras = json.dumps([{"name": "front", "source": stage.url, **camera}])
        with DaemonProcess(config, OSTIARY_CAMERAS=cameras) as daemon:
            probe.wait_for(f"{BASE}/availability", b"online")
            picture = (people.portraits / "obama.jpg").read_bytes()
            image = base64.b64encode(picture).decode()
            request = {"username": "obama", "image": image, "require_live": False}
            answer = probe.ask(BASE, "register", request, 60)
            assert answer["status"] == "ok", answer
            yield Door(stage, probe, daemon)


def test_a_challenge_is_passed_by_a_head_that_does_what_the_prompt_asks(
    tmp_path: Path, broker: Mosquitto, models: Path, people: People
) -> None:
    with door(tmp_path, broker, models, people, ALWAYS) as opened:
        opened.performs(people.obama)
        decided = opened.decision()
        assert (decided["reason"], decided["username"]) == ("granted", "obama")
        assert opened.why() == "passed"
        opened.probe.wait(f"{BASE}/door")
        first, look, one, back, two, again, last = opened.asked()
        assert (first, last) == (None, None)
        assert {look, back, again} == {"look_front"}
        assert one != two
        assert {one, two} & {"turn_left", "turn_right"}
        heard = opened.probe.of(PROMPT)[1]
        assert heard.expiry_s is not None
        assert 50 <= heard.expiry_s <= 60
        assert "obama" not in json.dumps([each.json for each in opened.probe.of(PROMPT)])


def test_a_challenge_before_a_camera_that_mirrors_means_ones_own_left_and_right(
    tmp_path: Path, broker: Mosquitto, models: Path, people: People
) -> None:
    with door(tmp_path, broker, models, people, ALWAYS, mirrored=True) as opened:
        opened.performs(Mirrored(people.obama))
        assert opened.decision()["reason"] == "granted"
        assert opened.why() == "passed"


@pytest.mark.parametrize("kind", [Still, Photo], ids=["still", "photo_waved_by_hand"])
def test_a_challenge_is_not_passed_by_a_picture(
    tmp_path: Path, broker: Mosquitto, models: Path, people: People, kind: Any
) -> None:
    with door(tmp_path, broker, models, people, SHORT) as opened:
        opened.performs(kind(people.obama.head))
        decided = opened.decision()
        assert decided["success"] is False
        assert decided["reason"] == "challenge_timeout"
        assert decided["username"] == "obama"
        assert "look_front" in opened.asked()
        assert not opened.probe.of(f"{BASE}/door")


def test_a_challenge_is_failed_by_a_replay_of_another_one(
    tmp_path: Path, broker: Mosquitto, models: Path, people: People
) -> None:
    with door(tmp_path, broker, models, people, ALWAYS) as opened:
        opened.performs(people.obama, ANOTHER.__getitem__)
        decided = opened.decision()
        assert (decided["success"], decided["reason"]) == (False, "challenge_failed")
        assert opened.why() == "another_movement"


def test_a_challenge_is_not_passed_by_a_nod_where_another_movement_is_asked(
    tmp_path: Path, broker: Mosquitto, models: Path, people: People
) -> None:
    """A nod is a small thing to see: it fails the challenge at once, or the time runs out."""
    with door(tmp_path, broker, models, people, SHORT) as opened:
        opened.performs(
            people.obama, lambda asked: ANOTHER[Prompt.NOD] if asked is Prompt.NOD else Prompt.NOD
        )
        decided = opened.decision()
        assert decided["success"] is False
        assert decided["reason"] in {"challenge_failed", "challenge_timeout"}
        assert not opened.probe.of(f"{BASE}/door")


def test_a_challenge_is_failed_by_another_person_who_does_the_movements(
    tmp_path: Path, broker: Mosquitto, models: Path, people: People
) -> None:
    with door(tmp_path, broker, models, people, ALWAYS) as opened:
        opened.performs(Swapped(people.obama, people.biden))
        decided = opened.decision()
        assert decided["success"] is False
        assert decided["reason"] == "challenge_failed"
        assert opened.why() == "another_face"
        assert not opened.probe.of(f"{BASE}/door")


def test_a_challenge_that_a_rule_wants_is_asked_of_its_group_only(
    tmp_path: Path, broker: Mosquitto, models: Path, people: People
) -> None:
    with door(
        tmp_path, broker, models, people, '[access]\nchallenge = "off"\nchallenge_s = 60'
    ) as opened:
        for command, request in (
            ("set_group", {"group": "night"}),
            ("set_rule", {"rule": {"name": "by night", "groups": ["night"], "step_up": True}}),
            ("set_access", {"username": "obama", "groups": ["night"]}),
        ):
            answer = opened.probe.ask(BASE, command, request)
            assert answer["status"] == "ok", answer
        opened.performs(people.obama)
        decided = opened.decision()
        assert (decided["reason"], decided["username"]) == ("granted", "obama")
        assert opened.why() == "passed"


def test_a_face_that_is_not_clearly_live_may_take_a_challenge_instead_of_uncertain(
    tmp_path: Path, broker: Mosquitto, models: Path, people: People
) -> None:
    """Nothing is as live as 1: so every frame is uncertain."""
    access = '[access]\nchallenge = "uncertain"\nchallenge_s = 60\nlive_threshold = 1.0\n'
    access += "decide_within_s = 1"
    with door(tmp_path, broker, models, people, access) as opened:
        opened.performs(people.obama)
        decided = opened.decision()
        assert (decided["reason"], decided["username"]) == ("granted", "obama")
        assert opened.why() == "passed"
