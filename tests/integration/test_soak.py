"""The soak's own judgement; `make soak` is the long run."""

from dataclasses import replace

import pytest

from testing.soak import EDGE, Report, Sample, soak

STEADY = [Sample(memory_kb=200_000, threads=12, files=30)] * 100


def report(*last: Sample) -> Report:
    return Report.of([*STEADY, *last], minutes=20, frames=10_000, events=300)


def test_a_daemon_that_stays_as_it_is_passes() -> None:
    assert report().nothing_grew


@pytest.mark.parametrize(
    "grown",
    [
        Sample(memory_kb=202_400, threads=12, files=30),
        Sample(memory_kb=200_000, threads=13, files=30),
        Sample(memory_kb=200_000, threads=12, files=31),
    ],
    ids=["memory by 1.2 %", "one thread", "one file"],
)
def test_growth_is_told(grown: Sample) -> None:
    assert not report(*[grown] * EDGE).nothing_grew


def test_memory_that_rose_and_was_given_back_is_no_growth() -> None:
    peak = replace(STEADY[0], memory_kb=230_000)
    told = report(peak, *STEADY)
    assert told.nothing_grew
    assert told.memory_highest > told.memory_last


@pytest.mark.long
def test_a_short_soak_of_the_real_daemon_sees_frames_and_events() -> None:
    told = soak(minutes=0.2, warm_up_s=10)
    assert told.frames > 0
    assert told.events > 0
    assert told.memory_last > 50
