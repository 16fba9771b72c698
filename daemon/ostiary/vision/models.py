"""Where the built models are, and what their files are called."""

import os
from pathlib import Path

from ostiary.errors import ModelMissing
from ostiary.messages.recognizer import RecognizerName

MINIFASNET_V2 = "minifasnet_v2.onnx"
MINIFASNET_V1SE = "minifasnet_v1se.onnx"
SFACE = "sface.onnx"
DLIB_RESNET = "dlib_resnet.onnx"
LANDMARKS5 = "landmarks5.npz"
YUNET = "face_detection_yunet.onnx"

INSTALLED = Path("/usr/share/ostiary/models")


def models_directory(explicit: Path | None = None) -> Path:
    """The folder of the models.

    `explicit` or the environment's OSTIARY_MODELS is taken at its word; without either,
    `resources/models` under the working directory, else the installed folder.
    Raises ModelMissing when there is no such folder.
    """
    named = explicit or (Path(given) if (given := os.environ.get("OSTIARY_MODELS")) else None)
    candidates = (named,) if named is not None else (Path("resources/models"), INSTALLED)
    for candidate in candidates:
        if candidate.is_dir():
            return candidate
    tried = ", ".join(str(candidate) for candidate in candidates)
    raise ModelMissing(
        f"No folder of models: looked for {tried}. "
        f"Build them with `ostiary-export all --out {candidates[0]}`."
    )


def recognizer_files(recognizer: RecognizerName) -> tuple[str, ...]:
    """What the recogniser needs."""
    return (SFACE,) if recognizer == "sface" else (DLIB_RESNET, LANDMARKS5)


def model_path(directory: Path, name: str) -> Path:
    """The file `name` in `directory`. Raises ModelMissing that says how to build it."""
    path = directory / name
    if not path.is_file():
        raise ModelMissing(
            f"{path}: no such model. Build it with `ostiary-export all --out {directory}`."
        )
    return path
