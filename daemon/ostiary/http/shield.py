"""Checks every request before any route, and adds headers to every answer."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from re import fullmatch
from urllib.parse import urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ostiary.errors import (
    Busy,
    NotAllowed,
    OstiaryError,
    RequestLate,
    RequestMalformed,
    RequestTooLarge,
)
from ostiary.http.authenticator import SAFE
from ostiary.http.connections import Connections, Peer, neighbourhood
from ostiary.http.place import LOOPBACK
from ostiary.http.problems import answer, headers_of, problem_of
from ostiary.limits.lock_out import Wait
from ostiary.limits.rate import RateLimit

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
FRAME_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY.replace(
        "frame-ancestors 'none'", "frame-ancestors 'self'"
    ),
    "X-Frame-Options": "SAMEORIGIN",
}
SMALL = 128 * 1024
"""Bytes of a body that anybody may send to any route."""
LARGE_AT_ONCE = 2
"""Larger bodies that are read and answered at the same time."""
MOST_PARTS = 500_000
"""Values in a large JSON body: each is a few letters, and much more in memory."""
DRAIN_PAUSE_S = 0.005
TLS_HEADERS = {"Strict-Transport-Security": "max-age=31536000"}
"""RFC 6797. Not for subdomains: a door's certificate speaks for one name."""


@dataclass(frozen=True, slots=True)
class LargeBodies:
    """Where more than `SMALL` bytes may be sent, and by whom: method and path match `routes`, and
    `admit`, which may read the database, does not raise NotSignedIn or NotAllowed."""

    limit: int
    routes: str  # a regular expression
    admit: Callable[[HTTPConnection], object]
    places: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(LARGE_AT_ONCE))

    def is_for(self, scope: Scope) -> bool:
        return fullmatch(self.routes, f"{scope['method']} {scope['path']}") is not None


