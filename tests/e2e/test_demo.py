"""`python -m demo`, as a person runs it: a real broker, the real daemon, real networks."""

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import pytest

from testing.waiting import PATIENCE_S, wait_until

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = {**os.environ, "COLUMNS": "160", "NO_COLOR": "1"}
DEMO_WITHIN_S = 800
"""On however busy a machine: every scene may take its time, and they come one after another."""

pytestmark = pytest.mark.timeout(DEMO_WITHIN_S + 100)


def command(output: Path, *options: str | Path) -> list[str]:
    return [sys.executable, "-m", "demo", "--output", str(output), *map(str, options)]


def demo(output: Path, *options: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(output, *options),
        cwd=ROOT,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=DEMO_WITHIN_S,
        check=False,
    )


def children(pid: int) -> set[int]:
    """The processes that a process has started and that still run."""
    found = set()
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[1]) == pid and fields[0] != "Z":
            found.add(int(status.parent.name))
    return found


def test_everybody_gets_the_answer_they_should(
    tmp_path: Path, models: Path, portraits: Path, samples: Path
) -> None:
    done = demo(tmp_path, "--models", models, "--portraits", portraits, "--samples", samples)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "8 of 8 as it should be" in done.stdout
    for said in ("granted obama", "unknown_face", "presentation_attack"):
        assert said in done.stdout
    sheet = cv2.imread(str(tmp_path / "sheet.png"))
    assert sheet is not None
    assert sheet.shape[1] > 1000
    assert (tmp_path / "clip.avi").stat().st_size > 1_000_000


@pytest.mark.long
def test_a_wrong_answer_fails_the_demo(tmp_path: Path, models: Path, portraits: Path) -> None:
    swapped = tmp_path / "portraits"
    shutil.copytree(portraits, swapped)
    # The stranger is no stranger, in a head of another shape: whatever is said, it is wrong.
    shutil.copy(portraits / "obama2.jpg", swapped / "biden.jpg")
    done = demo(tmp_path / "out", "--models", models, "--portraits", swapped, "--samples", tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "expected unknown_face" in done.stdout
    assert re.search("[0-6] of 7 as it should be", done.stdout)


def test_a_missing_portrait_is_named_with_what_makes_it(tmp_path: Path, models: Path) -> None:
    done = demo(tmp_path, "--models", models, "--portraits", tmp_path / "nowhere")
    assert done.returncode == 69
    assert "nowhere/obama.jpg: no such portrait" in done.stderr
    assert "ostiary-export fetch" in done.stderr


def test_a_missing_model_is_named_with_what_makes_it(tmp_path: Path, portraits: Path) -> None:
    empty = tmp_path / "models"
    empty.mkdir()
    done = demo(tmp_path, "--models", empty, "--portraits", portraits)
    assert done.returncode == 66
    assert "models/minifasnet_v2.onnx: no such model" in done.stderr
    assert "ostiary-export all" in done.stderr


def test_a_daemon_that_cannot_start_is_told_with_its_own_words(
    tmp_path: Path, models: Path, portraits: Path
) -> None:
    broken = tmp_path / "models"
    shutil.copytree(models, broken, ignore=shutil.ignore_patterns("plain", "sources"))
    (broken / "minifasnet_v2.onnx").write_bytes(b"not a network")
    done = demo(tmp_path / "out", "--models", broken, "--portraits", portraits)
    assert done.returncode == 69
    assert "The daemon ended with exit status" in done.stderr
    assert "minifasnet_v2.onnx" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_nothing_is_left_running_when_it_is_interrupted(
    tmp_path: Path, models: Path, portraits: Path, number: signal.Signals
) -> None:
    log = tmp_path / "out"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command(tmp_path, "--keep", "--models", models, "--portraits", portraits),
            cwd=ROOT,
            env=ENVIRONMENT,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_until(  # the scenes are drawn, and the broker and the daemon start, before that
            lambda: "is online" in log.read_text(encoding="utf-8"),
            "the demo's daemon",
            4 * PATIENCE_S,
        )
        started = children(process.pid)
        assert len(started) == 2, "the broker and the daemon"
        process.send_signal(number)
        assert process.wait(60) == 128 + number
    finally:
        process.kill()
        process.wait()
    wait_until(
        lambda: not any(Path(f"/proc/{pid}").exists() for pid in started), "all processes to end"
    )


def test_two_doors_of_a_site_know_whom_one_has_enrolled(tmp_path: Path) -> None:
    done = demo(tmp_path, "--site")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "garage: granted" in done.stdout
