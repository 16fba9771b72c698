"""Photos are held before the camera until one passes, or until the right person comes."""

import time
from pathlib import Path

from ostiary.vision.engine import VisionEngine
from testing.cameras import until
from testing.recognizing import recognizing
from testing.rules import policy

FPS = 10
ATTACK_S = 7


def test_nobody_is_let_in_on_the_heels_of_a_row_of_attacks(
    tmp_path: Path, engine: VisionEngine, portraits: Path, samples: Path
) -> None:
    attack = (samples / "replay_attack.jpg").read_bytes()
    person = (portraits / "obama2.jpg").read_bytes()
    frames = [attack] * (ATTACK_S * FPS) + [person] * (20 * FPS)
    known = [portraits / "obama.jpg"]
    rules = policy(attack_again_s=3.0, cooldown_s=1.0)
    with recognizing(tmp_path, engine, frames, known, rules, fps=FPS) as door:
        until(lambda: "presentation_attack" in door.reasons)
        assert door.recognition.memory.is_attacked(time.monotonic())
        until(lambda: "after_attack" in door.reasons)
        refused_at = time.monotonic()
        assert "granted" not in door.reasons
        until(lambda: "granted" in door.reasons)
        assert time.monotonic() - refused_at > 2.0
    assert door.reasons.count("presentation_attack") >= 2, "an attack that goes on is told again"
