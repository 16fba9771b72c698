"""One image for all, and one machine for everything that does not switch it off."""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from testing.broker import Mosquitto
from tests.device.door import Door
from tests.device.image import Image, door_image
from tests.device.machine import Machine, accelerated
from tests.device.why_not import missing


@pytest.fixture(scope="session")
def image() -> Image:
    """The disk with this checkout's package; kept, so that the second time is quick."""
    assert not missing(), f"missing Debian packages: {' '.join(missing())}; `make debian`"
    began = time.monotonic()
    made = door_image()
    how = "KVM" if accelerated(made) else "emulated: many times slower than a door"
    tell(f"the image is there after {time.monotonic() - began:.0f} s; {how}")
    return made


@pytest.fixture(scope="package")
def door(image: Image, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """The running machine with the package set up on it, and a broker outside."""
    folder = tmp_path_factory.mktemp("door")
    with Mosquitto(folder / "broker") as broker, Machine(image, folder / "machine") as machine:
        tell(f"the machine is up after {machine.start():.0f} s")
        door = Door(machine, broker.port)
        door.set_up()
        yield door


TOLD: list[str] = []


def tell(what: str) -> None:
    """A figure, for the end of the run: these tests measure, too."""
    TOLD.append(what)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """What was told in a process of pytest-xdist goes to the one that prints."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["told"] = TOLD


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    TOLD.extend(node.workeroutput["told"])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for line in TOLD:
        terminalreporter.write_line(f"· {line}")
