"""Measures how often each kind of visitor passes a challenge, and how long it takes: `python -m
bench.challenges`.

Rendered heads (`demo.turner`) on a simulated clock, real networks, real judging. Prints one JSON
line for each kind of person or attack: how many tried, how many passed, and the median time of
those. It takes a few minutes; rendering is most of it.
"""

import json
import random
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median

import cv2
import numpy as np

from bench.harness import MODELS
from demo.portraits import Portrait
from demo.room import with_sensor_noise
from demo.scenes import JPEG_QUALITY
from demo.turner import (
    STRAIGHT,
    Performer,
    Person,
    Photo,
    Posture,
    Still,
    Swapped,
    Turner,
    waved,
)
from ostiary.decision.challenge import SEQUENCES, Challenge, Look, begin, step
from ostiary.decision.policy import Policy
from ostiary.decision.presentation import share
from ostiary.decision.probe import distance
from ostiary.decision.risk import Risk
from ostiary.decision.roster import Roster
from ostiary.decision.vote import Observation
from ostiary.messages.words import Prompt
from ostiary.settings import VisionSettings
from ostiary.vision.arrays import BGRImage
from ostiary.vision.engine import VisionEngine
from ostiary.vision.image import encode_jpeg
from ostiary.vision.pose import Pose, landmarks_of, pose_of

PORTRAITS = Path("resources/portraits")
POLICY = Policy()
NOISES = 4
FPS = 10.0
REGISTERED = {"obama": "obama.jpg", "biden": "biden.jpg"}
SEEN = {"obama.jpg": "obama", "obama2.jpg": "obama", "obama3.jpg": "obama", "biden.jpg": "biden"}

Sight = tuple[Pose | None, Observation | None]
Plays = Callable[[Prompt | None, float], BGRImage]
"""What the camera sees while that is asked, at so many seconds."""


@dataclass
class Judge:
    """The networks, and who is registered."""

    engine: VisionEngine
    roster: Roster
    known: dict[int, Sight] = field(default_factory=dict)

    @classmethod
    def load(cls) -> "Judge":
        engine = VisionEngine.load(VisionSettings(models=MODELS))
        roster = Roster("sface", {"sface": engine.recognizer.rates}, Risk())
        for name, file in REGISTERED.items():
            image = np.asarray(cv2.imread(str(PORTRAITS / file)), np.uint8)
            face, *_ = engine.detect(image)
            roster.put(name, [("sface", engine.describe(image, face))])
        return cls(engine, roster)

    def look(self, picture: BGRImage, number: int) -> Sight:
        """What a frame shows; a picture with the same noise is judged once."""
        key = hash((picture[::7, ::7].tobytes(), number % NOISES))
        if key not in self.known:
            self.known[key] = self._look(picture, number % NOISES)
        return self.known[key]

    def _look(self, picture: BGRImage, noise: int) -> Sight:
        jpeg = encode_jpeg(with_sensor_noise(picture, noise), JPEG_QUALITY)
        seen = np.asarray(cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR), np.uint8)
        faces = self.engine.detect(seen)
        if not faces:
            return None, None
        landmarks = landmarks_of(self.engine.detector, seen, faces[0])
        pose = None if landmarks is None else pose_of(landmarks)
        quality = self.engine.quality(seen, faces[0])
        if not quality.good:
            return pose, None
        describe = partial(self.engine.describe, seen, faces[0])
        probe, nearest = self.roster.identify(describe, quality.weight)
        return pose, Observation(self.engine.live_score(seen, faces[0]), nearest, probe)

    def challenge(
        self, who: str, movements: Sequence[Prompt], plays: Plays, fps: float = FPS
    ) -> tuple[Challenge, float]:
        """A whole challenge; and how long it took, seconds."""
        asked = begin(who, movements, 0.0)
        number, now = 0, 0.0
        while not asked.is_over:
            number += 1
            now = number / fps
            pose, seen = self.look(plays(asked.prompt, now), number)
            if pose is not None or seen is not None or now >= POLICY.challenge_s:
                asked = step(asked, Look(now, pose, seen), POLICY, self.roster.is_one_person)
        return asked, now


@dataclass
class Tally:
    """Challenges of one kind."""

    kind: str
    passed_s: list[float] = field(default_factory=list)
    failures: Counter[str] = field(default_factory=Counter)

    def add(self, asked: Challenge, took: float) -> None:
        if asked.failure is None:
            self.passed_s.append(took)
        else:
            self.failures[asked.failure] += 1

    def line(self) -> str:
        tries = len(self.passed_s) + sum(self.failures.values())
        rate = share(len(self.passed_s), tries)
        return json.dumps(
            {
                "challenge": self.kind,
                "tries": tries,
                "passed": len(self.passed_s),
                "rate": round(rate.value, 3),
                "low": round(rate.low, 3),
                "high": round(rate.high, 3),
                "median_s": round(median(self.passed_s), 1) if self.passed_s else None,
                "failures": dict(self.failures),
            },
            ensure_ascii=False,
        )


def doing(performer: Performer) -> Plays:
    """Somebody who follows each prompt once."""
    heard: list[Prompt | None] = [None]

    def plays(prompt: Prompt | None, now: float) -> BGRImage:
        if prompt is not heard[0]:
            heard[0] = prompt
            performer.asked(prompt, now)
        return performer.person.seen_in(performer.posture(now))

    return plays


def recorded(judge: Judge, who: str, person: Person, movements: Sequence[Prompt]) -> list[Posture]:
    """How somebody held their head, frame by frame, while taking that challenge."""
    performer = Performer(person)
    held: list[Posture] = []
    live = doing(performer)

    def plays(prompt: Prompt | None, now: float) -> BGRImage:
        picture = live(prompt, now)
        held.append(performer.posture(now))
        return picture

    judge.challenge(who, movements, plays)
    return held


