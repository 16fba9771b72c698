"""`ostiary-export evaluate-liveness`: visits of portraits and of the demo's attacks, played to the
door's own loop."""

import json
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner, Result

from demo.scenes import Scene
from ostiary.camera.clips import LIVE, clips_in
from ostiary.decision.presentation import share, threshold_for
from ostiary.errors import ClipsInvalid, ConfigError, SittingIncomplete
from ostiary_export.cli import app
from ostiary_export.presentation.command import settings_of

EVERY = 4
"""Of a scene's pictures: three a second are enough, and quick."""


def as_pictures(folder: Path, frames: Iterable[bytes]) -> None:
    folder.mkdir(parents=True)
    for number, jpeg in enumerate(frames):
        (folder / f"{number:02}.jpg").write_bytes(jpeg)


def as_video(path: Path, scene: Scene) -> None:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 3, (480, 640))
    for number in range(0, len(scene.frames), EVERY):
        writer.write(scene.picture(number))
    writer.release()


@pytest.fixture(scope="module")
def recorded(scenes: dict[str, Scene], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Obama and Biden before the camera, and Obama on a phone."""
    folder = tmp_path_factory.mktemp("recorded")
    (folder / "rate.txt").write_text("3\n")
    for name, scene in (
        ("obama-1", "registered"),
        ("obama-2", "registered-again"),
        ("biden-1", "stranger"),
    ):
        as_pictures(folder / "live" / name, scenes[scene].frames[::EVERY])
    (folder / "live" / "obama-2" / "05.jpg").write_bytes(b"no picture")
    as_video(folder / "live" / "biden-2.avi", scenes["stranger"])
    for number in range(3):
        as_pictures(
            folder / "attack" / "phone" / f"obama-{number}", scenes["phone"].frames[::EVERY]
        )
    return folder


def evaluated(folder: Path, output: Path, *arguments: str) -> Result:
    return CliRunner().invoke(
        app,
        ["evaluate-liveness", str(folder), "--output", str(output), *arguments],
        catch_exceptions=False,
    )


def figures(output: Path) -> dict[tuple[str, str], dict[str, float]]:
    lines = map(json.loads, (output / "liveness.jsonl").read_text().splitlines())
    return {(line["liveness"], line["kind"]): line for line in lines if "reason" not in line}


def test_people_are_let_in_and_a_phone_is_not(recorded: Path, tmp_path: Path) -> None:
    done = evaluated(recorded, tmp_path)
    assert done.exit_code == 0, done.output
    found = figures(tmp_path)
    live = found["granted", "live"]
    assert (live["value"], live["n"]) == (1.0, 2), "one clip of each is the one enrolled by"
    assert live["low"] < 0.5, "two visits show little"
    assert 0 < found["granted_after_s", "live"]["value"] <= 3
    phone = found["granted", "phone"]
    assert (phone["value"], phone["n"]) == (0.0, 3)
    assert found["denied", "phone"]["value"] == 1.0
    assert found["apcer", "phone"]["value"] == 0.0
    assert found["auc", "phone"]["value"] > 0.99
    page = (tmp_path / "liveness.html").read_text()
    assert "<svg" in page
    assert "presentation_attack" in page
    assert done.output.count('{"liveness"') == len(
        (tmp_path / "liveness.jsonl").read_text().splitlines()
    )


def test_the_door_goes_by_the_settings_that_are_named(recorded: Path, tmp_path: Path) -> None:
    evaluated(recorded, tmp_path, "--set", "access.distance_threshold=0.01")
    assert figures(tmp_path)["granted", "live"]["value"] == 0.0


def test_a_setting_that_does_not_exist_is_an_error_that_names_it() -> None:
    with pytest.raises(ConfigError, match=r"access\.patience"):
        settings_of(["access.patience=3"])


def test_a_clip_has_its_rate_from_the_nearest_file(recorded: Path) -> None:
    clips = {clip.path.name: clip for clip in clips_in(recorded) if clip.kind == LIVE}
    seconds = [at for at, _ in clips["obama-2"].frames()]
    assert seconds[:3] == pytest.approx([0, 1 / 3, 2 / 3])
    assert 5 / 3 not in seconds, "what is no picture is passed over, and keeps its time"
    assert [at for at, _ in clips["biden-2.avi"].frames()][1] == pytest.approx(1 / 3)
    assert clips["obama-2"].person == "obama"


@pytest.mark.parametrize(
    ("made", "said"),
    [
        ((), "no clips of people"),
        (("attack/print/a-1", "attack/print/a-2", "attack/print/a-3"), "no clips of people"),
        (("live/a-1", "live/a-2"), r"live \(2\)"),
        (("live/a-1", "live/a-2", "live/a-3", "attack/mask/a-1"), r"mask \(1\)"),
        (("live/a-1", "live/a-2", "live/a-3", "attack/live/a-1"), "cannot be called live"),
    ],
)
def test_a_folder_that_says_too_little_is_refused_with_what_is_missing(
    tmp_path: Path, made: tuple[str, ...], said: str
) -> None:
    for each in made:
        as_pictures(tmp_path / each, [b"a picture"])
    with pytest.raises(ClipsInvalid, match=said):
        clips_in(tmp_path)


@pytest.mark.parametrize("rate", ["", "fast", "0", "-2", "nan"])
def test_a_rate_that_is_none_is_refused(tmp_path: Path, rate: str) -> None:
    for number in range(3):
        as_pictures(tmp_path / "live" / f"a-{number}", [b"a picture"])
    (tmp_path / "rate.txt").write_text(rate)
    with pytest.raises(ClipsInvalid, match="rate"):
        clips_in(tmp_path)


def test_the_threshold_follows_from_what_is_asked() -> None:
    attacks = {"bad": np.arange(10) / 40, "good": np.arange(20) / 20}
    for asked in (0.2, 0.1, 0.05, 0.0):
        threshold = threshold_for(attacks, asked)
        assert np.mean(attacks["good"] >= threshold) <= asked
        assert np.mean(attacks["good"] >= np.nextafter(threshold, 0) - 1e-9) > asked


def test_an_interval_is_honest_where_nothing_was_seen() -> None:
    none = share(0, 20)
    assert (none.value, none.low) == (0.0, 0.0)
    assert none.high == pytest.approx(0.1611, abs=1e-3)  # Wilson, 20 trials
    assert (share(0, 0).low, share(0, 0).high) == (0.0, 1.0)


def test_a_door_is_calibrated_only_by_a_whole_sitting(recorded: Path, tmp_path: Path) -> None:
    with pytest.raises(SittingIncomplete, match="2 people"):
        evaluated(recorded, tmp_path, "--site", str(recorded))
