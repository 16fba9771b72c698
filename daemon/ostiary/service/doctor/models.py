"""Are the models there, whole, and run where they should?"""

from collections.abc import Iterator
from pathlib import Path

from ostiary.errors import OstiaryError
from ostiary.service.doctor.check import Check, green, red, yellow
from ostiary.service.doctor.secrets import is_open_to_others
from ostiary.settings import VisionSettings
from ostiary.vision.models import (
    MANIFEST,
    checked_models,
    liveness_files,
    models_directory,
    needed_files,
)
from ostiary.vision.runtime import available_providers, open_session, provider_in_use


def check_models(settings: VisionSettings) -> Iterator[Check]:
    try:
        directory = models_directory(settings.models)
    except OstiaryError as error:
        yield red("models", error.message, "Install the package again, or run `make export`.")
        return
    yield _files(directory, settings)
    yield _provider(directory, settings)


def _files(directory: Path, settings: VisionSettings) -> Check:
    again = "Install the package again, or run `ostiary-export all`."
    names = needed_files(settings.recognizer, settings.liveness)
    missing = [name for name in names if not (directory / name).is_file()]
    if missing:
        return red("models", f"{directory}: {', '.join(missing)} missing", again)
    try:
        checked_models(directory, names)
    except OstiaryError as error:
        return red("models", error.message, again)
    writers = [name for name in (*names, MANIFEST) if is_open_to_others(directory / name)]
    if writers:
        return yellow(
            "models",
            f"{directory}: others than the owner may write {', '.join(writers)}",
            f"chmod go-w {directory}/*",
        )
    return green("models", f"{len(names)} files in {directory}, every SHA-256 as built")


def _provider(directory: Path, settings: VisionSettings) -> Check:
    try:
        first, *_ = liveness_files(settings.liveness)
        used = provider_in_use(open_session(directory / first, settings.provider, settings.threads))
    except OstiaryError as error:
        return red("provider", error.message, "Install the package again.")
    if used != settings.provider.lower():
        return yellow(
            "provider",
            f"{settings.provider} is not to be had; {used} is used",
            f"Set vision.provider to one of: {', '.join(available_providers())}.",
        )
    return green("provider", f"{used}, {settings.threads} thread(s)")
