"""The arm64 package judges as the amd64 one does: its networks, and two of the demo's visitors.

In a Debian that is laid out and not set up, which costs seconds; `test_installed.py` is the whole.
"""

from pathlib import Path

import pytest

from demo.scenes import visitors
from tests.arm import root as arm
from tests.arm.compare import DESCRIPTOR_LIMIT, describe, play
from tests.arm.conftest import Say

pytestmark = [
    pytest.mark.machine,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(arm.why_not() is not None, reason=arm.why_not() or "it can"),
]

CROPS = 2
SHOWN = ("registered", "phone")


def test_onnx_runtime_has_no_blocked_layout_on_arm(unpacked: arm.Root) -> None:
    machine, in_blocks = unpacked.run(arm.PYTHON, "layout.py").stdout.split()
    assert (machine, in_blocks) == ("aarch64", "0")


def test_the_package_carries_only_what_its_processor_loads(unpacked: arm.Root) -> None:
    packed = {file.name for file in (unpacked.work / "upper/usr/share/ostiary/models").iterdir()}
    assert {"sface_nchw.onnx", "minifasnet_v2_nchw.onnx", "built.json"} < packed
    assert not packed & {"sface.onnx", "minifasnet_v2.onnx", "minifasnet_v1se.onnx"}


def test_a_person_and_a_phone_get_the_same_answers_on_arm(
    unpacked: arm.Root, models: Path, portraits: Path, say: Say
) -> None:
    scenes = [scene for scene in visitors(portraits) if scene.name in SHOWN]
    here, there = play(unpacked, models, portraits, scenes)
    assert here.told["registered"] == ["granted obama"]
    assert here.told["phone"] == ["presentation_attack"]
    assert there.told == here.told
    liveness, distance = here.apart(there)
    say(f"two visitors, unpacked: P(live) {liveness:.1e} apart, distances {distance:.1e}")


def test_every_network_says_the_same_on_arm(
    unpacked: arm.Root, models: Path, portraits: Path, say: Say
) -> None:
    apart = describe(unpacked, models, portraits, CROPS)
    say(f"{CROPS} crops, unpacked: {', '.join(f'{name} {by:.1e}' for name, by in apart.items())}")
    assert max(apart.values()) <= DESCRIPTOR_LIMIT
