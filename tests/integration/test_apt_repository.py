"""A site's own apt repository: real reprepro and GnuPG make it, and a real apt reads it."""

import subprocess
from pathlib import Path

import pytest

from package.apt import AptRepository, PackageRefused


def made_package(folder: Path, version: str, described: str = "a door") -> Path:
    """A package of that name and version with nothing in it."""
    control = folder / version / "DEBIAN/control"
    control.parent.mkdir(parents=True, exist_ok=True)
    control.write_text(
        f"Package: ostiary\nVersion: {version}\nArchitecture: amd64\nSection: net\n"
        f"Priority: optional\nMaintainer: A <a@localhost>\nDescription: {described}\n",
        encoding="ascii",
    )
    package = folder / f"ostiary_{version}_amd64.deb"
    command = ["dpkg-deb", "--build", "--root-owner-group", str(folder / version), str(package)]
    subprocess.run(command, check=True, capture_output=True)
    return package


class Apt:
    """apt with folders of its own, which knows one source."""

    def __init__(self, folder: Path, sources: Path) -> None:
        for each in (
            "lists/partial",
            "cache/archives/partial",
            "etc/sources.list.d",
            "etc/preferences.d",
        ):
            (folder / each).mkdir(parents=True)
        (folder / "etc/sources.list.d/ostiary.sources").write_bytes(sources.read_bytes())
        (folder / "status").touch()
        self._options = [
            f"-oDir::Etc={folder}/etc",
            f"-oDir::State::Lists={folder}/lists",
            f"-oDir::State::status={folder}/status",
            f"-oDir::Cache={folder}/cache",
            "-oAPT::Architecture=amd64",
            "-oAPT::Sandbox::User=root",
        ]

    def __call__(self, *command: str, check: bool = True) -> str:
        done = subprocess.run(
            [command[0], *self._options, *command[1:]], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0 or not check, done.stderr
        return done.stdout + done.stderr


def test_a_door_is_offered_what_is_newest_for_its_debian_and_signed(tmp_path: Path) -> None:
    repository = AptRepository(tmp_path / "apt", tmp_path / "keys")
    old = made_package(tmp_path, "0.1.0+deb12")
    repository.add([old, made_package(tmp_path, "0.1.0+deb13")])
    repository.write_sources(f"file:{repository.folder}")
    apt = Apt(tmp_path / "door", repository.folder / "bookworm/ostiary.sources")
    apt("apt-get", "update")
    assert "Candidate: 0.1.0+deb12" in apt("apt-cache", "policy", "ostiary")
    repository.add([made_package(tmp_path, "0.2.0+deb12")])  # by the same key
    apt("apt-get", "update")
    assert "Candidate: 0.2.0+deb12" in apt("apt-cache", "policy", "ostiary")


def test_a_version_is_one_file_and_the_one_that_is_offered_stays(tmp_path: Path) -> None:
    repository = AptRepository(tmp_path / "apt", tmp_path / "keys")
    repository.add([made_package(tmp_path, "0.1.0+deb12")])
    again = made_package(tmp_path, "0.1.0+deb12", "another door")
    with pytest.raises(PackageRefused, match="Raise the version"):
        repository.add([again])
    repository.write_sources(f"file:{repository.folder}")
    apt = Apt(tmp_path / "door", repository.folder / "bookworm/ostiary.sources")
    apt("apt-get", "update")
    assert "Description: a door" in apt("apt-cache", "show", "ostiary")


def test_what_the_key_did_not_sign_is_refused(tmp_path: Path) -> None:
    repository = AptRepository(tmp_path / "apt", tmp_path / "keys")
    repository.add([made_package(tmp_path, "0.1.0+deb12")])
    repository.write_sources(f"file:{repository.folder}")
    signed = repository.folder / "dists/bookworm/InRelease"
    signed.write_text(signed.read_text().replace("Origin: Ostiary", "Origin: Another"))
    apt = Apt(tmp_path / "door", repository.folder / "bookworm/ostiary.sources")
    said = apt("apt-get", "update", check=False)
    assert "invalid" in said or "BADSIG" in said
    assert "Candidate" not in apt("apt-cache", "policy", "ostiary")
