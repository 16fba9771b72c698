"""Which wheels the door needs, and whether every supported machine has them: `make wheels`."""

import json
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

from package.build import EXTRAS, REPOSITORY, Target

TARGETS = tuple(Target(arch, debian) for debian in ("12", "13") for arch in ("amd64", "arm64"))


def wheels_for(target: Target, constraints: Path) -> dict[str, str]:
    """The file name of every dependency's wheel. CalledProcessError where one has none."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run"]
        where = ["--ignore-installed", f"--target={folder}/none", f"--report={report}"]
        what = [f"--constraint={constraints}", *target.pip_options(), *requirements()]
        subprocess.run([*pip, *where, *what], cwd=REPOSITORY, check=True)
        found = json.loads(report.read_text(encoding="utf-8"))["install"]
    return {
        item["metadata"]["name"].lower(): item["download_info"]["url"].rpartition("/")[2]
        for item in found
    }


def requirements() -> list[str]:
    """What daemon/pyproject.toml asks for, with the extras that are packaged."""
    text = (REPOSITORY / "daemon/pyproject.toml").read_text(encoding="utf-8")
    project = tomllib.loads(text)["project"]
    extras = (project["optional-dependencies"][extra] for extra in EXTRAS.split(","))
    return [*project["dependencies"], *(needed for extra in extras for needed in extra)]


def main() -> None:
    """One line a wheel, for every supported machine."""
    for target in TARGETS:
        wheels = wheels_for(target, REPOSITORY / "constraints.txt")
        print(f"Debian {target.debian}, {target.arch}: {len(wheels)} wheels")  # noqa: T201
        for wheel in sorted(wheels.values()):
            print(f"  {wheel}")  # noqa: T201


if __name__ == "__main__":
    main()
