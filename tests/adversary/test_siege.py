"""A door that is besieged goes on looking, and within its memory."""

from pathlib import Path

import pytest

from testing.siege import siege


@pytest.mark.measures
def test_a_door_under_siege_keeps_its_frame_rate_and_its_memory(
    tmp_path: Path, models: Path, portraits: Path
) -> None:
    found = siege(tmp_path, models, portraits / "obama.jpg", 30.0)
    assert found.kept >= 0.9, found
    assert found.most_mb < 400, found
