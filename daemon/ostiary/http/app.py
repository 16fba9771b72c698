"""The console and the HTTP API, put together."""

from importlib.resources import files
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from fastapi.responses import Response
from pydantic.json_schema import models_json_schema
from starlette.exceptions import HTTPException
from starlette.staticfiles import StaticFiles

from ostiary import __version__
from ostiary.errors import OstiaryError
from ostiary.http import problems
from ostiary.http.api.access import accounts_router, thresholds_router, tokens_router
from ostiary.http.api.door import door_router, doors_router
from ostiary.http.api.people import credentials_router, people_router, rules_router
from ostiary.http.authenticator import Authenticator, Passwords
from ostiary.http.connections import Connections, places
from ostiary.http.kiosk import kiosk_page, kiosk_router
from ostiary.http.legacy import legacy_router
from ostiary.http.live import Audience
from ostiary.http.pages import Pages
from ostiary.http.parts import ConsoleParts
from ostiary.http.place import check_place
from ostiary.http.render import Elsewhere, Renderer, to_page
from ostiary.http.routes import CommandRunner, Turns
from ostiary.http.server import Server
from ostiary.http.shield import LargeBodies, Shield
from ostiary.http.sign_in import sign_in_router
from ostiary.http.snapshot_keeper import SnapshotKeeper
from ostiary.http.texts import Texts, asked_language
from ostiary.http.thresholds import ThresholdEditor
from ostiary.limits.lock_out import LockOut
from ostiary.limits.rate import RateLimit
from ostiary.store.accounts import Role

API = "/api/v1"
OPENAPI = f"{API}/openapi.json"
SIGN_IN_TRIES = 5
"""Wrong passwords in a row that lock an account for a minute, then for longer each time."""
BURST = 3.0
"""Seconds' worth of requests that may come at once."""
FORM_OVERHEAD = 64 * 1024
"""What a form or base64 adds to an image."""
FIRST_VERSION = "POST /(register|login)"
LARGE = f"POST {API}/(users|users/.+/templates|login|people/(line|read))|PUT {API}/holidays"
"""Where pictures and lists come."""

DESCRIPTION = """\
The same commands as over MQTT. Send an API token (`Authorization: Bearer …`) from the console's
page *Accounts*; a *viewer* may read, an *operator* may change. Every error is a problem document
(RFC 9457) with a stable `code`.
"""


def create_app(parts: ConsoleParts) -> FastAPI:
    """The console and the API. Raises ConfigError where they would be open to a network."""
    http = parts.settings.http
    check_place(parts.settings.http)
    connections = open_connections(parts)
    app = FastAPI(
        title="Ostiary",
        version=__version__,
        description=DESCRIPTION,
        openapi_url=OPENAPI,
        docs_url=None,  # FastAPI's pages load their scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,
    )
    authenticator = Authenticator(parts)
    texts, passwords, lock_out = Texts(), Passwords(), LockOut(SIGN_IN_TRIES)
    renderer = Renderer(parts, authenticator, texts)
    runner, turns = CommandRunner(parts, authenticator), Turns()
    body_limit = parts.commands.limits.images.bytes
    app.state.authenticator = authenticator
    app.state.connections = connections

    if http.legacy_api != "off":
        app.include_router(legacy_router(runner, texts, body_limit))
    thresholds = ThresholdEditor(parts)
    for router in (
        credentials_router(runner),  # likewise before the people
        doors_router(runner),
        rules_router(runner, renderer.sayings),  # before the people, whose names may have a slash
        people_router(parts, runner),
        door_router(parts, authenticator, Audience(parts), turns),
        thresholds_router(thresholds, parts, authenticator, turns),
        accounts_router(parts, authenticator, passwords, lock_out),
        tokens_router(parts, authenticator),
        kiosk_router(parts, authenticator, runner),
    ):
        app.include_router(router, prefix=API)
    app.include_router(kiosk_page(parts, renderer))
    app.include_router(sign_in_router(parts, authenticator, renderer, passwords, lock_out))
    app.include_router(Pages(parts, authenticator, renderer, thresholds, turns).router)
    static = Path(str(files("ostiary.http") / "static"))
    app.mount("/static", StaticFiles(directory=static), name="static")

    _handle_errors(app, renderer)
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]
    app.add_middleware(
        Shield,
        host=http.host,
        tls=authenticator.secure,
        large=LargeBodies(
            body_limit * 4 // 3 + FORM_OVERHEAD,
            LARGE if http.legacy_api == "off" else f"{LARGE}|{FIRST_VERSION}",
            lambda connection: authenticator.require(connection, Role.OPERATOR),
        ),
        body_within_s=parts.limits.request_s,
        rate=RateLimit(http.requests_per_second, BURST * http.requests_per_second),
        connections=connections,
        proxy=http.proxy,
        names=http.names,
    )
    return app


