"""Thresholds that were set while the door runs, in a file beside the database.

The environment wins over this file, this file over the operator's TOML file, that over the
defaults. The operator's own file is never written.
"""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from ostiary.errors import ConfigError, DatabaseUnwritable, SettingInvalid
from ostiary.settings import AccessSettings, Settings, describe_validation
from ostiary.settings.access import ADJUSTABLE
from ostiary.settings.file import toml

THRESHOLDS = ("false_accept", "distance_threshold")
"""The risk and the distance, of which one is in force."""

Values = Mapping[str, float | int | bool]


def ranges() -> dict[str, dict[str, float]]:
    """The range of each field of ADJUSTABLE, in the words of JSON Schema."""
    words = {"Ge": "minimum", "Gt": "exclusiveMinimum", "Le": "maximum", "Lt": "exclusiveMaximum"}
    return {
        name: {
            words[type(limit).__name__]: getattr(limit, type(limit).__name__.lower())
            for limit in AccessSettings.model_fields[name].metadata
        }
        for name in ADJUSTABLE
    }


def overrides_path(settings: Settings) -> Path:
    """The file of the overrides: `ostiary.settings.toml` beside `ostiary.db`."""
    return settings.store.path.with_suffix(".settings.toml")


def read_overrides(path: Path) -> Values:
    """The values that were set; none where there is no file. Raises ConfigError."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error
    try:
        access = tomllib.loads(text).get("access", {})
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: not valid TOML: {error}. Remove it to begin anew.") from error
    if not isinstance(access, dict) or not set(access) <= set(ADJUSTABLE):
        raise ConfigError(f"{path}: only {', '.join(ADJUSTABLE)} may stand in [access].")
    return access


def with_overrides(settings: Settings) -> Settings:
    """The settings with what was set while running. Raises ConfigError."""
    path = overrides_path(settings)
    values = {
        name: value for name, value in read_overrides(path).items() if not set_by_environment(name)
    }
    if not values:
        return settings
    try:
        access = adjusted(settings.access, values)
    except SettingInvalid as error:
        raise ConfigError(f"{path}: {error}") from None
    vision = settings.vision
    if "distance_threshold" in values and "recognizer" not in vision.model_fields_set:
        # Set when dlib was the only recogniser: the distance is dlib's.
        vision = vision.model_copy(update={"recognizer": "dlib"})
    return settings.model_copy(update={"access": access, "vision": vision})


def set_by_environment(name: str) -> bool:
    """Whether the environment has the last word on this field of `[access]`."""
    return any(variable.upper() == f"OSTIARY_ACCESS__{name.upper()}" for variable in os.environ)


def adjusted(access: AccessSettings, values: Values) -> AccessSettings:
    """`access` with other values. A risk replaces a distance, and a distance a risk. Raises
    SettingInvalid, which says what is out of range."""
    kept = access.model_dump(exclude_unset=True)
    for one, other in (THRESHOLDS, THRESHOLDS[::-1]):
        if one in values:
            kept.pop(other, None)
    try:
        return AccessSettings.model_validate({**kept, **values})
    except ValidationError as error:
        raise SettingInvalid(describe_validation(error)) from None


def write_overrides(path: Path, values: Values) -> None:
    """Write exactly these values; without any, remove the file. Raises DatabaseUnwritable."""
    try:
        if not values:
            path.unlink(missing_ok=True)
            return
        unfinished = path.with_name(path.name + ".new")
        with unfinished.open("w", encoding="utf-8") as file:
            file.write("# Set in the console. Wins over the configuration file, not over the\n")
            file.write("# environment. Remove this file, or a line, to go back.\n[access]\n")
            for name, value in sorted(values.items()):
                file.write(f"{name} = {toml(value)}\n")
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    except OSError as error:
        raise DatabaseUnwritable(f"{path}: {error}. Nothing was changed.") from error
