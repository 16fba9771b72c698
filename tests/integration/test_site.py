"""Five doors and one mosquitto: enrolled once, known everywhere; left once, known nowhere."""

import time
from pathlib import Path

import pytest

from demo.scenes import Scene
from testing.broker import Mosquitto
from testing.site import Site, ostiary
from testing.site_run import on_nats
from testing.waiting import wait_until


@pytest.fixture(scope="session")
def registered(scenes: dict[str, Scene]) -> Scene:
    """The person of obama.jpg, by another picture, steps up."""
    return scenes["registered"]


@pytest.mark.long
def test_enrolled_at_one_door_granted_at_another_deleted_at_a_third_denied_at_all(
    tmp_path: Path, models: Path, portraits: Path, registered: Scene
) -> None:
    with (
        Mosquitto(tmp_path / "broker") as broker,
        Site(tmp_path, models, [broker.port]) as site,
    ):
        first, _, third, _, fifth = site.doors
        site.enrol(first, "obama", (portraits / "obama.jpg").read_bytes())
        begin = time.monotonic()
        site.wait_all(lambda door: site.names(door) == ["obama"])
        event = site.decided(fifth, registered)
        assert (event["success"], event["username"]) == (True, "obama")
        print(f"granted at the fifth {time.monotonic() - begin:.1f} s after")  # noqa: T201

        fifth.stop()
        site.delete(third, "obama")
        others = site.doors[:4]
        site.wait_all(lambda door: door is fifth or site.names(door) == [])
        assert all(not site.decided(door, registered)["success"] for door in others[:2])

        fifth.start()
        site.probe.wait_for("ostiary/door5/availability", b"online")
        wait_until(lambda: site.names(fifth) == [], "the deletion at the fifth")
        assert not site.decided(fifth, registered)["success"]
        print(ostiary("site", "status", "--config", str(first.config)))  # noqa: T201


@pytest.mark.long
def test_on_a_cluster_whose_nodes_are_killed_nothing_is_lost_and_nothing_forged(
    tmp_path: Path, models: Path, portraits: Path
) -> None:
    """In short; `make site` does it for longer, on one mosquitto as well, and says how soon all
    doors are equal again."""
    outcome = on_nats(tmp_path, models, portraits, 12)
    print(outcome)  # noqa: T201
    assert outcome.kills > 0
    assert outcome.is_right