class Shield:
    """Refuses strange hosts, foreign pages, too many requests and large bodies; adds the security
    headers.

    A large body is read only where one is expected, from a caller who may send it, and from few at
    a time.
    """

    def __init__(
        self,
        app: ASGIApp,
        host: str,
        tls: bool,
        large: LargeBodies,
        body_within_s: float,
        rate: RateLimit,
        connections: Connections,
        proxy: str | None = None,
        names: tuple[str, ...] = (),
    ) -> None:
        """`proxy`: the only address that is answered; its own pages may frame these. `names`: host
        names that are answered where `host` is loopback."""
        self._app = app
        self._names = LOOPBACK | set(names) if host in LOOPBACK else None
        self._proxy = proxy
        self._headers = SECURITY_HEADERS | (TLS_HEADERS if tls else {})
        if proxy is not None:
            self._headers |= FRAME_HEADERS
        self._large = large
        self._draining = asyncio.Lock()
        self._body_within_s = body_within_s
        self._rate = rate
        self._connections = connections

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        client = scope.get("client")
        peer = None if client is None else (client[0], client[1])
        with self._connections.answering(peer):
            await self._answer(scope, receive, send, peer)

    async def _answer(self, scope: Scope, receive: Receive, send: Send, peer: Peer | None) -> None:
        headers = Headers(scope=scope)
        guarded = self._guarded(send, scope["path"], peer)
        try:
            self._check(scope, headers)
            is_large = await self._is_large(scope, headers)
        except OstiaryError as error:
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1008, "reason": error.code})
            else:
                await self._refuse(error, headers, scope, receive, guarded)
            return
        if scope["type"] == "websocket":
            await self._app(scope, receive, guarded)
            return
        if not is_large:
            await self._serve(SMALL, scope, receive, guarded, peer)
            return
        try:
            async with self._place():
                await self._serve(self._large.limit, scope, receive, guarded, peer)
        except Busy as error:
            await self._refuse(error, headers, scope, receive, guarded)

    async def _is_large(self, scope: Scope, headers: Headers) -> bool:
        """Whether a large body comes, by its headers. Raises RequestTooLarge, or what `admit`
        raises."""
        if scope["type"] == "websocket":
            return False
        length = _length(headers)
        if "transfer-encoding" not in headers and length <= SMALL:
            return False
        if not self._large.is_for(scope):
            return False
        if length > self._large.limit:
            raise too_large(self._large.limit)
        await run_in_threadpool(self._large.admit, HTTPConnection(scope))
        return True

    @asynccontextmanager
    async def _place(self) -> AsyncIterator[None]:
        """Wait for a place for a large body. Raises Busy."""
        places = self._large.places
        try:
            await asyncio.wait_for(places.acquire(), self._body_within_s)
        except TimeoutError:
            raise Busy("Others are sending pictures; try again in a moment.") from None
        try:
            yield
        finally:
            places.release()

    async def _serve(
        self, limit: int, scope: Scope, receive: Receive, send: Send, peer: Peer | None
    ) -> None:
        headers = Headers(scope=scope)
        came = partial(self._connections.holds, peer)
        body = _Body(receive, limit, _length(headers), self._body_within_s, came)
        if _has_body(headers):
            self._connections.yields(peer)
        await self._app(scope, body, body.instead(send))
        if body.refused is not None:
            await self._refuse(body.refused, headers, scope, receive, send)

    async def _refuse(
        self,
        error: OstiaryError,
        headers: Headers,
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> None:
        """Refuse a request without reading its body. A client that is still sending would not see
        the answer if the connection closed at once. So one client at a time may send on, slowly,
        and nothing is kept."""
        ends = _has_body(headers)
        refused = answer(
            problem_of(error), headers_of(error) | ({"Connection": "close"} if ends else {})
        )
        no_use = isinstance(error, _TwoLengths | RequestLate) or self._draining.locked()
        if not ends or no_use:
            await refused(scope, receive, send)
            return

        async def open_ended(message: Message) -> None:
            if message["type"] == "http.response.body":
                message["more_body"] = True
            await send(message)

        async with self._draining:
            await refused(scope, receive, open_ended)
            await self._drain(receive)
        await send({"type": "http.response.body", "body": b""})

    async def _drain(self, receive: Receive) -> None:
        left = self._large.limit
        try:
            async with asyncio.timeout(self._body_within_s):
                while left > 0:
                    message = await receive()
                    left -= len(message.get("body", b""))
                    if not message.get("more_body", False):
                        return
                    await asyncio.sleep(DRAIN_PAUSE_S)
        except TimeoutError:
            return

    def _guarded(self, send: Send, path: str, peer: Peer | None) -> Send:
        # A static file may be kept if it is asked for anew each time (ETag); nothing else is kept.
        keeping = "no-cache" if path.startswith(STATIC) else "no-store"

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", keeping)
                self._connections.yields(peer)  # who takes the answer slowly keeps nobody out
            elif message["type"] == "websocket.send":
                self._connections.holds(peer, for_long=True)  # was let in
            await send(message)

        return sent

    def _check(self, scope: Scope, headers: Headers) -> None:
        client = scope["client"][0] if scope.get("client") else ""
        if self._proxy is not None and client != self._proxy:
            raise NotAllowed(f"Only {self._proxy} is answered (http.proxy).")
        if (
            not scope["path"].startswith(STATIC)
            and (wait := self._rate.take(neighbourhood(client))) > 0
        ):
            raise Wait("Too many requests at once; slow down.", wait)
        host = urlsplit(f"//{headers.get('host', '')}").hostname or ""
        # A foreign name that resolves to this machine is how a web page reaches into it.
        if self._names is not None and host not in self._names:
            raise NotAllowed("This console answers to localhost only, and to http.names.")
        if scope["type"] == "websocket" or scope["method"] not in SAFE:
            _check_same_origin(headers)
        if "content-length" in headers and "transfer-encoding" in headers:
            # Two lengths are how a request is hidden in another (RFC 9112, 6.3).
            raise _TwoLengths("Content-Length and Transfer-Encoding exclude each other.")


class _TwoLengths(RequestMalformed):
    """A request with two lengths: nothing after it on the same connection can be trusted."""


def _length(headers: Headers) -> int:
    """The announced bytes of a body; 0: none. Raises RequestMalformed."""
    length = headers.get("content-length", "0")
    if not (length.isascii() and length.isdigit() and len(length) < 20):
        raise RequestMalformed("Content-Length is no number.")
    return int(length)


def _has_body(headers: Headers) -> bool:
    return "transfer-encoding" in headers or headers.get("content-length", "0") != "0"


def too_large(limit: int) -> RequestTooLarge:
    return RequestTooLarge(f"The request is too large; at most {limit} bytes are taken.")


def _check_same_origin(headers: Headers) -> None:
    """Raises NotAllowed for a foreign page. Browsers always send one of the two headers, programs
    neither."""
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if site is not None:
        own = site in {"same-origin", "none"}
    else:
        own = origin is None or urlsplit(origin).netloc == headers.get("host")
    if not own:
        raise NotAllowed("Another site's page may not ask this.")


class _Body:
    """A body as it comes in: counted, and in time. Past a limit the application gets no more of it,
    and its answer is not sent. `came` is called once the body is whole."""

    def __init__(
        self,
        receive: Receive,
        limit: int,
        announced: int,
        within_s: float,
        came: Callable[[], object],
    ) -> None:
        self._announced = announced
        self._receive = receive
        self._came = came
        self._parts = MOST_PARTS
        self._limit = limit
        self._left = limit
        self._until = asyncio.get_running_loop().time() + within_s
        self._within_s = within_s
        self._whole = False
        self.refused: OstiaryError | None = None

    async def __call__(self) -> Message:
        if self._whole:  # what comes now is that the client goes
            return await self._receive()
        if self._announced > self._limit:
            self.refused = too_large(self._limit)
            return _NOTHING
        try:
            async with asyncio.timeout_at(self._until):
                message = await self._receive()
        except TimeoutError:
            self.refused = RequestLate(
                f"The request was not received within {self._within_s:g} seconds."
            )
            return _NOTHING
        if message["type"] == "http.request":
            part = message.get("body", b"")
            self._left -= len(part)
            self._parts -= sum(map(part.count, (b",", b"{", b"[")))
            if self._left < 0:
                self.refused = too_large(self._limit)
                return _NOTHING
            if self._parts < 0:
                self.refused = RequestTooLarge(f"At most {MOST_PARTS} values are taken.")
                return _NOTHING
            self._whole = not message.get("more_body", False)
            if self._whole:
                self._came()
        return message

    def instead(self, send: Send) -> Send:
        async def sent(message: Message) -> None:
            if self.refused is None:
                await send(message)

        return sent


_NOTHING: Message = {"type": "http.request", "body": b"", "more_body": False}
