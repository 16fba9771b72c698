"""The same question to this machine's processor and to the emulated ARM."""

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from demo.scenes import Scene
from tests.arm import root as arm
from tests.arm.material import write_crops, write_scenes

PROBABILITY_LIMIT = DESCRIPTOR_LIMIT = 1e-5
"""What the export allows between a network and its original."""


@dataclass(frozen=True, slots=True)
class Play:
    """What the door told of each scene, and of each judged frame its P(live) and distance."""

    told: dict[str, list[str]]
    judged: list[tuple[str, float, float | None]]

    @classmethod
    def read(cls, said: str) -> "Play":
        given: dict[str, Any] = json.loads(said)
        judged = [(each["scene"], each["liveness"], each["distance"]) for each in given["judged"]]
        return cls(given["told"], judged)

    def apart(self, other: "Play") -> tuple[float, float]:
        """The largest differences of P(live) and of the distance over all judged frames."""
        pairs = list(zip(self.judged, other.judged, strict=True))
        assert all(one[0] == two[0] for one, two in pairs)
        lives = [abs(one[1] - two[1]) for one, two in pairs]
        distances = [
            abs(one[2] - two[2]) for one, two in pairs if one[2] is not None and two[2] is not None
        ]
        assert [one[2] is None for one, _ in pairs] == [two[2] is None for _, two in pairs]
        return max(lives), max(distances, default=0.0)


def play(root: arm.Root, models: Path, portraits: Path, scenes: Iterable[Scene]) -> list[Play]:
    """The scenes on this machine's processor, and on the ARM."""
    folder = root.shared / f"scenes-{root.work.name}"
    write_scenes(folder, portraits, scenes)
    here = on_this_processor(root.shared, models, "judge.py", folder.name)
    there = root.run(arm.PYTHON, "judge.py", folder.name).stdout
    return [Play.read(here), Play.read(there)]


def describe(root: arm.Root, models: Path, portraits: Path, count: int) -> dict[str, float]:
    """The largest difference of P(live) or of a number of a descriptor, by network, over so many
    crops of real faces."""
    name = f"crops-{root.work.name}"
    write_crops(root.shared / f"{name}.npz", portraits, models, count)
    on_this_processor(root.shared, models, "describe.py", f"{name}.npz", f"{name}-here.npz")
    root.run(arm.PYTHON, "describe.py", f"{name}.npz", f"{name}-there.npz")
    here, there = (np.load(root.shared / f"{name}-{side}.npz") for side in ("here", "there"))
    assert there["machine"] == "aarch64"
    assert {"minifasnet_v2_nchw.onnx", "sface_nchw.onnx"} < set(there["files"])
    return {
        network: float(np.abs(here[network] - there[network]).max())
        for network in ("v2", "v1se", "sface", "dlib")
    }


def on_this_processor(shared: Path, models: Path, script: str, *arguments: str) -> str:
    """What the script prints, run by this environment's Python."""
    command = [sys.executable, script, *arguments]
    done = subprocess.run(
        command,
        cwd=shared,
        env=os.environ | {"OSTIARY_MODELS": str(models.resolve())},
        capture_output=True,
        text=True,
        timeout=arm.RUN_WITHIN_S,
        check=False,
    )
    assert done.returncode == 0, f"{' '.join(command)}: {done.stdout}{done.stderr}"
    return done.stdout
