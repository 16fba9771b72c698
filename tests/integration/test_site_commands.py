"""The key-holder's commands at a real broker, as somebody types them."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from testing.broker import Mosquitto
from testing.site import Site, SiteDoor, ostiary
from testing.waiting import PATIENCE_S, wait_until


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A broker that says nothing for a while has not said all: its last message ends the wait."""
    monkeypatch.setattr("ostiary.cli.site_connection.QUIET_S", PATIENCE_S)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, models: Path, portraits: Path) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    with Mosquitto(folder / "broker") as broker, Site(folder, models, [broker.port], 3) as running:
        running.enrol(running.doors[0], "Barack", (portraits / "obama.jpg").read_bytes())
        yield running


def known_at(site: Site, doors: list[SiteDoor], *names: str) -> None:
    site.wait_all(lambda door: door not in doors or site.names(door) == sorted(names))


def status(site: Site) -> dict[str, Any]:
    """By the door's name."""
    text = ostiary("site", "status", "--json", "--config", str(site.doors[0].config))
    return {door["name"]: door for door in json.loads(text)["doors"]}


def revoke(site: Site, door: SiteDoor, *options: str) -> str:
    return ostiary(
        "site", "revoke", status_name(site, door), *options, "--config", str(site.doors[0].config)
    )


def status_name(site: Site, door: SiteDoor) -> str:
    return next(name for name, each in status(site).items() if each["device"] == door.name)


def test_after_a_change_of_the_key_all_doors_know_and_enrol_as_before(
    site: Site, portraits: Path
) -> None:
    said = ostiary("site", "rotate-key", "--config", str(site.doors[0].config))
    assert said == "Key 2 is in use. 1 people sealed anew.\n"
    site.enrol(site.doors[1], "Joe", (portraits / "biden.jpg").read_bytes())
    known_at(site, site.doors, "Barack", "Joe")
    site.delete(site.doors[2], "Joe")
    known_at(site, site.doors, "Barack")


def test_what_a_stolen_door_did_since_then_is_undone_and_it_is_not_believed_any_more(
    site: Site, portraits: Path
) -> None:
    stolen, others = site.doors[2], site.doors[:2]
    picture = (portraits / "biden.jpg").read_bytes()
    before = datetime.now(UTC)
    # A second is the finest that is said: what was done before has to be of an earlier one.
    wait_until(lambda: datetime.now(UTC).second != before.second, "the next second")
    since = datetime.now(UTC)
    site.enrol(stolen, "Joe", picture)
    site.delete(stolen, "Joe")
    site.enrol(stolen, "Mallory", picture)
    known_at(site, site.doors, "Barack", "Mallory")

    # Joe, who was deleted already, is not counted again.
    said = revoke(site, stolen, "--since", since.strftime("%Y-%m-%dT%H:%M:%S"))
    assert "door3 is revoked. 1 people signed anew, 1 deleted." in said
    known_at(site, others, "Barack")
    name = status_name(site, others[1])
    wait_until(lambda: status(site)[name]["confirmed"], "the other door confirms what it knows")

    site.enrol(site.doors[1], "Joe", picture)
    known_at(site, others, "Barack", "Joe")
    assert "Joe" not in site.names(stolen)
