"""Containers as podman runs them on these machines, too: without a bridge of its own, and without
cgroups of the unified kind."""

import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Self

LIMITS = ("--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024", "--network", "host")
TOOLS = ("podman", "runc", "conmon")


class Podman:
    """podman, whose images, containers and volumes go with it."""

    def __init__(self) -> None:
        folder = self._folder = Path(tempfile.mkdtemp(prefix="podman-"))  # it takes no long path
        self._command = (
            *("podman", "--root", str(folder / "images"), "--runroot", str(folder / "run")),
            *("--storage-driver", "vfs", "--runtime", shutil.which("runc") or "runc"),
            *("--cgroup-manager", "cgroupfs"),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self("rm", "--all", "--force", "--time", "0", check=False)
        shutil.rmtree(self._folder, ignore_errors=True)

    def __call__(self, *arguments: str | Path, check: bool = True) -> str:
        """What it says, or why it fails. Raises AssertionError where that is not expected."""
        done = subprocess.run(
            [*self._command, *map(str, arguments)], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0 or not check, f"{arguments}: {done.stderr}"
        return done.stderr if done.returncode else done.stdout

    def build(self, image: str, folder: Path) -> None:
        """Make the image that the Dockerfile in `folder` describes."""
        self("build", "--quiet", "--isolation=chroot", f"--tag={image}", folder)

    def start(self, name: str, image: str, *options: str | Path) -> None:
        """Run a container whose own files nobody can change, without any capability."""
        hardened = ("--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges")
        self("run", "--detach", "--name", name, *LIMITS, *hardened, *options, image)
