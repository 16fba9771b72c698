"""What the project's host runs: the same commands that a person types, and nothing of its own."""

from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

ROOT = Path(__file__).resolve().parents[2]
PREPARES = "apt-get update && apt-get install --yes git make python3-venv"


def commands(name: str) -> list[str]:
    """What the steps of the only job of a workflow run."""
    text = (ROOT / ".github/workflows" / name).read_text(encoding="utf-8")
    document: dict[str, Any] = yaml.safe_load(text)
    (job,) = document["jobs"].values()
    return [step["run"] for step in job["steps"] if "run" in step]


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("ci.yml", "bash .ci/run"),
        ("release.yml", "make deb ARCH=${{ matrix.arch }} DEBIAN=${{ matrix.debian }}"),
    ],
)
def test_a_workflow_runs_what_a_person_would_type(name: str, command: str) -> None:
    assert commands(name) == [PREPARES, command]


@pytest.mark.parametrize("distribution", ["daemon", "export"])
def test_each_distribution_carries_the_whole_licence(distribution: str) -> None:
    licence = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Apache License" in licence
    assert "END OF TERMS AND CONDITIONS" in licence
    assert (ROOT / distribution / "LICENSE").read_text(encoding="utf-8") == licence
