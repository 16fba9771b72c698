"""The plug is pulled in the midst of registrations and events."""

import os
from pathlib import Path

import pytest

from tests.device.conftest import tell
from tests.device.image import Image
from tests.device.power import why_no_power
from tests.device.power_cut import run
from tests.device.why_not import MARKS

pytestmark = MARKS
CUTS = int(os.environ.get("OSTIARY_POWER_CUTS", "3"))
"""`make device` pulls it fifty times, `make test` three times."""


@pytest.mark.timeout(900 + 120 * CUTS)
def test_nothing_acknowledged_is_lost_and_the_door_is_back_by_itself(
    image: Image, portraits: Path, tmp_path: Path
) -> None:
    if reason := why_no_power():
        pytest.skip(reason)
    report = run(image, portraits, tmp_path, CUTS, seed=CUTS)
    tell(f"power cuts: {report.line()}")
    assert report.good, report.not_whole
