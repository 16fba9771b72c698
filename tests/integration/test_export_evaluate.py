"""`ostiary-export evaluate` on real pictures."""

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ostiary_export.cli import app
from ostiary_export.errors import FacesInvalid
from tests.conftest import ROOT

FACES = ROOT.parent / "shared" / "faces"


def folder_of(portraits: Path, folder: Path) -> Path:
    for person, names in (("obama", ("obama", "obama2", "obama3")), ("biden", ("biden",))):
        (folder / person).mkdir(parents=True)
        for name in names:
            shutil.copyfile(portraits / f"{name}.jpg", folder / person / f"{name}.jpg")
    return folder


def evaluate(folder: Path, output: Path, *more: str) -> list[dict[str, object]]:
    arguments = ["evaluate", str(folder), "--output", str(output), *more]
    done = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return [json.loads(line) for line in done.output.splitlines() if line.startswith('{"accuracy"')]


def test_a_few_portraits_are_measured_as_far_as_they_go(portraits: Path, tmp_path: Path) -> None:
    folder = folder_of(portraits, tmp_path / "faces")
    (folder / "biden" / "broken.jpg").write_bytes(b"no picture")
    evaluate(folder, tmp_path / "out")
    page = (tmp_path / "out" / "accuracy.html").read_text()
    assert "4 pictures of 2 people" in page
    assert "unreadable: 1" in page
    assert page.count("<svg") == 3


def test_rates_are_not_written_from_a_few_portraits(portraits: Path, tmp_path: Path) -> None:
    folder = folder_of(portraits, tmp_path / "faces")
    rates = tmp_path / "recognition.toml"
    with pytest.raises(FacesInvalid, match="too few"):
        evaluate(folder, tmp_path / "out", "--write-rates", str(rates))
    assert not rates.exists()


def test_one_person_alone_cannot_be_told_apart(portraits: Path, tmp_path: Path) -> None:
    folder = folder_of(portraits, tmp_path / "faces")
    shutil.rmtree(folder / "biden")
    with pytest.raises(FacesInvalid, match="one person"):
        evaluate(folder, tmp_path / "out")


@pytest.mark.skipif(not FACES.is_dir(), reason="no folder of faces is at hand")
@pytest.mark.long
def test_sface_tells_people_apart_better_than_dlib(tmp_path: Path) -> None:
    several = [each for each in sorted(FACES.iterdir()) if len(list(each.iterdir())) > 1][:150]
    for person in several:
        shutil.copytree(person, tmp_path / "faces" / person.name)
    found = {
        (line["recognizer"], line["people"]): line["value"]
        for line in evaluate(tmp_path / "faces", tmp_path / "out")
        if line["accuracy"] == "fnir_at_fpir" and (line["templates"], line["probes"]) == (1, 1)
    }
    assert found["sface", 100] < 0.15  # type: ignore[operator]
    assert found["sface", 100] < found["dlib", 100] / 2  # type: ignore[operator]