def waving(person: Turner, chance: random.Random) -> Plays:
    """A hand that moves a picture about in every way, at random."""
    speeds = [chance.uniform(0.2, 0.8) for _ in range(5)]
    phases = [chance.uniform(0, 6.3) for _ in range(5)]

    def plays(_prompt: Prompt | None, now: float) -> BGRImage:
        yaw, pitch, roll, zoom, shift = (
            np.sin(6.3 * speed * now + phase) for speed, phase in zip(speeds, phases, strict=True)
        )
        posture = Posture(45 * yaw, 35 * pitch, 1.1 + 0.3 * zoom)
        return waved(person.head, posture, 15 * roll, 0.4 * shift)

    return plays


def measured(judge: Judge) -> Iterator[Tally]:
    """Measure every kind, one after the other."""
    people = {
        name: Turner.of(Portrait.load(PORTRAITS / name), judge.engine.detector) for name in SEEN
    }
    for strength in (0.6, 0.8, 1.0, 1.2):
        for fps in (5.0, 10.0) if strength == 1.0 else (10.0,):
            tally = Tally(
                f"person, {34 * strength:.0f}° to the side, {26 * strength:.0f}° down, "
                f"{fps:.0f} frames a second"
            )
            for name, person in people.items():
                for movements in SEQUENCES:
                    performer = Performer(person, strength=strength)
                    tally.add(*judge.challenge(SEEN[name], movements, doing(performer), fps))
            yield tally
    obama, biden = people["obama3.jpg"], people["biden.jpg"]
    for kind, held in (
        ("still", Still(obama.head)),
        ("photo turned by hand as asked", Photo(obama.head)),
        ("another person does the movements", Swapped(obama, biden)),
    ):
        tally = Tally(kind)
        for movements in SEQUENCES:
            tally.add(*judge.challenge("obama", movements, doing(Performer(held))))
        yield tally
    chance = random.Random(11)
    tally = Tally("photo waved about")
    for number in range(20):
        movements = SEQUENCES[number % len(SEQUENCES)]
        tally.add(*judge.challenge("obama", movements, waving(obama, chance)))
    yield tally
    yield from replays(judge, obama, chance)
    yield noise(judge, obama, chance)


def replays(judge: Judge, person: Turner, chance: random.Random) -> Iterator[Tally]:
    """Clips of every challenge before every challenge, from their beginning or any other moment."""
    clips = {each: recorded(judge, "obama", person, each) for each in SEQUENCES}
    same, other = Tally("replay of the same challenge"), Tally("replay of another challenge")
    looped = Tally("replay of any challenge again and again, come upon at any moment")
    for asked in SEQUENCES:
        for shown, clip in clips.items():
            whole = judge.challenge("obama", asked, _playing(person, clip, 0))
            (same if asked == shown else other).add(*whole)
            start = chance.randrange(len(clip))
            looped.add(*judge.challenge("obama", asked, _playing(person, clip, start)))
    yield same
    yield other
    yield looped


def noise(judge: Judge, person: Turner, chance: random.Random, tries: int = 1000) -> Tally:
    """A still whose landmarks jump about, three times as much as the sensor's noise makes them."""
    pose, seen = judge.look(person.head.image, 0)
    assert pose is not None
    tally = Tally("still with landmarks that jump about")
    for number in range(tries):
        asked = begin("obama", SEQUENCES[number % len(SEQUENCES)], 0.0)
        now = 0.0
        while not asked.is_over:
            now += 1 / FPS
            jumping = Pose(
                pose.turn + chance.gauss(0, 0.04),
                pose.nod + chance.gauss(0, 0.03),
                pose.size * chance.gauss(1, 0.03),
            )
            asked = step(asked, Look(now, jumping, seen), POLICY, judge.roster.is_one_person)
        tally.add(asked, now)
    return tally


def _playing(person: Turner, clip: Sequence[Posture], start: int) -> Plays:
    """The clip from a frame on, in a loop, and its first frame at the loop's end."""

    def plays(_prompt: Prompt | None, now: float) -> BGRImage:
        return person.seen_in(clip[(start + round(now * FPS)) % len(clip)] if clip else STRAIGHT)

    return plays


def turned(judge: Judge) -> Iterator[str]:
    """What liveness and recognition make of turned heads."""
    people = [Turner.of(Portrait.load(PORTRAITS / name), judge.engine.detector) for name in SEEN]
    for yaw, pitch in ((0, 0), (10, 0), (20, 0), (30, 0), (40, 0), (0, 10), (0, 20), (0, 30)):
        sights = [
            (
                judge.look(each.seen_in(STRAIGHT), 0),
                judge.look(each.seen_in(Posture(way, pitch)), 0),
            )
            for each in people
            for way in {yaw, -yaw}
        ]
        judged = [
            (seen, straight)
            for (_, straight), (_, seen) in sights
            if seen is not None and straight is not None
        ]
        apart = [
            distance(seen.probe, straight.probe, "sface")
            for seen, straight in judged
            if seen.probe is not None and straight.probe is not None
        ]
        yield json.dumps(
            {
                "turned": f"{yaw}° to the side, {pitch}° down",
                "heads": len(sights),
                "judged": len(judged),
                "least_live": round(min(seen.liveness for seen, _ in judged), 3),
                "farthest_from_straight": round(max(each or 0.0 for each in apart), 2),
                "limit": round(judge.roster.one_person_distance, 2),
            },
            ensure_ascii=False,
        )


def main() -> None:
    judge = Judge.load()
    for line in turned(judge):
        sys.stdout.write(line + "\n")
    for tally in measured(judge):
        sys.stdout.write(tally.line() + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
