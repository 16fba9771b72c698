"""`make device`: every test of a real machine, the figures they find, and one line at the end.

Two machines run side by side: QEMU's, and the one whose power is cut.
"""

import sys
import time
from pathlib import Path

import pytest

TOGETHER = ("-n", "2", "--dist", "loadgroup")


class Counted:
    """Counts tests, each once: one whose setting up or clearing away fails has failed."""

    def __init__(self) -> None:
        self.outcomes: dict[str, str] = {}

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
    status = pytest.main([*TOGETHER, "-q", "-rs", "--durations=8", *options], plugins=[counted])
    sys.stdout.write(f"{time.monotonic() - began:.0f} s in all, {counted.of('skipped')} skipped\n")
    sys.stdout.write(f"{counted.of('passed')} passed, {counted.of('failed')} failed\n")
    return int(status)


if __name__ == "__main__":
    sys.exit(main())
