"""Where the console is found from another machine."""

from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

from cryptography import x509

from ostiary.settings.http import HttpSettings

_Address = IPv4Address | IPv6Address


def console_address(http: HttpSettings) -> str | None:
    """Its URL, by a name that its certificate is for where it has one. None: it is off, serves
    this machine or a proxy only, or has no address that is known."""
    bound = _address(http.host)
    own = http.host == "localhost" or (bound is not None and bound.is_loopback)
    if not http.enabled or http.proxy is not None or own:
        return None
    certified = () if http.tls_certificate is None else _names(http.tls_certificate)
    host = next(iter(certified), http.host)
    if (address := _address(host)) is not None and address.is_unspecified:
        return None
    scheme = "http" if http.tls_certificate is None else "https"
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{http.port}/"


def _address(host: str) -> _Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


def _names(certificate: Path) -> tuple[str, ...]:
    """What it is for but this machine alone, names first; none where it cannot be read."""
    try:
        found = x509.load_pem_x509_certificate(certificate.read_bytes()).extensions
        names = found.get_extension_for_class(x509.SubjectAlternativeName).value
    except (OSError, ValueError, x509.ExtensionNotFound):
        return ()
    hosts = names.get_values_for_type(x509.DNSName)
    addresses = names.get_values_for_type(x509.IPAddress)
    return (
        *(name for name in hosts if name != "localhost" and "*" not in name),
        *(str(each) for each in addresses if not each.is_loopback),
    )
