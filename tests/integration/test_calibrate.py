"""Thresholds for a site's own camera: real people and a real replay before it."""

import json
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ostiary.access.presentation import propose
from ostiary.camera.reader import CameraReader
from ostiary.config import LEAST_LIVE, AccessSettings, CameraSettings
from ostiary.errors import NoFace
from ostiary.service.calibrate import LIVE, sit
from ostiary.vision.engine import VisionEngine
from testing.daemon import write_config


def camera(folder: Path, *pictures: Path) -> CameraReader:
    folder.mkdir()
    for number, picture in enumerate(pictures):
        shutil.copy(picture, folder / f"{number}.jpg")
    return CameraReader(CameraSettings(name="front", source=str(folder), fps=30, loop=True))


def test_a_replay_is_told_from_people_and_nothing_is_kept(
    tmp_path: Path, portraits: Path, samples: Path, engine: VisionEngine
) -> None:
    people = (portraits / name for name in ("obama.jpg", "biden.jpg", "obama2.jpg"))
    with camera(tmp_path / "people", *people) as reader:
        live = sit(reader, engine, LIVE, 3.0)
    replay = samples / "replay_attack.jpg"
    with camera(tmp_path / "attack", replay, replay) as reader:
        attack = sit(reader, engine, "phone", 3.0)
    proposal = propose(live, {"phone": attack}, least_live=LEAST_LIVE)
    assert proposal.apcer["phone"].value == 0
    assert proposal.bpcer.value < 0.4
    settings = {name: getattr(proposal, name) for name in ("live_threshold", "attack_threshold")}
    AccessSettings.model_validate(settings)
    assert {file.name for file in tmp_path.iterdir()} == {"people", "attack"}


def test_too_few_good_faces_are_an_error_that_says_what_to_do(
    tmp_path: Path, portraits: Path, engine: VisionEngine
) -> None:
    with (
        camera(tmp_path / "front", portraits / "obama.jpg", portraits / "biden.jpg") as reader,
        pytest.raises(NoFace, match="nearer"),
    ):
        sit(reader, engine, LIVE, 0.2)


def ostiary(config: Path, *arguments: str, answer: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ostiary.cli", "calibrate", *arguments],
        env={**os.environ, "OSTIARY_CONFIG": str(config)},
        input=answer,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_command_asks_for_consent_and_proposes(
    tmp_path: Path, portraits: Path, models: Path
) -> None:
    folder = tmp_path / "camera"
    folder.mkdir()
    for name in ("obama.jpg", "obama2.jpg"):
        shutil.copy(portraits / name, folder)
    config = write_config(tmp_path, 1883, models, folder)
    refused = ostiary(config, "--seconds", "3", answer="n\n")
    assert refused.returncode != 0
    assert "not_allowed" in refused.stderr
    kept = tmp_path / "kept"
    done = ostiary(
        config, "--seconds", "3", "--attacks", "phone", "--keep", str(kept), answer="y\ny\n"
    )
    assert done.returncode == 0, done.stderr
    proposal = json.loads(done.stdout)
    assert proposal["camera"] == "front"
    assert set(proposal["apcer"]) == {"phone"}
    assert list((kept / "live").glob("*.jpg"))
    assert stat.S_IMODE((kept / "attack/phone").stat().st_mode) == 0o700


scores = st.lists(st.floats(0, 1), min_size=1, max_size=60).map(np.array)


@given(scores, st.dictionaries(st.sampled_from(["phone", "print"]), scores, min_size=1))
def test_a_proposal_is_always_one_that_the_settings_take(
    live: np.ndarray, attacks: dict[str, np.ndarray]
) -> None:
    found = propose(live, attacks, least_live=LEAST_LIVE)
    AccessSettings.model_validate(
        {"live_threshold": found.live_threshold, "attack_threshold": found.attack_threshold}
    )
    for kind, scores_of in attacks.items():
        if scores_of.max() < 0.98:
            assert found.apcer[kind].value == 0