def create_socket_app(parts: ConsoleParts) -> FastAPI:
    """The first version's API alone, for a Unix socket whose file says who may use it."""
    http = parts.settings.http
    connections = open_connections(parts)
    app = FastAPI(title="Ostiary", version=__version__, openapi_url=None, redirect_slashes=False)
    authenticator = Authenticator(parts, at_unix_socket=True)
    app.state.authenticator = authenticator
    app.state.connections = connections
    body_limit = parts.commands.limits.images.bytes
    app.include_router(legacy_router(CommandRunner(parts, authenticator), Texts(), body_limit))
    _handle_errors(app, None)
    app.add_middleware(
        Shield,
        host="",
        tls=False,
        large=LargeBodies(
            body_limit * 4 // 3 + FORM_OVERHEAD, FIRST_VERSION, authenticator.require_legacy
        ),
        body_within_s=parts.limits.request_s,
        rate=RateLimit(http.requests_per_second, BURST * http.requests_per_second),
        connections=connections,
    )
    return app


def open_connections(parts: ConsoleParts) -> Connections:
    """How many there may be, by their limit and by this process's descriptors."""
    limits = parts.limits
    return Connections(
        places(limits.connections),
        parts.settings.http.connections_per_address,
        limits.request_s,
        limits.request_s * 2 + parts.settings.commands.time_limit_s,
    )


def _handle_errors(app: FastAPI, renderer: Renderer | None) -> None:
    def answered(request: Request, problem: problems.Problem, headers: dict[str, str]) -> Response:
        if renderer is None:
            return problems.answer(problem, headers)
        if renderer.wants_page(request):
            return renderer.problem(request, problem, headers)
        return problems.answer_in(asked_language(request), problem, headers, renderer.sayings)

    @app.exception_handler(OstiaryError)
    def ostiary_error(request: Request, error: OstiaryError) -> Response:
        problem = problems.problem_of(error)
        if problem.status == 500:
            problems.log.error("http_failed", path=problems.route_of(request), code=error.code)
        return answered(request, problem, problems.headers_of(error))

    @app.exception_handler(RequestValidationError)
    def invalid(request: Request, error: RequestValidationError) -> Response:
        return answered(request, problems.of_validation(error), {})

    @app.exception_handler(HTTPException)
    def refused(request: Request, error: HTTPException) -> Response:
        return answered(request, problems.of_http(error), dict(error.headers or {}))

    @app.exception_handler(Elsewhere)
    def elsewhere(_request: Request, error: Elsewhere) -> Response:
        return to_page(error.url)

    @app.exception_handler(Exception)
    def failed(request: Request, error: Exception) -> Response:
        return answered(request, problems.of_failure(request, error), {})


def _openapi(app: FastAPI) -> dict[str, Any]:
    if app.openapi_schema is None:
        schema = get_openapi(
            title=app.title,
            version=app.version,
            description=app.description,
            routes=app.routes,
        )
        _, shared = models_json_schema(
            [(problems.Problem, "serialization")], ref_template="#/components/schemas/{model}"
        )
        schema["components"]["schemas"] |= shared["$defs"]
        app.openapi_schema = schema
    return app.openapi_schema


class Console:
    """The server, and what it keeps. Raises ConfigError, see `create_app`."""

    def __init__(self, parts: ConsoleParts) -> None:
        self._keeper = SnapshotKeeper(
            parts.database, parts.cameras, parts.settings, parts.rules.clock_trusted
        )
        self.app = create_app(parts)
        http = parts.settings.http
        self._server = Server(self.app, http, self.app.state.connections)
        self._servers = [self._server]
        if http.legacy_api == "socket":
            first = create_socket_app(parts)
            self._servers.append(Server(first, http, first.state.connections, http.legacy_socket))

    @property
    def url(self) -> str:
        """Where people find it."""
        return self._server.url

    def start(self) -> None:
        """Returns when it answers. Raises ConfigError when the port cannot be had."""
        self._keeper.start()
        for server in self._servers:
            server.start()

    def stop(self) -> None:
        for server in self._servers:
            server.stop()
        self._keeper.stop()

    def decided(self, seq: int, camera: str) -> None:
        """Keep a picture of a decision, where the settings want that. Returns at once."""
        self._keeper.note(seq, camera)
