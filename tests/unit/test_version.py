"""What a door says it runs."""

import subprocess
from pathlib import Path

from ostiary import __version__
from ostiary.version import commit_of, described


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=t", "-c", "user.email=t@localhost")
    command = ["git", *identity, "-C", str(folder), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_a_checkout_names_its_commit(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    assert commit_of(tmp_path) is None
    git(tmp_path, "commit", "--quiet", "--allow-empty", "--message=first")
    assert commit_of(tmp_path) == git(tmp_path, "rev-parse", "HEAD")


def test_without_a_repository_only_the_version_is_known(tmp_path: Path) -> None:
    assert commit_of(tmp_path / "nowhere") is None
    assert described().startswith(__version__)
