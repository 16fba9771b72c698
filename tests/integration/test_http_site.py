"""All doors of a site on one page."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ostiary.site.doors import DoorLine
from ostiary.vision.engine import VisionEngine
from testing.console import ConsoleDoor, console_settings


@pytest.fixture
def door(tmp_path: Path, engine: VisionEngine) -> Iterator[ConsoleDoor]:
    with ConsoleDoor(console_settings(tmp_path), engine) as running:
        yield running


def test_every_door_is_shown_with_what_it_says_of_itself(door: ConsoleDoor) -> None:
    operator = door.operator()
    page = operator.ask("GET", "/site", headers={"Accept": "text/html"})
    assert page.status_code == 200
    assert "ostiary site join" in page.text
    now = datetime.now(UTC)
    door.site = (
        DoorLine("<i>front", "enroller", True, True, "front", "1.2.3", 12, 0, 0, (), now),
        DoorLine("garage", "door", False, False, people=11, problems=("camera_absent",)),
        DoorLine("stolen", "revoked", False, None),
    )
    text = operator.ask("GET", "/site", headers={"Accept": "text/html"}).text
    assert "&lt;i&gt;front" in text
    assert "1.2.3" in text
    for word in ("On line", "Knows everybody", "Has not confirmed", "Never heard", "revoked"):
        assert word in text
    assert "A camera is not there" in text
