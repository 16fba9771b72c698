"""`ostiary-export evaluate-liveness` on real portraits, the demo's attacks and the samples."""

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from demo.scenes import visitors
from ostiary.access.presentation import share, threshold_for
from ostiary_export.cli import app
from ostiary_export.errors import FacesInvalid
from ostiary_export.presentation.collect import Presentations
from ostiary_export.presentation.rates import at_threshold


def test_people_and_attacks_are_measured_by_kind_with_all_networks(
    portraits: Path, samples: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "presentations"
    live = folder / "live"
    live.mkdir(parents=True)
    for name in ("obama.jpg", "obama2.jpg", "obama3.jpg", "biden.jpg"):
        shutil.copy(portraits / name, live)
    shutil.copy(samples / "genuine.jpg", live)
    cv2.imwrite(str(live / "nobody.png"), np.zeros((99, 99, 3), np.uint8))
    (live / "broken.jpg").write_bytes(b"no picture")
    for scene in visitors(portraits):
        if scene.name in {"phone", "print"}:
            kind = folder / "attack" / scene.name
            kind.mkdir(parents=True)
            for number, jpeg in enumerate(scene.frames[::6]):
                (kind / f"{number}.jpg").write_bytes(jpeg)
    replay = folder / "attack" / "replay"
    replay.mkdir()
    shutil.copy(samples / "replay_attack.jpg", replay)
    done = CliRunner().invoke(
        app,
        ["evaluate-liveness", str(folder), "--output", str(tmp_path / "out")],
        catch_exceptions=False,
    )
    assert done.exit_code == 0, done.output
    assert (tmp_path / "out" / "liveness.svg").read_text().startswith("<?xml")
    text = (tmp_path / "out" / "liveness.jsonl").read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    v2 = {
        (line["liveness"], line.get("species")): line
        for line in lines
        if line["detector"] == "v2" and line["liveness"] != "bpcer_at_apcer"
    }
    for species, presentations in (("phone", 6), ("print", 6), ("replay", 1)):
        assert v2["apcer", species]["value"] == 0.0
        assert v2["apcer", species]["presentations"] == presentations
        assert v2["apcer", species]["high"] > 0.3, "so few presentations show little"
    assert v2["bpcer", None]["presentations"] == 5
    assert {line["detector"] for line in lines} == {"v2", "v1se", "mean"}


def test_a_clip_is_one_presentation(portraits: Path, tmp_path: Path) -> None:
    folder = tmp_path / "presentations"
    (folder / "live").mkdir(parents=True)
    (folder / "attack" / "phone").mkdir(parents=True)
    for scene in visitors(portraits):
        kind = {"registered": "live", "phone": "attack/phone"}.get(scene.name)
        if kind is None:
            continue
        writer = cv2.VideoWriter(
            str(folder / kind / "clip.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 12, (480, 640)
        )
        for number in range(len(scene.frames)):
            writer.write(scene.picture(number))
        writer.release()
    done = CliRunner().invoke(
        app,
        ["evaluate-liveness", str(folder), "--output", str(tmp_path / "out")],
        catch_exceptions=False,
    )
    assert done.exit_code == 0, done.output
    lines = map(json.loads, (tmp_path / "out" / "liveness.jsonl").read_text().splitlines())
    (phone,) = (
        line
        for line in lines
        if (line["liveness"], line["detector"], line.get("species")) == ("apcer", "v2", "phone")
    )
    assert (phone["value"], phone["presentations"]) == (0.0, 1)


@pytest.mark.parametrize("missing", ["live", "attack"])
def test_without_people_or_attacks_nothing_is_measured(
    portraits: Path, tmp_path: Path, missing: str
) -> None:
    folder = tmp_path / "half"
    kind = folder / ("attack/print" if missing == "live" else "live")
    kind.mkdir(parents=True)
    shutil.copy(portraits / "obama.jpg", kind)
    with pytest.raises(FacesInvalid):
        CliRunner().invoke(app, ["evaluate-liveness", str(folder)], catch_exceptions=False)


def made_up() -> Presentations:
    """Ten people, and two kinds of attack of which one is good."""
    people, bad, good = np.arange(11, 21) / 20, np.arange(10) / 40, np.arange(20) / 20
    species = np.array(["live"] * 10 + ["bad"] * 10 + ["good"] * 20)
    scores = np.concatenate([people, bad, good])
    return Presentations(species, {"v2": scores}, (), {})


def test_the_worst_kind_counts_and_the_threshold_follows_from_what_is_asked() -> None:
    found = made_up()
    lines = {
        (line.figure, line.about.get("species")): line.rate
        for line in at_threshold(found, "v2", 0.8)
    }
    assert lines["apcer", "bad"].value == 0.0
    assert lines["apcer", "good"].value == pytest.approx(4 / 20)
    assert lines["bpcer", None].value == pytest.approx(5 / 10)
    assert lines["acer", None].value == pytest.approx((0.2 + 0.5) / 2)
    for asked in (0.2, 0.1, 0.05, 0.0):
        threshold = threshold_for({each: found.of(each, "v2") for each in found.attacks}, asked)
        scores = found.of("good", "v2")
        assert np.mean(scores >= threshold) <= asked
        assert np.mean(scores >= np.nextafter(threshold, 0) - 1e-9) > asked


def test_an_interval_is_honest_where_nothing_was_seen() -> None:
    none = share(0, 20)
    assert (none.value, none.low) == (0.0, 0.0)
    assert none.high == pytest.approx(0.1611, abs=1e-3)  # Wilson, 20 trials
