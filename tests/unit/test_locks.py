"""What `make setup` installs is pinned by its hash; PyTorch by its version."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
BY_VERSION_ONLY = {"torch"}
EXTRAS = {"console", "gpio", "site", "archive"}  # of the daemon, as requirements-dev.txt has them
OURS = {"ostiary"}


def pins(text: str) -> dict[str, str]:
    """Versions by name."""
    found = re.findall(r"^([\w.-]+)==([^\s\\]+)", text, re.MULTILINE)
    return {canonicalize_name(name): version for name, version in found}


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def locked() -> str:
    return read("requirements-build.lock") + read("requirements.lock")


def asked_for() -> Iterator[Requirement]:
    for distribution in ("daemon", "export"):
        project = tomllib.loads(read(f"{distribution}/pyproject.toml"))
        yield from map(Requirement, project["build-system"]["requires"])
        yield from map(Requirement, project["project"]["dependencies"])
        for extra, needed in project["project"].get("optional-dependencies", {}).items():
            yield from map(Requirement, needed if extra in EXTRAS else ())
    for line in read("requirements-dev.txt").splitlines():
        if line and not line.startswith(("#", "-e ")):
            yield Requirement(line)


def test_the_locks_have_what_the_constraints_name() -> None:
    chosen = pins(read("constraints.txt"))
    assert chosen.keys() >= BY_VERSION_ONLY
    expected = {name: v for name, v in chosen.items() if name not in BY_VERSION_ONLY}
    assert pins(locked()) == expected, "make lock"


def test_everything_locked_has_a_hash() -> None:
    entries = re.split(r"\n(?=[\w.-]+==)", locked())[1:]
    assert len(entries) == len(pins(locked()))
    assert [entry for entry in entries if not re.search(r"--hash=sha256:[0-9a-f]{64}", entry)] == []


@pytest.mark.parametrize("wanted", list(asked_for()), ids=str)
def test_whatever_is_asked_for_is_pinned_within_its_range(wanted: Requirement) -> None:
    name = canonicalize_name(wanted.name)
    if name not in OURS:
        assert wanted.specifier.contains(pins(read("constraints.txt"))[name])


def test_the_extras_are_those_that_are_set_up() -> None:
    found = re.search(r"^-e ./daemon\[([\w,]+)\]$", read("requirements-dev.txt"), re.MULTILINE)
    assert found is not None
    assert set(found[1].split(",")) == EXTRAS
