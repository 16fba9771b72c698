"""The arm64 package, installed by apt on ARM: the doctor, every visitor of the demo, the networks,
and how many instructions a decided frame takes beside the reference stack's."""

from pathlib import Path

import pytest

from demo.scenes import empty_room, visitors
from ostiary.settings import VisionSettings
from ostiary.vision.models import needed_files
from tests.arm import root as arm
from tests.arm.compare import DESCRIPTOR_LIMIT, describe, play
from tests.arm.conftest import CACHE, Say
from tests.arm.reference import reference_stack

pytestmark = [
    pytest.mark.machine,
    pytest.mark.timeout(3600),
    pytest.mark.skipif(
        arm.why_not_installed() is not None, reason=arm.why_not_installed() or "it can"
    ),
]

CROPS = 24
FRAMES, REFERENCE_FRAMES = 3, 1
"""Ours searches the whole frame once a second, here once in three; the reference in each."""
MILLION = 1_000_000


def test_the_doctor_finds_the_models_whole_on_arm(installed: arm.Root, say: Say) -> None:
    said = installed.run("ostiary", "doctor", check=False).stdout
    say(f"`ostiary doctor`:\n\n```text\n{said}```")
    needed = needed_files(VisionSettings().recognizer, VisionSettings().liveness)
    assert f"{len(needed)} files in /usr/share/ostiary/models, every SHA-256 as built" in said
    assert "cpu, 1 thread(s)" in said


def test_an_altered_network_is_found_on_arm(installed: arm.Root) -> None:
    model = "/usr/share/ostiary/models/minifasnet_v2_nchw.onnx"
    installed.run("cp", model, "/tmp/kept.onnx")
    try:
        installed.run("bash", "-c", f"printf x >> {model}")
        said = installed.run("ostiary", "doctor", check=False).stdout
    finally:
        installed.run("mv", "/tmp/kept.onnx", model)
    assert "altered" in said


def test_every_visitor_of_the_demo_gets_the_same_answer_on_arm(
    installed: arm.Root, models: Path, portraits: Path, samples: Path, say: Say
) -> None:
    scenes = visitors(portraits, samples)
    here, there = play(installed, models, portraits, scenes)
    expected = {
        scene.name: [" ".join(filter(None, (scene.expected, scene.username)))] for scene in scenes
    }
    assert here.told == {empty_room().name: [], **expected}
    assert there.told == here.told
    liveness, distance = here.apart(there)
    say(
        f"| the demo's {len(there.told)} scenes | {len(there.told)} of {len(there.told)} answers "
        f"the same; over {len(there.judged)} judged frames P(live) at most {liveness:.1e} apart, "
        f"distances {distance:.1e} |"
    )


def test_every_network_says_the_same_on_arm(
    installed: arm.Root, models: Path, portraits: Path, say: Say
) -> None:
    apart = describe(installed, models, portraits, CROPS)
    for name, by in apart.items():
        say(f"| {name}, {CROPS} crops | {by:.1e} |")
    assert max(apart.values()) <= DESCRIPTOR_LIMIT


def test_each_network_takes_fewer_instructions_on_arm_by_the_file_that_suits_it(
    installed: arm.Root, say: Say
) -> None:
    each = arm.counts(
        arm.counting(installed).run(arm.PYTHON, "frame.py", "networks", "1", count=True)
    )
    for name in ("minifasnet_v2", "minifasnet_v1se", "sface"):
        blocks, without = each[f"{name}.onnx"], each[f"{name}_nchw.onnx"]
        say(f"| {name} | {blocks / MILLION:.1f} M | {without / MILLION:.1f} M |")
        assert without < blocks


def test_a_decided_frame_takes_fewer_instructions_than_the_reference_stacks(
    installed: arm.Root, say: Say
) -> None:
    stack = reference_stack(CACHE)
    totals = []
    for side, frames in (("ours", FRAMES), ("reference", REFERENCE_FRAMES)):
        command = (arm.PYTHON, "frame.py", side, str(frames))
        done = arm.counting(installed).run(*command, count=True, reference=stack)
        stages = arm.counts(done)
        totals.append(sum(stages.values()))
        parts = ", ".join(f"{stage} {count / MILLION:.1f}" for stage, count in stages.items())
        say(f"| {side} | {totals[-1] / MILLION:.0f} M | {parts} |")
    ours, reference = totals
    say(f"| reference / ours | {reference / ours:.1f} | |")
    assert ours < reference
