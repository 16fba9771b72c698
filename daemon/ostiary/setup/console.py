"""The console on the network: a certificate of this machine's own, and where it is found."""

import grp
import os
import socket
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

VALID = timedelta(days=825)
"""Longest validity of a certificate that browsers accept."""
SOON = timedelta(days=30)
GROUP = "ostiary"


def addresses() -> tuple[str, ...]:
    """This machine's names and addresses, the one on the network first."""
    found = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        try:
            asking.connect(("192.0.2.1", 9))  # nothing is sent
            found.append(asking.getsockname()[0])
        except OSError:
            pass
    name = socket.gethostname()
    return tuple(dict.fromkeys([*found, name, f"{name}.local", "localhost", "127.0.0.1"]))


def make_certificate(folder: Path, names: tuple[str, ...]) -> tuple[Path, Path]:
    """The certificate and its key for these names and addresses, made unless the present ones are
    good for them. They are root's, and the door's group may read them. Raises OSError."""
    certificate, key = folder / "console.crt", folder / "console.key"
    if certificate.exists() and key.exists() and _is_good(certificate, names):
        return certificate, key
    own = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0][:64])])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(own.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + VALID)
        .add_extension(x509.SubjectAlternativeName([_general(each) for each in names]), False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), True)
        .sign(own, hashes.SHA256())
    )
    private = own.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    write_for_the_door(key, private)
    write_for_the_door(certificate, made.public_bytes(serialization.Encoding.PEM))
    return certificate, key


def write_for_the_door(path: Path, data: bytes) -> None:
    """Write a file that its owner may write and the door's group may read. Raises OSError."""
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        if os.geteuid() == 0:
            with suppress(KeyError):  # not installed by the package
                os.fchown(descriptor, 0, grp.getgrnam(GROUP).gr_gid)
        os.fchmod(descriptor, 0o640)
        file.write(data)
        file.flush()
        os.fsync(descriptor)
    new.replace(path)


def fingerprint(certificate: Path) -> str:
    """The certificate's SHA-256, as browsers show it."""
    digest = x509.load_pem_x509_certificate(certificate.read_bytes()).fingerprint(hashes.SHA256())
    return digest.hex(":").upper()


def _is_good(certificate: Path, names: tuple[str, ...]) -> bool:
    """Whether the certificate holds for all names, for more than a month. One that an authority
    issued is left to it."""
    try:
        made = x509.load_pem_x509_certificate(certificate.read_bytes())
        covered = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, x509.ExtensionNotFound):
        return False
    if made.issuer != made.subject:
        return True
    lasts = made.not_valid_after_utc > datetime.now(UTC) + SOON
    return lasts and all(_general(name) in list(covered) for name in names)


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)
