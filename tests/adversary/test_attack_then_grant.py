"""Photos are held before the camera until one passes, or until the right person comes."""

import time
from pathlib import Path

from ostiary.vision.engine import VisionEngine
from testing.cameras import until
from testing.recognizing import recognizing
from testing.rules import policy
from testing.waiting import PATIENCE_S

FPS = 10
PAUSE_S = 10.0
"""After two attacks; within it a slow machine has to see three frames of the person."""


def test_nobody_is_let_in_on_the_heels_of_a_row_of_attacks(
    tmp_path: Path, engine: VisionEngine, portraits: Path, samples: Path
) -> None:
    """The attack goes on until it was told twice; then the person stands there."""
    attack = (samples / "replay_attack.jpg").read_bytes()
    person = (portraits / "obama2.jpg").read_bytes()
    known = [portraits / "obama.jpg"]
    rules = policy(
        attack_again_s=3.0,
        attack_pause_first_s=PAUSE_S / 2,  # the second attack doubles it
        cooldown_s=1.0,
        decide_within_s=PATIENCE_S,
        forget_after_s=10.0,
    )
    with recognizing(tmp_path, engine, [attack], known, rules, fps=FPS, loop=True) as door:
        until(lambda: "presentation_attack" in door.reasons)
        assert door.recognition.memory.is_attacked(time.monotonic())
        # An attack that goes on is told again.
        until(lambda: door.reasons.count("presentation_attack") >= 2)
        now_shows(tmp_path / "camera", person)
        until(lambda: "after_attack" in door.reasons)
        until(lambda: "granted" in door.reasons)
        attacks = door.recognition.memory.attacks
        assert attacks is not None
        assert time.monotonic() > attacks.last + PAUSE_S
    assert door.reasons.index("after_attack") < door.reasons.index("granted")


def now_shows(camera: Path, jpeg: bytes) -> None:
    """Let the only picture of that folder be another one, which is whole whenever it is read."""
    coming = camera / "coming"
    coming.write_bytes(jpeg)
    coming.replace(camera / "0000.jpg")
