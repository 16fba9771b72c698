"""Real models, real portraits and a real broker for every test."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from demo.scenes import Scene, empty_room, visitors
from ostiary.config import VisionSettings
from ostiary.store.database import Database
from ostiary.vision.engine import VisionEngine
from testing.broker import Mosquitto

ROOT = Path(__file__).resolve().parents[1]


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
def path(tmp_path: Path) -> Path:
    """Where a database may be made."""
    return tmp_path / "ostiary.db"


@pytest.fixture
def database(path: Path) -> Iterator[Database]:
    with Database.open(path) as database:
        yield database
