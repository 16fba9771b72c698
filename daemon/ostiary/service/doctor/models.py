"""Are the models there, whole, and run where they should?"""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

from ostiary.config import VisionSettings
from ostiary.errors import OstiaryError
from ostiary.service.doctor.check import Check, green, red, yellow
from ostiary.vision.models import (
    MINIFASNET_V1SE,
    MINIFASNET_V2,
    YUNET,
    models_directory,
    recognizer_files,
)
from ostiary.vision.runtime import available_providers, open_session, provider_in_use

MANIFEST = "built.json"


def check_models(settings: VisionSettings) -> Iterator[Check]:
    try:
        directory = models_directory(settings.models)
    except OstiaryError as error:
        yield red("models", error.message, "Install the package again, or run `make export`.")
        return
    yield _files(directory, settings)
    yield _provider(directory, settings)


def needed(settings: VisionSettings) -> tuple[str, ...]:
    """The files without which everybody is denied."""
    second = (MINIFASNET_V1SE,) if settings.liveness == "ensemble" else ()
    return (MINIFASNET_V2, *second, *recognizer_files(settings.recognizer), YUNET)


def _files(directory: Path, settings: VisionSettings) -> Check:
    again = "Install the package again, or run `ostiary-export all`."
    names = needed(settings)
    missing = [name for name in names if not (directory / name).is_file()]
    if missing:
        return red("models", f"{directory}: {', '.join(missing)} missing", again)
    try:
        manifest = json.loads((directory / MANIFEST).read_text(encoding="utf-8"))
        wanted = {name: manifest[name]["sha256"] for name in names}
    except (OSError, ValueError, KeyError, TypeError):
        return yellow("models", f"{directory}: no hash to compare in {MANIFEST}", again)
    altered = [name for name in names if _sha256(directory / name) != wanted[name]]
    if altered:
        return red("models", f"{directory}: {', '.join(altered)} altered or damaged", again)
    return green("models", f"{len(names)} files in {directory}, every SHA-256 as built")


def _provider(directory: Path, settings: VisionSettings) -> Check:
    try:
        used = provider_in_use(
            open_session(directory / MINIFASNET_V2, settings.provider, settings.threads)
        )
    except OstiaryError as error:
        return red("provider", error.message, "Install the package again.")
    if used != settings.provider.lower():
        return yellow(
            "provider",
            f"{settings.provider} is not to be had; {used} is used",
            f"Set vision.provider to one of: {', '.join(available_providers())}.",
        )
    return green("provider", f"{used}, {settings.threads} thread(s)")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
