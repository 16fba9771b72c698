"""Real models, real portraits and a real broker for every test."""

import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

from demo.scenes import Scene, empty_room, visitors
from ostiary.settings import VisionSettings
from ostiary.store.database import Database
from ostiary.vision.engine import VisionEngine
from testing.broker import Mosquitto
from testing.daemon import BASE
from testing.probe import Probe

ROOT = Path(__file__).resolve().parents[1]

# No test fails because a machine is slow.
hypothesis_settings.register_profile(
    "ostiary", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
hypothesis_settings.load_profile("ostiary")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--left-to", metavar="TARGET", help="what runs the tests that -m leaves out")


class _Left:
    """Says at the end how many tests this run left to another."""

    def __init__(self, target: str) -> None:
        self._target = target
        self._tests = 0

    def pytest_deselected(self, items: Sequence[pytest.Item]) -> None:
        self._tests += len(items)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if hasattr(session.config, "workeroutput"):
            session.config.workeroutput["left"] = self._tests

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        told = getattr(node, "workeroutput", {})  # none of one that crashed
        self._tests = max(self._tests, told.get("left", 0))  # each sees all of them

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        terminalreporter.write_line(f"· left to {self._target}: {self._tests} tests")


def pytest_configure(config: pytest.Config) -> None:
    if target := config.getoption("--left-to"):
        config.pluginmanager.register(_Left(target))


def _folder(path: Path, made_by: str) -> Path:
    if not path.is_dir():
        pytest.fail(f"{path} is not there; {made_by} makes it")
    return path


@pytest.fixture(autouse=True)
def _log_as_before() -> Iterator[None]:
    """A command that runs in this process writes the log to what the test captures of it."""
    yield
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def models() -> Path:
    """The built models."""
    return _folder(ROOT / "resources" / "models", "`make setup`")


@pytest.fixture(scope="session")
def portraits() -> Path:
    """obama.jpg, obama2.jpg, obama3.jpg, biden.jpg … of face_recognition's source distribution."""
    return _folder(ROOT / "resources" / "portraits", "`make setup`")


@pytest.fixture(scope="session")
def samples() -> Path:
    """genuine.jpg and replay_attack.jpg of Silent-Face-Anti-Spoofing, where they are at hand."""
    folder = Path(os.environ.get("OSTIARY_SAMPLES", ROOT.parent / "shared" / "samples"))
    if not (folder / "replay_attack.jpg").is_file():
        pytest.skip("the samples genuine.jpg and replay_attack.jpg are not at hand")
    return folder


@pytest.fixture(scope="session")
def scenes(portraits: Path) -> dict[str, Scene]:
    """Who comes to the demo's door, and the empty room; drawn once, which takes seconds."""
    return {scene.name: scene for scene in (empty_room(), *visitors(portraits))}


@pytest.fixture(scope="session")
def engine(models: Path) -> VisionEngine:
    """Every network, loaded once."""
    return VisionEngine.load(VisionSettings(models=models))


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    """A real mosquitto on a free port."""
    with Mosquitto(tmp_path / "broker") as running:
        yield running


@pytest.fixture
def probe(broker: Mosquitto) -> Iterator[Probe]:
    """A client of that broker, which hears all that a test's door tells."""
    with Probe(broker.port, f"{BASE}/#") as running:
        yield running


@pytest.fixture
def at_the_door(tmp_path: Path, portraits: Path) -> Path:
    """A camera before which Obama stands: three pictures of him, again and again."""
    folder = tmp_path / "camera"
    folder.mkdir()
    for name in ("obama.jpg", "obama2.jpg", "obama3.jpg"):
        shutil.copy(portraits / name, folder)
    return folder


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a database may be made."""
    return tmp_path / "ostiary.db"


@pytest.fixture
def database(path: Path) -> Iterator[Database]:
    with Database.open(path) as database:
        yield database
