"""What every request and answer goes through, before any route."""

from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ostiary.errors import NotAllowed, OstiaryError, RequestTooLarge
from ostiary.http.attempts import RateLimit, Wait
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


class Shield:
    """Refuses strange hosts, foreign pages, haste and large bodies; adds the security headers."""

    def __init__(self, app: ASGIApp, host: str, body_limit: int, rate: RateLimit) -> None:
        self._app = app
        self._loopback = host in LOOPBACK
        self._body_limit = body_limit
        self._rate = rate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        try:
            self._check(scope, headers)
        except OstiaryError as error:
            refused = answer(problem_of(error), headers_of(error))
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1008, "reason": error.code})
            else:
                await refused(scope, receive, _guarded(send, scope["path"]))
            return
        if scope["type"] == "websocket":
            await self._app(scope, receive, send)
            return
        counted = _Counted(receive, self._body_limit)
        guarded = _guarded(send, scope["path"])
        await self._app(scope, counted, counted.instead(guarded))
        if counted.exceeded:
            await answer(problem_of(too_large(self._body_limit)))(scope, receive, guarded)

    def _check(self, scope: Scope, headers: Headers) -> None:
        client = scope["client"][0] if scope.get("client") else ""
        if not scope["path"].startswith(STATIC) and (wait := self._rate.wait_s(client)) > 0:
            raise Wait("Too many requests at once; slow down.", wait)
        host = urlsplit(f"//{headers.get('host', '')}").hostname or ""
        # A foreign name that resolves to this machine is how a web page reaches into it.
        if self._loopback and host not in LOOPBACK:
            raise NotAllowed("This console answers to localhost only.")
        if scope["type"] == "websocket" or scope["method"] not in SAFE:
            _check_same_origin(headers)
        length = headers.get("content-length", "0")
        if not length.isdigit() or int(length) > self._body_limit:
            raise too_large(self._body_limit)


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


class _Counted:
    """Counts a body that came without its length. Past the limit there is no more of it, and what
    the application answers to that is not sent."""

    def __init__(self, receive: Receive, limit: int) -> None:
        self._receive = receive
        self._left = limit
        self.exceeded = False

    async def __call__(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request":
            self._left -= len(message.get("body", b""))
            self.exceeded = self.exceeded or self._left < 0
        if self.exceeded:
            return {"type": "http.request", "body": b"", "more_body": False}
        return message

    def instead(self, send: Send) -> Send:
        async def sent(message: Message) -> None:
            if not self.exceeded:
                await send(message)

        return sent


def _guarded(send: Send, path: str) -> Send:
    # A static file may be kept if it is asked for anew each time (ETag); nothing else is kept.
    keeping = "no-cache" if path.startswith(STATIC) else "no-store"

    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in SECURITY_HEADERS.items():
                headers[name] = value
            headers.setdefault("Cache-Control", keeping)
        await send(message)

    return sent
