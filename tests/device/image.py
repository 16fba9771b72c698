"""The disk of a door: a Debian of its own, and our package installed into it by apt.

Both are kept, by a hash of what they are made of, under `OSTIARY_DEVICE_CACHE` or
`~/.cache/ostiary/device`.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from package.build import Target, build

ROOT = Path(__file__).resolve().parents[2]
RECIPE = Path(__file__).with_name("build-root")
SIZE = "6G"
IN_USE_S = 3 * 3600.0
"""A machine of another checkout may be running from an image that is younger than this."""
INSTALL = """
set -eu
mount -t proc proc /proc
echo 'exit 101' >/usr/sbin/policy-rc.d && chmod +x /usr/sbin/policy-rc.d
apt-get install --yes --quiet --no-install-recommends /ostiary.deb
rm /usr/sbin/policy-rc.d /ostiary.deb
# Every machine makes its own keys, at its own first start.
rm -rf /etc/credstore.encrypted /var/lib/systemd/credential.secret
"""


@dataclass(frozen=True, slots=True)
class Image:
    """What a machine is started from; never written to. `disk` is raw, one ext4, no partitions."""

    disk: Path
    kernel: Path
    initrd: Path
    key: Path
    """The SSH key that opens it."""


def cache_folder() -> Path:
    named = os.environ.get("OSTIARY_DEVICE_CACHE")
    return Path(named) if named else Path.home() / ".cache/ostiary/device"


def door_image() -> Image:
    """The image of what this checkout builds."""
    with _alone(cache_folder(), "package"):
        package = build(Target("amd64", "13"), ROOT / "resources/models", ROOT / "build/deb")
        return image(cache_folder(), package)


def image(cache: Path, package: Path) -> Image:
    """The image with `package` installed, made where it is not there yet. Needs root.

    CalledProcessError where that fails; a log lies beside.
    """
    base = _made(cache, "debian", _digest(RECIPE), _build_base)
    files = _digest(RECIPE, package)
    door = _made(cache, "door", files, lambda folder: _install(base, package, folder))
    return Image(door / "disk", base / "vmlinuz", base / "initrd", base / "key")


def _build_base(folder: Path) -> None:
    with _log(folder) as log:
        subprocess.run([RECIPE, folder], stdout=log, stderr=log, check=True)


def _install(base: Path, package: Path, folder: Path) -> None:
    root = folder / "root"
    with _log(folder) as log:

        def run(*command: str | Path) -> None:
            subprocess.run(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=True)

        run("cp", "--archive", "--reflink=auto", base / "root", root)
        shutil.copy(package, root / "ostiary.deb")
        run("unshare", "--mount", "chroot", root, "sh", "-c", INSTALL)
        run("mke2fs", "-q", "-t", "ext4", "-d", root, folder / "disk", SIZE)
    shutil.rmtree(root)


@contextmanager
def _log(folder: Path) -> Iterator[int]:
    with folder.with_suffix(".log").open("wb") as log:
        yield log.fileno()


def _made(cache: Path, name: str, digest: str, make: Callable[[Path], None]) -> Path:
    """`cache/name-digest`, whole; old ones of the name are removed once it is made."""
    folder = cache / f"{name}-{digest}"
    with _alone(cache, name):
        if not folder.is_dir():
            making = cache / f"{name}.making"
            shutil.rmtree(making, ignore_errors=True)
            making.mkdir()
            make(making)
            for other in cache.glob(f"{name}-*"):
                if time.time() - other.stat().st_mtime > IN_USE_S:
                    shutil.rmtree(other)
            making.rename(folder)
    return folder


@contextmanager
def _alone(cache: Path, name: str) -> Iterator[None]:
    """No other process makes the same meanwhile."""
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _digest(*files: Path) -> str:
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]
