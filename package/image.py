"""Makes an OCI image of the package in build/deb, and the folder of the Home Assistant app: `make
image`.

mmdebstrap makes a small Debian with the package's files and without systemd; buildah makes the
image of that. Nothing comes from a registry.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from ostiary import __version__
from package.apt import CODENAMES
from package.build import PYTHON_OF, built_at, this_arch

REPOSITORY = Path(__file__).resolve().parents[1]
CONTAINER = REPOSITORY / "package/container"
APP = REPOSITORY / "package/home-assistant"
NEEDED = ("buildah", "mmdebstrap")
NAME = "localhost/ostiary:latest"
HOME_ASSISTANTS = {"arm64": "aarch64"}
"""Its names of machines, where they are not Debian's."""
SERVICES = {"systemd", "init-system-helpers"}
"""What the package needs where it starts a service; a container has its own ways."""
BESIDES = ("ca-certificates", "usr-is-merged")
LEFT_OUT = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*", "*/gconv/*")
KEPT = "/usr/share/doc/*/copyright"
HOOKS = "/usr/share/mmdebstrap/hooks/maybe-merged-usr"


def dependencies(package: Path) -> list[str]:
    """The Debian packages that a container needs."""
    command = ("dpkg-deb", "--field", package, "Depends")
    found = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return sorted({each.split()[0] for each in found.split(", ")} - SERVICES | {*BESIDES})


def make_root(package: Path, arch: str, debian: str, out: Path) -> None:
    """Write `out`, a .tar.gz of everything in the image."""
    excluded = [f"--dpkgopt=path-exclude={each}" for each in LEFT_OUT]
    _run(
        "mmdebstrap",
        *("--quiet", "--variant=essential", f"--architectures={arch}", f"--hook-dir={HOOKS}"),
        f"--include={','.join(dependencies(package))}",
        *excluded,
        f"--dpkgopt=path-include={KEPT}",
        f"--customize-hook={CONTAINER / 'fill'}",
        *(CODENAMES[debian], out),
        PACKAGE=str(package),
        SOURCE_DATE_EPOCH=str(built_at()),
    )


def make_image(folder: Path, arch: str, out: Path) -> None:
    """Write `out`, the archive of the image that the Dockerfile in `folder` describes. buildah
    keeps its images beside `out` meanwhile, and not among this machine's."""
    store = out.with_suffix(".store")
    places = ("--root", store / "images", "--runroot", store / "run")
    buildah = ("buildah", *places, "--storage-driver", "vfs")
    try:
        _run(
            *(*buildah, "build", "--quiet", "--isolation=chroot", f"--arch={arch}"),
            *(
                f"--label=org.opencontainers.image.version={__version__}",
                f"--timestamp={built_at()}",
            ),
            *(f"--tag={NAME}", folder),
        )
        out.unlink(missing_ok=True)  # or it would be added to
        _run(*buildah, "push", "--quiet", NAME, f"oci-archive:{out}:{NAME}")
    finally:
        shutil.rmtree(store, ignore_errors=True)


def build(package: Path, arch: str, debian: str, out: Path) -> Path:
    """Make the image of `package` and the app's folder under `out`; the path of the image's
    archive. Raises CalledProcessError where a tool fails, which says why."""
    context, app = out / "context", out / "home-assistant/ostiary"
    for folder in (context, app):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    make_root(package, arch, debian, context / "root.tar.gz")
    dockerfile = context / "Dockerfile"
    shutil.copy(CONTAINER / "Dockerfile", dockerfile)
    image = out / f"ostiary_{__version__}_{arch}.tar"
    make_image(context, arch, image)
    for name in ("compose.yaml", "mosquitto.conf"):
        shutil.copy(CONTAINER / name, out)
    shutil.copy(REPOSITORY / "config/mosquitto/ostiary.acl", out)
    config = (APP / "config.yaml").read_text(encoding="utf-8")
    of_this = f"arch: [{HOME_ASSISTANTS.get(arch, arch)}]"
    (app / "config.yaml").write_text(re.sub(r"(?m)^arch: .*$", of_this, config), encoding="utf-8")
    (app / "Dockerfile").write_text(dockerfile.read_text() + (APP / "Dockerfile").read_text())
    (app / "root.tar.gz").hardlink_to(context / "root.tar.gz")
    return image


def _run(*command: str | Path, **environment: str) -> None:
    subprocess.run(command, check=True, env=os.environ | environment)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--arch", default=this_arch())
    parser.add_argument("--debian", choices=PYTHON_OF, default="12")
    parser.add_argument("--packages", type=Path, default=REPOSITORY / "build/deb")
    parser.add_argument("--out", type=Path, default=REPOSITORY / "build/image")
    given = parser.parse_args(arguments)
    if missing := [each for each in NEEDED if shutil.which(each) is None]:
        sys.exit(
            f"Missing here: {', '.join(missing)}. Run: sudo apt-get install {' '.join(missing)}"
        )
    package = given.packages.resolve() / f"ostiary_{__version__}+deb{given.debian}_{given.arch}.deb"
    if not package.exists():
        parser.error(f"no {package}: `make deb` first")
    print(build(package, given.arch, given.debian, given.out.resolve()))  # noqa: T201


if __name__ == "__main__":
    main()
