"""What the daemon's own process holds in memory."""

from pathlib import Path

import pytest

from bench.daemon import deciding
from demo.broker import embedded_broker


@pytest.mark.measures
def test_a_door_that_decides_holds_at_most_150_mib_of_its_own(tmp_path: Path) -> None:
    """Beside libraries, of which the kernel holds as much as it pleases."""
    with embedded_broker(tmp_path) as port:
        measured = {each.bench: each.value for each in deciding(tmp_path, port)}
    assert measured["own_memory_while_deciding"] <= 150
