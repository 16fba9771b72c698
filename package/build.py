"""Builds the Debian package: lays out its files, then lets nfpm pack them.

The package carries a virtual environment whose interpreter is Debian's own python3, and the wheels
that PyPI has for the wanted machine. Nothing is compiled, so any machine builds a package for a
Raspberry Pi.
"""

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ostiary import __version__
from ostiary.settings import ServiceSettings, Settings, StoreSettings, VisionSettings
from ostiary.settings.file import render
from ostiary.version import COMMIT_FILE, commit_of
from ostiary.vision.models import (
    INSTALLED,
    MANIFEST,
    YUNET,
    liveness_files,
    recognizer_files,
)
from package.sbom import write_export_sbom, write_sbom

REPOSITORY = Path(__file__).resolve().parents[1]
LOCK = REPOSITORY / "package/wheels.lock"
PYTHON_OF = {"12": "3.11", "13": "3.13"}
"""Each Debian's python3. Raspberry Pi OS has the same."""
MACHINE_OF = {"amd64": "x86_64", "arm64": "aarch64"}
GLIBC_MINORS = (17, 24, 26, 27, 28, 31, 34)
"""manylinux tags that run on Debian 12 (glibc 2.36), oldest first."""
LEFTOVERS = ("build", "*.egg-info", "__pycache__")
EXTRAS = "console,gpio"
METRICS_PORT = 9464
FIRST_ZIP_MOMENT = 315_532_800  # 1980-01-01


@dataclass(frozen=True, slots=True)
class Target:
    """The machine a package is for: Debian's architecture and release."""

    arch: str
    debian: str

    @property
    def python(self) -> str:
        return PYTHON_OF[self.debian]

    def models(self) -> tuple[str, ...]:
        """The models that an installed door may load there, and the manifest."""
        machine = MACHINE_OF[self.arch]
        recognizers = [*recognizer_files("sface", machine), *recognizer_files("dlib", machine)]
        return (*liveness_files("ensemble", machine), *recognizers, YUNET, MANIFEST)

    def pip_options(self) -> list[str]:
        """The options by which pip chooses the target's wheels, and never compiles.

        pip judges markers such as `python_version < "3.13"` by the building interpreter all the
        same; no dependency of the door depends on one.
        """
        machine = MACHINE_OF[self.arch]
        abi = f"cp{self.python.replace('.', '')}"
        options = ["--only-binary=:all:", "--implementation=cp", f"--python-version={self.python}"]
        options += [f"--abi={name}" for name in (abi, "abi3", "none")]
        tags = [f"manylinux_2_{minor}_{machine}" for minor in GLIBC_MINORS]
        return options + [f"--platform={tag}" for tag in (f"manylinux2014_{machine}", *tags)]


def install_environment(target: Target, root: Path, lock: Path) -> None:
    """Lay out /opt/ostiary under `root`: what `python3 -m venv` makes there, and the wheels that
    `lock` names, by their hashes."""
    home = root / "opt/ostiary"
    packages = home / f"lib/python{target.python}/site-packages"
    pip = [sys.executable, "-m", "pip"]
    source, wheels = root.parent / "source", root.parent / "wheels"
    # From a copy: setuptools would put into the wheel what an earlier build left in build/.
    shutil.copytree(REPOSITORY / "daemon", source, ignore=shutil.ignore_patterns(*LEFTOVERS))
    if (built_from := commit_of(REPOSITORY)) is not None:
        (source / "ostiary" / COMMIT_FILE).write_text(f"{built_from}\n", encoding="ascii")
    _run([*pip, "wheel", "--quiet", "--no-deps", f"--wheel-dir={wheels}", source])
    (wheel,) = wheels.glob("ostiary-*.whl")
    quiet = ["--quiet", "--no-compile", "--no-warn-conflicts"]
    place = [f"--target={packages}", "--no-deps", *target.pip_options()]
    _run([*pip, "install", *quiet, *place, "--require-hashes", f"--requirement={lock}"])
    _run([*pip, "install", *quiet, *place, wheel])
    shutil.rmtree(packages / "bin", ignore_errors=True)  # scripts of the building interpreter
    _forget_where_it_was_built(packages)
    binaries = home / "bin"
    binaries.mkdir()
    (binaries / "python3").symlink_to("/usr/bin/python3")
    (binaries / "python").symlink_to("python3")
    (home / "pyvenv.cfg").write_text(
        f"home = /usr/bin\ninclude-system-site-packages = false\nversion = {target.python}\n"
    )
    script = binaries / "ostiary"
    script.write_text("#!/opt/ostiary/bin/python3\nfrom ostiary.cli.main import main\n\nmain()\n")
    script.chmod(0o755)


