"""Where the built models are, what their files are called, and which of them suits the processor.

ONNX Runtime's CPU provider runs convolutions fastest on channels in blocks (its NCHWc layout), but
has kernels for that on x86-64 only. There, PRelu written as depthwise convolutions keeps a whole
graph in blocks. On other processors these convolutions are extra work, and PRelu as a product and a
maximum on plain NCHW is less. So the export builds each network that bends by PRelu twice, both
proven equal to the original, and the processor's architecture says which one is loaded.

This is not measured at start: ONNX Runtime's kernels are chosen when it is compiled, the files
differ by a third and more (docs/hardware.md), and a busy moment at start must not decide by which
file a door judges. `make arm` holds IN_BLOCKS against what ONNX Runtime does on each architecture,
so that a version with new kernels is noticed.
"""

import hashlib
import json
import os
import platform
from collections.abc import Iterable
from pathlib import Path

from ostiary.errors import ModelInvalid, ModelMissing
from ostiary.messages.words import RecognizerName

MINIFASNET_V2 = "minifasnet_v2.onnx"
MINIFASNET_V1SE = "minifasnet_v1se.onnx"
SFACE = "sface.onnx"
DLIB_RESNET = "dlib_resnet.onnx"
LANDMARKS5 = "landmarks5.npz"
YUNET = "face_detection_yunet.onnx"

MANIFEST = "built.json"
"""Written beside the models by `ostiary-export`: the SHA-256 of each as it was built."""

INSTALLED = Path("/usr/share/ostiary/models")
IN_BLOCKS = frozenset({"x86_64", "amd64"})
"""Machines, as `platform.machine()` names them, for which ONNX Runtime has the blocked layout."""
NCHW_SUFFIX = "_nchw"


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


def recognizer_files(recognizer: RecognizerName, machine: str | None = None) -> tuple[str, ...]:
    """Files that the recogniser needs on `machine` (None: this one)."""
    return (suited(SFACE, machine),) if recognizer == "sface" else (DLIB_RESNET, LANDMARKS5)


def liveness_files(kind: str, machine: str | None = None) -> tuple[str, ...]:
    """Files that liveness "v2" or "ensemble" needs on `machine` (None: this one)."""
    names = (MINIFASNET_V2, MINIFASNET_V1SE) if kind == "ensemble" else (MINIFASNET_V2,)
    return tuple(suited(name, machine) for name in names)


def model_path(directory: Path, name: str) -> Path:
    """The file `name` in `directory`. Raises ModelMissing that says how to build it."""
    path = directory / name
    if not path.is_file():
        raise ModelMissing(
            f"{path}: no such model. Build it with `ostiary-export all --out {directory}`."
        )
    return path


def needed_files(
    recognizer: RecognizerName, liveness: str, former: RecognizerName | None = None
) -> tuple[str, ...]:
    """Files without which everybody is denied. `liveness` is "v2" or "ensemble"."""
    earlier = () if former is None else recognizer_files(former)
    return (*liveness_files(liveness), *recognizer_files(recognizer), *earlier, YUNET)


def built_hashes(directory: Path) -> dict[str, str]:
    """The SHA-256, in hex, of each model as it was built, by the manifest. Raises ModelInvalid."""
    path = directory / MANIFEST
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        return {str(name): str(entry["sha256"]) for name, entry in manifest.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise ModelInvalid(
            f"{path}: no readable manifest, so nobody can say whether the models are those that "
            f"were built. Build them again with `ostiary-export all --out {directory}`."
        ) from None


def checked_models(directory: Path, names: Iterable[str]) -> dict[str, str]:
    """The SHA-256 of each of these files, once each is known to be as it was built.

    A liveness network that says "live" to everything is a working model to ONNX Runtime. Raises
    ModelMissing, or ModelInvalid that names the altered file.
    """
    found = {name: sha256_of(model_path(directory, name)) for name in names}
    built = built_hashes(directory)
    altered = [name for name, value in found.items() if built.get(name) != value]
    if altered:
        raise ModelInvalid(
            f"{directory}: {', '.join(altered)}: altered or damaged since it was built. Nobody "
            f"is let in by it. Build it again with `ostiary-export all --out {directory}`, or "
            "install the package again, and find out who changed it."
        )
    return found


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def nchw(name: str) -> str:
    """The name of the variant of the model file `name` for processors without the blocked layout:
    "sface_nchw.onnx" for "sface.onnx"."""
    stem, dot, ending = name.rpartition(".")
    return f"{stem}{NCHW_SUFFIX}{dot}{ending}"


def suited(name: str, machine: str | None = None) -> str:
    """The file of the network `name` for `machine` (None: this one).

    `name` is that of a network which is built for both layouts.
    """
    known = (machine or platform.machine()).lower()
    return name if known in IN_BLOCKS else nchw(name)
