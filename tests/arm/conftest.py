"""The package, the Debians that it is put into, and the page of figures."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from bench.harness import PORTRAITS
from ostiary.vision.arrays import BGRImage
from ostiary.vision.engine import VisionEngine
from package.build import Target, build
from tests.arm import root as arm
from tests.conftest import ROOT

CACHE = ROOT / "build/arm"
FIGURES = CACHE / "figures.md"
CHECKPOINT = "2.7_80x80_MiniFASNetV2.pth"

FACE_PX = 130

Say = Callable[[str], None]


def scene(engine: VisionEngine) -> BGRImage:
    """A head and shoulders in 640×480, the face 130 pixels wide."""
    whole = np.asarray(cv2.imread(str(PORTRAITS / "obama.jpg")), np.uint8)
    box = engine.detect(whole)[0].box
    scale = FACE_PX / box.width
    small = cv2.resize(whole, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    x, y = (round(scale * value) for value in box.center)
    shift = np.array([[1, 0, 320 - x], [0, 1, 220 - y]], np.float32)
    frame = cv2.warpAffine(small, shift, (640, 480), borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(frame, np.uint8)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Every figure once more, together."""
    if FIGURES.is_file():
        terminalreporter.section(f"figures, also in {FIGURES.relative_to(ROOT)}")
        terminalreporter.write_line(FIGURES.read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def say() -> Iterator[Say]:
    """Prints a line of figures, and keeps it in build/arm/figures.md."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with FIGURES.open("w", encoding="utf-8") as file:

        def line(text: str) -> None:
            print(text, file=file, flush=True)
            print(text)  # noqa: T201

        yield line


@pytest.fixture(scope="session")
def package(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The .deb that OSTIARY_PACKAGE names; else one as `make deb ARCH=arm64` makes it."""
    if given := os.environ.get("OSTIARY_PACKAGE"):
        return Path(given).resolve()
    return build(Target(arm.ARCH, "12"), models, tmp_path_factory.mktemp("deb"))


@pytest.fixture(scope="session")
def shared(models: Path, engine: VisionEngine, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What both processors see: scripts, a frame, and (for the counts only) export and models."""
    folder = tmp_path_factory.mktemp("shared")
    for script in arm.INSIDE.glob("*.py"):
        shutil.copy(script, folder)
    assert cv2.imwrite(str(folder / "frame.png"), scene(engine))
    shutil.copytree(ROOT / "export/ostiary_export", folder / "export/ostiary_export")
    beside = folder / "resources/models"
    (beside / "sources").mkdir(parents=True)
    for file in models.glob("*.onnx"):
        shutil.copy(file, beside)
    shutil.copy(models / "sources" / CHECKPOINT, beside / "sources")
    return folder


@pytest.fixture(scope="session")
def unpacked(package: Path, shared: Path, tmp_path_factory: pytest.TempPathFactory) -> arm.Root:
    """The package laid out in an arm64 Debian that is not set up."""
    return arm.unpacked(CACHE, tmp_path_factory.mktemp("unpacked"), shared, package)


@pytest.fixture(scope="session")
def installed(package: Path, shared: Path, tmp_path_factory: pytest.TempPathFactory) -> arm.Root:
    """The package installed by ARM's own apt."""
    return arm.installed(CACHE, tmp_path_factory.mktemp("installed"), shared, package)
