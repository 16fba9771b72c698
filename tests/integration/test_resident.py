"""What the daemon's own process holds in memory."""

from pathlib import Path

import pytest

from bench.daemon import deciding
from demo.broker import embedded_broker


@pytest.mark.measures
def test_a_door_that_decides_holds_at_most_220_mib(tmp_path: Path) -> None:
    with embedded_broker(tmp_path) as port:
        measured = {each.bench: each.value for each in deciding(tmp_path, port)}
    assert measured["resident_while_deciding"] <= 220