def _forget_where_it_was_built(packages: Path) -> None:
    """Remove pip's notes of the wheel's path and hash, which hold the moment of building."""
    for noted in packages.glob("ostiary-*.dist-info/direct_url.json"):
        noted.unlink()
        record = noted.with_name("RECORD")
        lines = record.read_text(encoding="utf-8").splitlines(keepends=True)
        record.write_text("".join(line for line in lines if noted.name not in line))


def install_rest(target: Target, root: Path, models: Path) -> None:
    """The command, the models and the default configuration."""
    command = root / "usr/bin/ostiary"
    command.parent.mkdir(parents=True)
    shutil.copy(REPOSITORY / "package/ostiary", command)
    installed = root / INSTALLED.relative_to("/")
    installed.mkdir(parents=True)
    for name in target.models():
        shutil.copy(models / name, installed / name)
    config = root / "etc/ostiary/ostiary.toml"
    config.parent.mkdir(parents=True)
    config.write_text(render(door_settings()), encoding="utf-8")


def door_settings() -> Settings:
    """The defaults, with the places of an installed door."""
    return Settings.model_construct(
        _fields_set={"store", "vision", "service"},
        store=StoreSettings(path=Path("/var/lib/ostiary/ostiary.db")),
        vision=VisionSettings(models=INSTALLED),
        service=ServiceSettings(metrics_port=METRICS_PORT),
    )


def pack(target: Target, root: Path, out: Path, version: str = __version__) -> Path:
    """Let nfpm write the .deb of the files under `root` into `out`."""
    version = f"{version}+deb{target.debian}"
    major, minor = target.python.split(".")
    environment = os.environ | {
        "ARCH": target.arch,
        "VERSION": version,
        "PYTHON": target.python,
        "PYTHON_NEXT": f"{major}.{int(minor) + 1}",
        "ROOT": str(root),
        "SOURCE_DATE_EPOCH": str(built_at()),
        "MAINTAINER": os.environ.get("DEBEMAIL", "Ostiary <ostiary@localhost>"),
    }
    package = out / f"ostiary_{version}_{target.arch}.deb"
    nfpm = Path(sys.executable).with_name("nfpm")
    _run(
        [nfpm, "package", "--config=package/nfpm.yaml", "--packager=deb", f"--target={package}"],
        environment,
    )
    return package


def root_of(target: Target, out: Path) -> Path:
    """Where the files are laid out."""
    return out / f"{target.arch}-{target.debian}" / "root"


def build(target: Target, models: Path, out: Path, lock: Path = LOCK) -> Path:
    """Build the package and return its path. Whatever fails says so and raises."""
    root = root_of(target, out)
    shutil.rmtree(root.parent, ignore_errors=True)
    install_environment(target, root, lock)
    install_rest(target, root, models)
    packages = root / f"opt/ostiary/lib/python{target.python}/site-packages"
    write_sbom(packages, root / "usr/share/doc/ostiary/sbom.cdx.json")
    _set_modes(root)
    _set_times(root)
    return pack(target, root, out)


def _set_modes(root: Path) -> None:
    """Set who may read what is installed, whatever the builder's umask."""
    for path in root.rglob("*"):
        if not path.is_symlink():
            executable = path.is_dir() or path.stat().st_mode & 0o100
            path.chmod(0o755 if executable else 0o644)


def _set_times(root: Path) -> None:
    """Set all times to the commit's: the same commit makes the same bytes, whenever it is built."""
    for path in (*root.rglob("*"), root):
        os.utime(path, (built_at(), built_at()), follow_symlinks=False)


@cache
def built_at() -> int:
    """SOURCE_DATE_EPOCH (reproducible-builds.org), or when the commit was made; seconds."""
    given = os.environ.get("SOURCE_DATE_EPOCH")
    if given is not None:
        return int(given)
    command = ["git", "log", "-1", "--format=%ct"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    return int(done.stdout) if done.returncode == 0 else FIRST_ZIP_MOMENT


def _run(command: Sequence[str | Path], environment: dict[str, str] | None = None) -> None:
    subprocess.run(command, cwd=REPOSITORY, env=environment, check=True)


def this_arch() -> str | None:
    """Debian's name of this machine's architecture; None where there is no package for it."""
    machine = os.uname().machine
    return next((arch for arch, name in MACHINE_OF.items() if name == machine), None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--arch", choices=MACHINE_OF, default=this_arch())
    parser.add_argument("--debian", choices=PYTHON_OF, default="12")
    parser.add_argument("--models", type=Path, default=REPOSITORY / "resources/models")
    parser.add_argument("--out", type=Path, default=REPOSITORY / "build/deb")
    parser.add_argument("--lock", type=Path, default=LOCK)
    given = parser.parse_args()
    out = given.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    target = Target(given.arch, given.debian)
    # Beside the package, whose bytes must not depend on a workstation's build of torch.
    write_export_sbom(out / "ostiary-export.cdx.json")
    print(build(target, given.models.resolve(), out, given.lock))  # noqa: T201


if __name__ == "__main__":
    main()
