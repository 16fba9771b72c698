"""Opens a camera's http:// or https:// address: login, redirects, certificates."""

import http.client
import re
import socket
import ssl
import urllib.error
import urllib.request
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

from ostiary.camera.address import redact
from ostiary.errors import CameraUnavailable
from ostiary.settings import CameraSettings

OTHER_NAME = frozenset({62, 64})
"""X509_V_ERR_HOSTNAME_MISMATCH and X509_V_ERR_IP_ADDRESS_MISMATCH."""
PEM = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


class CameraResponse(http.client.HTTPResponse):
    """An answer whose patience can be changed after it began."""

    def __init__(self, sock: socket.socket, *more: Any, **named: Any) -> None:
        super().__init__(sock, *more, **named)
        self._socket = sock

    def fall_silent_after(self, seconds: float) -> None:
        self._socket.settimeout(seconds)


def open_stream(settings: CameraSettings) -> CameraResponse:
    """Log in (Basic or Digest) and return the answer, unread. Raises CameraUnavailable, saying what
    to do."""
    shown = redact(settings.source)
    parts = urlsplit(settings.source)
    address = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    logins = _Login(parts)
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}),  # a camera stands on the local network
        urllib.request.HTTPBasicAuthHandler(logins),
        urllib.request.HTTPDigestAuthHandler(logins),
        _Http(),
        _Https(settings.tls_ca),
    )
    try:
        response = opener.open(address, timeout=settings.open_timeout_s)
    except urllib.error.HTTPError as error:
        error.close()
        login = "Check user and password; percent-encode special characters in them."
        advice = login if error.code == 401 else "Check the path."
        raise CameraUnavailable(f"{shown}: HTTP {error.code}. {advice}") from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = getattr(error, "reason", type(error).__name__)  # its text may hold the address
        raise CameraUnavailable(f"{shown}: {_said(reason)}") from None
    assert isinstance(response, CameraResponse)
    return response


def _said(reason: object) -> str:
    if not isinstance(reason, ssl.SSLCertVerificationError):
        return f"no connection ({reason}). Check that the camera is on, and its address."
    if reason.verify_code in OTHER_NAME:
        return (
            "its certificate is for another name. Use that name in the address, or name a file "
            "with the certificate itself in cameras.tls_ca."
        )
    return (
        f"its certificate is not trusted ({reason.verify_message}). Cameras sign their own: save "
        "it (`openssl s_client -connect HOST:443 </dev/null | openssl x509`), compare it with what "
        "the camera's own page shows, and name the file in cameras.tls_ca."
    )


class _Login(urllib.request.HTTPPasswordMgr):
    """A camera's user and password, for every path of its host and no other host, and never in the
    clear where the address is https."""

    def __init__(self, camera: SplitResult) -> None:
        super().__init__()
        self._camera = camera

    def find_user_password(
        self,
        realm: str,  # noqa: ARG002 - a camera has one
        authuri: Any,
    ) -> tuple[str | None, str | None]:
        camera, asking = self._camera, urlsplit(authuri)
        is_it = asking.hostname == camera.hostname
        if camera.username is None or not is_it or asking.scheme not in (camera.scheme, "https"):
            return None, None
        return unquote(camera.username), unquote(camera.password or "")


class _Http(urllib.request.HTTPHandler):
    def http_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_Plain, request)


class _Plain(http.client.HTTPConnection):
    response_class = CameraResponse


class _Https(urllib.request.HTTPSHandler):
    """https by what the system trusts, or by the certificates in `trusted` only."""

    def __init__(self, trusted: Path | None) -> None:
        super().__init__()
        self._trusted = trusted

    def https_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(partial(_Connection, trusted=self._trusted), request)


class _Connection(http.client.HTTPSConnection):
    """Asks a certificate for the camera's name, unless it is itself one of those in `trusted`: what
    a camera signs for itself has a number for a name, or none."""

    response_class = CameraResponse

    def __init__(self, host: str, *, trusted: Path | None, **more: Any) -> None:
        super().__init__(host, **more)
        self._trusted = trusted

    def connect(self) -> None:
        try:
            self._connect(check_name=True)
        except ssl.SSLCertVerificationError as error:
            if self._trusted is None or error.verify_code not in OTHER_NAME:
                raise
            self._connect(check_name=False)
            pems = PEM.findall(self._trusted.read_text("ascii", "replace"))
            shown = self.sock.getpeercert(binary_form=True)
            if shown not in [ssl.PEM_cert_to_DER_cert(pem) for pem in pems]:
                self.close()
                raise

    def _connect(self, *, check_name: bool) -> None:
        http.client.HTTPConnection.connect(self)
        context = _context(self._trusted)
        context.check_hostname = check_name
        self.sock = context.wrap_socket(self.sock, server_hostname=self.host)


def _context(trusted: Path | None) -> ssl.SSLContext:
    """Raises CameraUnavailable where there is no certificate in that file."""
    try:
        context = ssl.create_default_context(cafile=trusted)
    except OSError as error:
        raise CameraUnavailable(
            f"cameras.tls_ca: {trusted}: no certificate in PEM form ({error.strerror})."
        ) from None
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT  # what cameras sign is seldom to the letter
    return context
