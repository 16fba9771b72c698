"""Lists the wheels that the door needs, and checks that every supported machine has them: `make
wheels`."""

import json
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from package.build import EXTRAS, LOCK, REPOSITORY, Target

LOCK_HEAD = "# The wheels of every supported machine. `make wheels ARGS=--pin` writes it.\n"

TARGETS = tuple(Target(arch, debian) for debian in ("12", "13") for arch in ("amd64", "arm64"))


@dataclass(frozen=True, slots=True)
class Wheel:
    """One dependency as it is installed. `sha256` in hexadecimal."""

    name: str
    version: str
    file: str
    sha256: str


def wheels_for(target: Target, constraints: Path) -> tuple[Wheel, ...]:
    """Every dependency's wheel, by name. CalledProcessError where one has none."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run"]
        where = ["--ignore-installed", f"--target={folder}/none", f"--report={report}"]
        what = [f"--constraint={constraints}", *target.pip_options(), *requirements()]
        subprocess.run([*pip, *where, *what], cwd=REPOSITORY, check=True)
        found = json.loads(report.read_text(encoding="utf-8"))["install"]
    return tuple(sorted((_wheel(item) for item in found), key=lambda wheel: wheel.name))


def _wheel(item: dict[str, Any]) -> Wheel:
    came = item["download_info"]
    name = item["metadata"]["name"].lower().replace("_", "-")
    file = came["url"].rpartition("/")[2]
    return Wheel(name, item["metadata"]["version"], file, came["archive_info"]["hashes"]["sha256"])


def lock_of(wheels: Iterable[Wheel]) -> str:
    """A requirements file for `pip install --require-hashes`: whichever machine it is for."""
    hashes: dict[str, set[str]] = {}
    for wheel in wheels:
        hashes.setdefault(f"{wheel.name}=={wheel.version}", set()).add(wheel.sha256)
    return LOCK_HEAD + "".join(
        " \\\n    ".join([pinned, *(f"--hash=sha256:{each}" for each in sorted(hashes[pinned]))])
        + "\n"
        for pinned in sorted(hashes)
    )


def requirements() -> list[str]:
    """What daemon/pyproject.toml asks for, with the extras that are packaged."""
    text = (REPOSITORY / "daemon/pyproject.toml").read_text(encoding="utf-8")
    project = tomllib.loads(text)["project"]
    extras = (project["optional-dependencies"][extra] for extra in EXTRAS.split(","))
    return [*project["dependencies"], *(needed for extra in extras for needed in extra)]


def main(arguments: list[str]) -> None:
    """Print one line for each wheel, for every supported machine; with --pin write their hashes
    into the lock."""
    every: list[Wheel] = []
    for target in TARGETS:
        wheels = wheels_for(target, REPOSITORY / "constraints.txt")
        every += wheels
        print(f"Debian {target.debian}, {target.arch}: {len(wheels)} wheels")  # noqa: T201
        for wheel in sorted(wheel.file for wheel in wheels):
            print(f"  {wheel}")  # noqa: T201
    if "--pin" in arguments:
        LOCK.write_text(lock_of(every), encoding="ascii")


if __name__ == "__main__":
    main(sys.argv[1:])
