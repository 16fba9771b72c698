"""What every request and answer goes through, before any route."""

import asyncio
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ostiary.commands.attempts import Wait
from ostiary.commands.rate import RateLimit
from ostiary.errors import (
    NotAllowed,
    OstiaryError,
    RequestLate,
    RequestMalformed,
    RequestTooLarge,
)
from ostiary.http.connections import Connections
from ostiary.http.gate import LOOPBACK, SAFE
from ostiary.http.problems import answer, headers_of, problem_of

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "manifest-src 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
        "require-trusted-types-for 'script'",
    )
)
STATIC = "/static/"
SECURITY_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
TLS_HEADERS = {"Strict-Transport-Security": "max-age=31536000"}
"""RFC 6797. Not for subdomains: a door's certificate speaks for one name."""


class Shield:
    """Refuses strange hosts, foreign pages, haste and large bodies; adds the security headers."""

    def __init__(
        self,
        app: ASGIApp,
        host: str,
        tls: bool,
        body_limit: int,
        body_within_s: float,
        rate: RateLimit,
        connections: Connections,
    ) -> None:
        self._app = app
        self._loopback = host in LOOPBACK
        self._headers = SECURITY_HEADERS | (TLS_HEADERS if tls else {})
        self._body_limit = body_limit
        self._body_within_s = body_within_s
        self._rate = rate
        self._connections = connections

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        client = scope.get("client")
        peer = None if client is None else (client[0], client[1])
        with self._connections.answering(peer, for_long=scope["type"] == "websocket"):
            await self._answer(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        guarded = self._guarded(send, scope["path"])
        try:
            self._check(scope, headers)
        except OstiaryError as error:
            ends = {"Connection": "close"} if isinstance(error, _TwoLengths) else {}
            refused = answer(problem_of(error), headers_of(error) | ends)
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1008, "reason": error.code})
            else:
                await refused(scope, receive, guarded)
            return
        if scope["type"] == "websocket":
            await self._app(scope, receive, send)
            return
        body = _Body(receive, self._body_limit, self._body_within_s)
        await self._app(scope, body, body.instead(guarded))
        if body.refused is not None:
            refused = answer(problem_of(body.refused), {"Connection": "close"})
            await refused(scope, receive, guarded)

    def _guarded(self, send: Send, path: str) -> Send:
        # A static file may be kept if it is asked for anew each time (ETag); nothing else is kept.
        keeping = "no-cache" if path.startswith(STATIC) else "no-store"

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", keeping)
            await send(message)

        return sent

    def _check(self, scope: Scope, headers: Headers) -> None:
        client = scope["client"][0] if scope.get("client") else ""
        if not scope["path"].startswith(STATIC) and (wait := self._rate.take(client)) > 0:
            raise Wait("Too many requests at once; slow down.", wait)
        host = urlsplit(f"//{headers.get('host', '')}").hostname or ""
        # A foreign name that resolves to this machine is how a web page reaches into it.
        if self._loopback and host not in LOOPBACK:
            raise NotAllowed("This console answers to localhost only.")
        if scope["type"] == "websocket" or scope["method"] not in SAFE:
            _check_same_origin(headers)
        if "content-length" in headers and "transfer-encoding" in headers:
            # Two lengths are how a request is hidden in another (RFC 9112, 6.3).
            raise _TwoLengths("Content-Length and Transfer-Encoding exclude each other.")
        length = headers.get("content-length", "0")
        if not length.isdigit() or int(length) > self._body_limit:
            raise too_large(self._body_limit)


class _TwoLengths(RequestMalformed):
    """Nothing that comes after it on the same connection can be trusted."""


def too_large(limit: int) -> RequestTooLarge:
    return RequestTooLarge(f"The request is too large; at most {limit} bytes are taken.")


def _check_same_origin(headers: Headers) -> None:
    """Browsers always send one of the two, programs neither."""
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if site is not None:
        own = site in {"same-origin", "none"}
    else:
        own = origin is None or urlsplit(origin).netloc == headers.get("host")
    if not own:
        raise NotAllowed("Another site's page may not ask this.")


class _Body:
    """A body as it comes in: counted, where it came without its length, and in time. Past a limit
    there is no more of it, and what the application answers to that is not sent."""

    def __init__(self, receive: Receive, limit: int, within_s: float) -> None:
        self._receive = receive
        self._limit = limit
        self._left = limit
        self._until = asyncio.get_running_loop().time() + within_s
        self._within_s = within_s
        self._whole = False
        self.refused: OstiaryError | None = None

    async def __call__(self) -> Message:
        if self._whole:  # what comes now is that the client goes
            return await self._receive()
        try:
            async with asyncio.timeout_at(self._until):
                message = await self._receive()
        except TimeoutError:
            self.refused = RequestLate(
                f"The request was not received within {self._within_s:g} seconds."
            )
            return _NOTHING
        if message["type"] == "http.request":
            self._left -= len(message.get("body", b""))
            if self._left < 0:
                self.refused = too_large(self._limit)
                return _NOTHING
            self._whole = not message.get("more_body", False)
        return message

    def instead(self, send: Send) -> Send:
        async def sent(message: Message) -> None:
            if self.refused is None:
                await send(message)

        return sent


_NOTHING: Message = {"type": "http.request", "body": b"", "more_body": False}
