"""A certificate authority for a test, made with openssl."""

import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Certificate:
    """PEM files."""

    certificate: Path
    key: Path


class Authority:
    """Issues certificates into `folder`."""

    def __init__(self, folder: Path, name: str = "Test CA") -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.ca = Certificate(folder / "ca.crt", folder / "ca.key")
        (folder / "index.txt").touch()
        (folder / "serial").write_text("01\n", encoding="ascii")
        (folder / "ca.conf").write_text(
            f"""
[ca]
default_ca = test
[test]
database = {folder}/index.txt
serial = {folder}/serial
new_certs_dir = {folder}
default_md = sha256
policy = any
unique_subject = no
copy_extensions = copy
[any]
commonName = supplied
""",
            encoding="utf-8",
        )
        self._openssl(
            *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"),
            *("-nodes", "-days", "30", "-subj", f"/CN={name}"),
            *("-keyout", str(self.ca.key), "-out", str(self.ca.certificate)),
        )

    def issue(
        self, name: str, *, host: str | None = None, valid_days: tuple[float, float] = (-1, 30)
    ) -> Certificate:
        """A certificate with CN `name`, valid from and until so many days from now."""
        stem = f"{name}-{host}-{valid_days[1]}".replace("/", "_")
        issued = Certificate(self._folder / f"{stem}.crt", self._folder / f"{stem}.key")
        request = self._folder / f"{stem}.csr"
        kind = "DNS" if host is not None and host[-1].isalpha() else "IP"
        names = [] if host is None else ["-addext", f"subjectAltName={kind}:{host}"]
        self._openssl(
            *("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"),
            *("-nodes", "-subj", f"/CN={name}", *names),
            *("-keyout", str(issued.key), "-out", str(request)),
        )
        start, end = (
            (datetime.now(UTC) + timedelta(days=days)).strftime("%Y%m%d%H%M%SZ")
            for days in valid_days
        )
        self._openssl(
            *("ca", "-batch", "-notext", "-config", str(self._folder / "ca.conf")),
            *("-cert", str(self.ca.certificate), "-keyfile", str(self.ca.key)),
            *("-startdate", start, "-enddate", end, "-in", str(request)),
            *("-out", str(issued.certificate)),
        )
        return issued

    @staticmethod
    def _openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], check=True, capture_output=True)


def self_signed(folder: Path, name: str) -> tuple[str, str]:
    """Certificate and key, as a camera makes them: for a name that is no address."""
    certificate, key = str(folder / f"{name}.pem"), str(folder / f"{name}.key")
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 9"
    subprocess.run(
        [*command.split(), "-subj", f"/CN={name}", "-keyout", key, "-out", certificate],
        check=True,
        capture_output=True,
    )
    return certificate, key
