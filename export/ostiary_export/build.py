"""Says which files are built from what, and whether that has to be done again.

A file is up to date when it is the file that was built last, from the same source, by the same
code: `built.json` beside the models keeps the three hashes.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rich.progress import Progress

from ostiary_export import __version__
from ostiary_export.catalogue import Catalogue
from ostiary_export.fetch import fetch
from ostiary_export.files import sha256_of, written_whole

MANIFEST = "built.json"
SOURCES = "sources"
PLAIN = "plain"


@dataclass(frozen=True, slots=True)
class Step:
    """One file to build. `modules` are those of this package whose code decides its content."""

    target: str
    source: Path
    modules: tuple[str, ...]
    build: Callable[[Path, Path], None]
    """Reads the source, writes the target."""
    also: Path | None = None
    """Another file whose content is built in."""


@dataclass(frozen=True, slots=True)
class Workshop:
    """A folder of models in the making. Built files land in `out`, weights in `out`/sources."""

    catalogue: Catalogue
    out: Path
    progress: Progress | None = None

    def source(self, name: str) -> Path:
        """The verified weights of the catalogue's source `name`."""
        return fetch(self.catalogue, name, self.out / SOURCES, self.progress)

    def make(self, step: Step) -> tuple[Path, bool]:
        """Build the step's file unless it is up to date. Returns it, and whether it was built."""
        target = self.out / step.target
        made_from = {"source": sha256_of(step.source), "code": code_of(step.modules)}
        if step.also is not None:
            made_from["also"] = sha256_of(step.also) if step.also.is_file() else ""
        known = self._manifest().get(step.target, {})
        if target.is_file() and known == {**made_from, "sha256": sha256_of(target)}:
            return target, False
        with written_whole(target) as temporary:
            step.build(step.source, temporary)
        self._remember(step.target, {**made_from, "sha256": sha256_of(target)})
        return target, True

    def _manifest(self) -> dict[str, dict[str, str]]:
        try:
            known = json.loads((self.out / MANIFEST).read_text("utf-8"))
        except (FileNotFoundError, ValueError):
            return {}
        return known if isinstance(known, dict) else {}

    def _remember(self, target: str, hashes: dict[str, str]) -> None:
        manifest = {**self._manifest(), target: hashes}
        with written_whole(self.out / MANIFEST) as temporary:
            temporary.write_text(json.dumps(manifest, indent=2, sort_keys=True) + "\n", "utf-8")


def code_of(modules: tuple[str, ...], folder: Path = Path(__file__).parent) -> str:
    """This package's version and a digest of `modules`, so that changed code builds anew."""
    digest = hashlib.sha256()
    for name in modules:
        digest.update((folder / f"{name}.py").read_bytes())
    return f"ostiary-export {__version__}+{digest.hexdigest()[:12]}"
