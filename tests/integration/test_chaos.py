"""A short run of the chaos harness; `make chaos` makes the long one."""

from pathlib import Path

import pytest

from testing.chaos import Plan, run


@pytest.mark.long
def test_nothing_is_lost_while_daemon_and_broker_are_killed(
    tmp_path: Path, models: Path, portraits: Path
) -> None:
    plan = Plan(
        tmp_path,
        models,
        portraits / "obama2.jpg",
        events=300,
        registrations=40,
        daemon_kills=3,
        broker_kills=3,
    )
    report = run(plan)
    assert report.good, report
    assert report.events_committed >= plan.events
    assert report.daemon_kills >= 3
    assert report.broker_kills >= 3
