"""Nothing is spent on a face that cannot pass, but to name whom it imitates."""

from pathlib import Path

import pytest

from demo.scenes import Scene
from ostiary.decision.policy import Policy
from ostiary.messages.words import Reason
from ostiary.service.metrics import Metrics
from ostiary.vision.engine import VisionEngine
from testing.cameras import until
from testing.recognizing import recognizing
from testing.waiting import PATIENCE_S


def runs(metrics: Metrics, stage: str) -> float:
    return metrics.registry.get_sample_value("ostiary_stage_seconds_count", {"stage": stage}) or 0


@pytest.mark.parametrize("registered", [True, False])
def test_of_an_attack_only_the_first_frame_is_described(
    tmp_path: Path,
    engine: VisionEngine,
    portraits: Path,
    scenes: dict[str, Scene],
    *,
    registered: bool,
) -> None:
    attack = scenes["phone"]
    known = [portraits / "obama.jpg"] if registered else []
    # A face that was forgotten, between the frames of a slow machine, would be described again.
    policy = Policy(forget_after_s=PATIENCE_S)
    with recognizing(tmp_path, engine, attack.frames, known, policy, loop=True) as door:
        until(lambda: bool(door.told))
    (first, *_) = door.told
    assert first.decision.reason is Reason.PRESENTATION_ATTACK
    assert first.decision.username == ("obama" if registered else None)
    assert runs(door.core.metrics, "liveness") >= 3
    assert runs(door.core.metrics, "describe") <= runs(door.core.metrics, "liveness") / 2
