"""The demo from beginning to end."""

import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

from rich.console import Console

from demo import daemon
from demo.broker import embedded_broker
from demo.door import Door
from demo.errors import PortraitMissing
from demo.scenes import ENROLMENT_PORTRAIT, REGISTERED, Scene, empty_room, visitors
from demo.screen import Screen
from demo.sheet import write_sheet
from demo.stream import Camera, write_clip
from demo.verdict import Outcome
from ostiary.messages.events import LoginEvent
from ostiary.mqtt.topics import Topics
from ostiary.vision.detect import YuNetDetector
from ostiary.vision.models import YUNET, model_path, models_directory, needed_files

ONLINE_WITHIN_S = 120.0
SCENE_S = 3.0
ANSWER_WITHIN_S = 60.0
EMPTY_S = 2.0
"""Longer than the door remembers a face that has left (1 s), so that every visitor is new."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Where the demo takes things from and puts them. `samples` may have the replay sample."""

    output: Path
    portraits: Path
    samples: Path
    models: Path | None = None
    keep: bool = False


def run(plan: Plan, console: Console) -> bool:
    """Play every scene to a real door. True when every answer was as it should be.

    Raises DemoError, or OstiaryError for a missing model, with what to do.
    """
    screen = Screen(console)
    models = models_directory(plan.models)
    for name in needed_files("sface", "ensemble"):
        model_path(models, name)
    portrait = plan.portraits / ENROLMENT_PORTRAIT
    if not portrait.is_file():
        raise PortraitMissing(portrait)
    output = plan.output.resolve()
    output.mkdir(parents=True, exist_ok=True)

    with screen.working("making the scenes from the portraits"):
        nobody = empty_room()
        scenes = visitors(plan.portraits, plan.samples)
        write_clip(output / "clip.avi", [part for scene in scenes for part in (nobody, scene)])

    with ExitStack() as stack:
        port = stack.enter_context(embedded_broker(output))
        camera = stack.enter_context(Camera(nobody))
        config = daemon.write_config(output, camera.url, port, models)
        topics = Topics(f"ostiary/{daemon.DEVICE}")
        door = stack.enter_context(Door(port, topics))
        process = stack.enter_context(daemon.running(config, output / "daemon.log"))
        begin = time.monotonic()
        with screen.working(f"starting the daemon (MQTT on 127.0.0.1:{port})"):
            door.wait_online(ONLINE_WITHIN_S, process.check)
        screen.online(process.pid, time.monotonic() - begin)
        answer = door.register(REGISTERED, portrait.read_bytes())
        screen.registered(REGISTERED, portrait.name, answer["message"])

        theatre = Theatre(nobody, camera, door, process, screen)
        outcomes = []
        for scene in (nobody, *scenes):
            outcomes.append(theatre.play(scene))
            screen.judged(outcomes[-1])
        sheet = output / "sheet.png"
        write_sheet(sheet, outcomes, YuNetDetector(model_path(models, YUNET)))
        screen.summary(outcomes, sheet)
        if plan.keep:
            screen.keeping(port, camera.url, config, process.log, topics.base)
            with suppress(KeyboardInterrupt):
                for scene in cycle(scenes):
                    theatre.play(scene)
    return all(outcome.as_expected for outcome in outcomes)


@dataclass(frozen=True, slots=True)
class Theatre:
    """Puts scenes before the camera and listens to what the door says."""

    nobody: Scene
    camera: Camera
    door: Door
    process: daemon.Daemon
    screen: Screen

    def play(self, scene: Scene) -> Outcome:
        """Show one scene, then an empty room until the door has forgotten it.

        The scene stays until there is an answer, so that a slow machine answers late and not
        wrongly; and for its full length, so that a second answer that contradicts it is seen.
        """
        self.screen.scene(scene)
        self.camera.show(scene)
        begin = time.monotonic()
        events = self._listen(until=begin + SCENE_S)
        while scene.expected is not None and not events:
            if time.monotonic() > begin + ANSWER_WITHIN_S:
                break
            events += self._listen(until=time.monotonic() + 0.2)
        self.camera.show(self.nobody)
        events += self._listen(until=time.monotonic() + EMPTY_S)
        return Outcome(scene, tuple(events), self.door.risk)

    def _listen(self, until: float) -> list[LoginEvent]:
        """Every event until that moment (monotonic seconds). DemoError when the daemon ends."""
        events = []
        while (left := until - time.monotonic()) > 0:
            self.process.check()
            event = self.door.next_event(min(left, 0.2))
            if event is not None:
                self.screen.event(event, self.door.risk)
                events.append(event)
        return events
