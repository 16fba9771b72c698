"""Every setting, declared once: name, type, range, default and what it is for.

The tree is read from a TOML file and from the environment (`OSTIARY_MQTT__HOST=broker` sets
`mqtt.host`; the environment wins). `config/ostiary.toml` is generated from these classes by
`ostiary config --defaults`, and `make lint` fails when it is stale.
"""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from pydantic import Field, PrivateAttr, ValidationError, model_validator
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from ostiary.errors import ConfigError
from ostiary.settings.access import (
    LARGEST_DISTANCE,
    LEAST_LIVE,
    AccessSettings,
    ClockSettings,
    RulesSettings,
)
from ostiary.settings.cameras import CameraSettings, VisionSettings
from ostiary.settings.device import DeviceSettings, LogSettings, ServiceSettings, StoreSettings
from ostiary.settings.doors import CredentialSettings, DoorSettings, ReaderSettings, RelaySettings
from ostiary.settings.http import HttpSettings
from ostiary.settings.mqtt import CommandSettings, MqttSettings
from ostiary.settings.retired import renewed
from ostiary.settings.section import Section
from ostiary.settings.site import ArchiveSettings, SiteSettings

__all__ = [
    "LARGEST_DISTANCE",
    "LEAST_LIVE",
    "AccessSettings",
    "ArchiveSettings",
    "CameraSettings",
    "ClockSettings",
    "CommandSettings",
    "CredentialSettings",
    "DeviceSettings",
    "DoorSettings",
    "HttpSettings",
    "LogSettings",
    "MqttSettings",
    "ReaderSettings",
    "RelaySettings",
    "RulesSettings",
    "Section",
    "ServiceSettings",
    "Settings",
    "SiteSettings",
    "StoreSettings",
    "VisionSettings",
    "describe_validation",
    "load_settings",
]


class Settings(BaseSettings):
    """The whole tree."""

    model_config = SettingsConfigDict(
        env_prefix="OSTIARY_", env_nested_delimiter="__", extra="forbid", frozen=True
    )

    device: DeviceSettings = Field(default_factory=DeviceSettings)
    cameras: tuple[CameraSettings, ...] = Field(
        default_factory=lambda: (CameraSettings(),), min_length=1
    )
    doors: tuple[DoorSettings, ...] = ()
    readers: tuple[ReaderSettings, ...] = ()
    credentials: CredentialSettings = Field(default_factory=CredentialSettings)
    vision: VisionSettings = Field(default_factory=VisionSettings)
    access: AccessSettings = Field(default_factory=AccessSettings)
    rules: RulesSettings = Field(default_factory=RulesSettings)
    clock: ClockSettings = Field(default_factory=ClockSettings)
    site: SiteSettings = Field(default_factory=SiteSettings)
    store: StoreSettings = Field(default_factory=StoreSettings)
    mqtt: MqttSettings = Field(default_factory=MqttSettings)
    commands: CommandSettings = Field(default_factory=CommandSettings)
    relay: RelaySettings = Field(default_factory=RelaySettings)
    http: HttpSettings = Field(default_factory=HttpSettings)
    archive: ArchiveSettings = Field(default_factory=ArchiveSettings)
    service: ServiceSettings = Field(default_factory=ServiceSettings)
    log: LogSettings = Field(default_factory=LogSettings)

    _retired: tuple[str, ...] = PrivateAttr(default=())

    @property
    def retired(self) -> tuple[str, ...]:
        """A sentence for each key that was read and has another name now, or is no setting any
        more."""
        return self._retired

    @model_validator(mode="after")
    def _the_distance_keeps_strangers_out(self) -> Self:
        distance, used = self.access.distance_threshold, self.vision.recognizer
        if distance is not None and distance > LARGEST_DISTANCE[used]:
            raise ValueError(
                f"access.distance_threshold: {distance:g} would let strangers in; with {used} it "
                f"is {LARGEST_DISTANCE[used]:g} at most"
            )
        return self

    @model_validator(mode="after")
    def _doors_and_readers_are_at_a_camera(self) -> Self:
        cameras = {camera.name for camera in self.cameras}
        doors = [door.camera for door in self.doors]
        for name in (*doors, *(reader.door for reader in self.readers)):
            if name not in cameras:
                raise ValueError(f"doors, readers: there is no camera {name}")
        if len(set(doors)) != len(doors):
            raise ValueError("doors: one table a camera")
        return self

    def door(self, camera: str) -> DoorSettings:
        """The door that this camera looks at."""
        known = {door.camera: door for door in self.doors}
        return known.get(camera, DoorSettings(camera=camera))

    @model_validator(mode="before")
    @classmethod
    def _a_distance_from_before_sface_is_dlibs(cls, data: Any) -> Any:
        """Read a distance without a recogniser as dlib's: such files are from before SFace, and the
        door goes on as it was."""
        if not isinstance(data, dict):
            return data
        access, vision = data.get("access"), data.get("vision", {})
        if not isinstance(access, dict) or not isinstance(vision, dict):
            return data
        if access.get("distance_threshold") is None or "recognizer" in vision:
            return data
        return {**data, "vision": {**vision, "recognizer": "dlib"}}


