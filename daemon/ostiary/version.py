"""The version, and the commit that it was built from."""

import json
import subprocess
from importlib.metadata import Distribution, PackageNotFoundError
from importlib.resources import files
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from ostiary import __version__

COMMIT_FILE = "COMMIT"
"""Beside this file in a built package."""


def described() -> str:
    """`0.1.0 (commit 1a2b3c4)`, without the commit where it is unknown."""
    known = commit()
    return __version__ if known is None else f"{__version__} (commit {known[:12]})"


def commit() -> str | None:
    """The commit in hex; None where it is unknown."""
    built = files("ostiary") / COMMIT_FILE
    if built.is_file():
        return built.read_text(encoding="ascii").strip() or None
    return _installed_commit()


def _installed_commit() -> str | None:
    """The commit by pip's note (PEP 610): a repository's, or of the installed checkout."""
    try:
        noted = Distribution.from_name("ostiary").read_text("direct_url.json")
        origin = json.loads(noted or "{}")
    except (PackageNotFoundError, ValueError):
        return None
    if found := origin.get("vcs_info", {}).get("commit_id"):
        return str(found)
    if not origin.get("dir_info", {}).get("editable"):
        return None
    return commit_of(Path(url2pathname(urlsplit(origin["url"]).path)))


def commit_of(checkout: Path) -> str | None:
    """The commit that a git checkout is at; None where there is none, or no git."""
    try:
        done = subprocess.run(
            ["git", "-C", str(checkout), "rev-parse", "HEAD"],
            capture_output=True,
            text=True,
            timeout=5,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None
