"""Makes an apt repository of the packages in build/deb, signed, for any web server: `make apt`.

Run again with newer packages it offers those, and doors take them by `apt upgrade`.
"""

import argparse
import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
CODENAMES = {"12": "bookworm", "13": "trixie"}
SIGNER = "Ostiary packages"
KEY_FILE = "ostiary.asc"
SOURCES_FILE = "ostiary.sources"


class PackageRefused(Exception):
    """A package that cannot be offered."""


@dataclass(frozen=True, slots=True)
class AptRepository:
    """`folder` is what is served. `keys`, a GnuPG home, has the secret key that signs it, made at
    the first time: keep it apart."""

    folder: Path
    keys: Path

    def add(self, packages: Sequence[Path]) -> None:
        """Offer these packages, each to the Debian that its version names (`+deb12`). Raises
        PackageRefused where reprepro does not take one, which says why."""
        try:
            self._write_conf(self._fingerprint())
            for package in packages:
                self._include(package)
            self._run(
                "gpg", "--batch", "--yes", "--armor", "--output", self.folder / KEY_FILE, "--export"
            )
        finally:
            self._run("gpgconf", "--kill", "all")

    def write_sources(self, uri: str) -> None:
        """Write for each Debian a file for doors' /etc/apt/sources.list.d, with the key in it."""
        key = (self.folder / KEY_FILE).read_text(encoding="ascii").splitlines()
        for codename in CODENAMES.values():
            lines = [
                "Types: deb",
                f"URIs: {uri}",
                f"Suites: {codename}",
                "Components: main",
                "Signed-By:",
                *(f" {line or '.'}" for line in key),
            ]
            target = self.folder / codename / SOURCES_FILE
            target.parent.mkdir(exist_ok=True)
            target.write_text("\n".join(lines) + "\n", encoding="ascii")

    def _include(self, package: Path) -> None:
        (debian,) = (each for each in CODENAMES if f"+deb{each}_" in package.name)
        into = ("includedeb", CODENAMES[debian], package)
        try:
            self._run("reprepro", "--basedir", self.folder, *into)
        except subprocess.CalledProcessError as error:
            raise PackageRefused(
                f"{package.name} is not taken. A version is one file: a door that has it takes no "
                f"other. Raise the version, or remove {self.folder} where no door knows it yet."
            ) from error

    def _fingerprint(self) -> str:
        self.keys.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not self._fingerprints():
            self._run(
                *("gpg", "--batch", "--passphrase", "", "--quick-generate-key"),
                *(SIGNER, "ed25519", "sign", "never"),
            )
        return self._fingerprints()[0]

    def _fingerprints(self) -> list[str]:
        listed = self._run("gpg", "--batch", "--with-colons", "--list-secret-keys")
        lines = (line.split(":") for line in listed.splitlines())
        return [fields[9] for fields in lines if fields[0] == "fpr"]

    def _write_conf(self, fingerprint: str) -> None:
        conf = self.folder / "conf"
        conf.mkdir(parents=True, exist_ok=True)
        stanzas = (
            f"Codename: {codename}\nComponents: main\nArchitectures: amd64 arm64\n"
            f"Origin: Ostiary\nDescription: Face doors\nSignWith: {fingerprint}\n"
            for codename in CODENAMES.values()
        )
        (conf / "distributions").write_text("\n".join(stanzas), encoding="ascii")

    def _run(self, *command: str | Path) -> str:
        environment = os.environ | {"GNUPGHOME": str(self.keys)}
        done = subprocess.run(
            command, env=environment, check=True, text=True, stdout=subprocess.PIPE
        )
        return done.stdout


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--packages", type=Path, default=REPOSITORY / "build/deb")
    parser.add_argument("--out", type=Path, default=REPOSITORY / "build/apt")
    parser.add_argument("--keys", type=Path, default=REPOSITORY / "build/apt-keys")
    parser.add_argument("--uri", default="https://packages.example/ostiary")
    given = parser.parse_args()
    packages = sorted(given.packages.glob("ostiary_*.deb"))
    if not packages:
        parser.error(f"no package in {given.packages}: `make deb` first")
    repository = AptRepository(given.out.resolve(), given.keys.resolve())
    try:
        repository.add(packages)
    except PackageRefused as error:
        raise SystemExit(str(error)) from error
    repository.write_sources(given.uri)


if __name__ == "__main__":
    main()