def load_settings(path: Path | None) -> Settings:
    """Read the settings from `path` (None: defaults) and the environment.

    Raises ConfigError that names every key that is unknown or has a wrong value.
    """
    retired: list[str] = []

    class FromFile(Settings):
        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,
            file_secret_settings: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            sources: list[PydanticBaseSettingsSource] = [env_settings]
            if path is not None:
                sources.append(TomlConfigSettingsSource(settings_cls, toml_file=path))
            return tuple(today(settings_cls, source()) for source in sources)

    def today(settings: type[BaseSettings], data: dict[str, Any]) -> PydanticBaseSettingsSource:
        """Renew each source by itself, so that the environment wins also by an older name."""
        tables, said = renewed(data)
        retired.extend(said)
        return InitSettingsSource(settings, init_kwargs=tables)

    where = path if path is not None else "the environment"
    if path is not None and not path.is_file():
        raise ConfigError(f"{path}: no such file. Start from config/ostiary.toml.")
    try:
        settings = FromFile()
    except SettingsError as error:
        raise ConfigError(f"the environment: {error}: a table is written as JSON there") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"{where}: not valid TOML: {error}") from error
    except ValidationError as error:
        raise ConfigError(f"{where}: {describe_validation(error)}") from None
    settings._retired = tuple(dict.fromkeys(retired))
    return settings


def describe_validation(error: ValidationError) -> str:
    """Each problem with its dotted key, and never with the given value."""
    lines = []
    for problem in error.errors(include_input=False, include_url=False):
        key = ".".join(str(part) for part in problem["loc"]) or "(top)"
        lines.append(f"{key}: {in_words(problem)}")
    return "; ".join(lines)


_WORDS = {
    "extra_forbidden": "unknown key",
    "missing": "is missing",
    "greater_than": "must be more than {gt}",
    "greater_than_equal": "must be {ge} or more",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be {le} or less",
    "finite_number": "must be a number",
    "literal_error": "must be {expected}",
    "enum": "must be {expected}",
    "string_type": "must be a text",
    "string_too_short": "must have {min_length} or more characters",
    "string_too_long": "must have {max_length} characters at most",
    "too_short": "must have {min_length} or more entries",
    "too_long": "must have {max_length} entries at most",
    "string_pattern_mismatch": "does not have the form {pattern}",
    "list_type": "must be a list",
    "tuple_type": "must be a list",
    "dict_type": "must be a table",
    "model_type": "must be a table",
    "model_attributes_type": "must be a table",
    "json_invalid": "is no JSON",
}
_KINDS = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "date": "a date, as 2026-12-24",
    "datetime": "a moment, as 2026-12-24T18:00:00+01:00",
    "timezone": "a moment, as 2026-12-24T18:00:00+01:00",
}


def in_words(problem: Mapping[str, Any]) -> str:
    """What is wrong with one field, by an entry of a ValidationError; never the given value."""
    kind: str = problem["type"]
    if (words := _WORDS.get(kind)) is not None:
        return words.format(**problem.get("ctx", {}))
    if (what := _KINDS.get(kind.partition("_")[0])) is not None:
        return f"must be {what}"
    return str(problem["msg"]).removeprefix("Value error, ")
