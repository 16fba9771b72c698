"""`make device`: every test of a real machine, the figures they find, and one line at the end.

Two machines run side by side: QEMU's, and the one whose power is cut.
"""

import sys
import time
from pathlib import Path

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling


class ByMachine(LoadScopeScheduling):  # type: ignore[misc]
    """The tests of one machine stay in one process."""

    def _split_scope(self, nodeid: str) -> str:
        return "power" if "test_power_cut" in nodeid else "qemu"


class Counted:
    """Counts tests, each once: one whose setting up or clearing away fails has failed."""

    def __init__(self) -> None:
        self.outcomes: dict[str, str] = {}

    def pytest_xdist_make_scheduler(self, config: pytest.Config, log: Producer) -> ByMachine:
        return ByMachine(config, log)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.outcome == "failed" or report.nodeid not in self.outcomes:
            self.outcomes[report.nodeid] = report.outcome
        elif report.outcome == "skipped":
            self.outcomes[report.nodeid] = "skipped"

    def of(self, outcome: str) -> int:
        return list(self.outcomes.values()).count(outcome)


def main() -> int:
    began = time.monotonic()
    counted = Counted()
    options = sys.argv[1:]
    if not any(Path(each).exists() for each in options):
        options.append(str(Path(__file__).parent))
    status = pytest.main(["-n", "2", "-q", "-rs", "--durations=8", *options], plugins=[counted])
    sys.stdout.write(f"{time.monotonic() - began:.0f} s in all, {counted.of('skipped')} skipped\n")
    sys.stdout.write(f"{counted.of('passed')} passed, {counted.of('failed')} failed\n")
    return int(status)


if __name__ == "__main__":
    sys.exit(main())
