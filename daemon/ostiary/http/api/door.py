"""The door itself: state, cameras, the live picture, events."""

import asyncio
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, WebSocket, WebSocketDisconnect
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response
from pydantic import AwareDatetime

from ostiary.commands import doors
from ostiary.errors import (
    CameraUnavailable,
    CameraUnknown,
    OstiaryError,
    RequestMalformed,
    SnapshotUnknown,
    TimedOut,
)
from ostiary.http.authenticator import Authenticator, Viewer
from ostiary.http.events import events_as_csv
from ostiary.http.live import Audience, said
from ostiary.http.live import Viewer as LiveViewer
from ostiary.http.messages import Cameras, EventPage
from ostiary.http.parts import ConsoleParts
from ostiary.http.problems import responses
from ostiary.http.routes import CommandRunner, Turns, route
from ostiary.messages.state import State
from ostiary.messages.username import Username
from ostiary.messages.words import Reason
from ostiary.store.accounts import Role
from ostiary.store.events import EventFilter
from ostiary.store.snapshots import Snapshots
from ostiary.vision.image import at_most_wide, decode_image, encode_jpeg

SNAPSHOT_QUALITY = 85
THUMBNAIL_WIDTH = 240
IDLE_S = 10.0
"""A live view that asks for nothing for so long gives up its place."""
CHECK_EVERY_S = 2.0
"""How soon a live view ends after its viewer was signed out."""
_JPEG: dict[int | str, dict[str, Any]] = {
    200: {"content": {"image/jpeg": {"schema": {"type": "string", "format": "binary"}}}}
}

CameraName = Annotated[str, Path(description="The camera's name.", examples=["front"])]


def door_router(
    parts: ConsoleParts, authenticator: Authenticator, audience: Audience, turns: Turns
) -> APIRouter:
    router = APIRouter(tags=["door"], responses=responses(401, 422, 429, 503))
    snapshots = Snapshots(parts.database)

    @router.get("/state", summary="Is the door well?")
    def state(_caller: Viewer) -> State:
        return parts.state()

    @router.get("/cameras", summary="The cameras")
    def cameras(_caller: Viewer) -> Cameras:
        return Cameras(cameras=tuple(parts.cameras))

    @router.get(
        "/cameras/{camera}/snapshot",
        summary="What a camera sees now",
        response_class=Response,
        responses={**_JPEG, **responses(404, 409)},
    )
    def snapshot(camera: CameraName, _caller: Viewer) -> Response:
        watched = parts.cameras.get(camera)
        if watched is None:
            raise _no_camera(camera)
        view = watched.view
        if view is None:
            raise CameraUnavailable(f"Camera {camera} has given no picture yet; see /api/v1/state.")
        return Response(encode_jpeg(view.frame.image, SNAPSHOT_QUALITY), media_type="image/jpeg")

    @router.get("/events", summary="The audit trail, a page at a time")
    def events(
        _caller: Viewer,
        kind: Literal["login", "user", "door"] | None = None,
        reason: Reason | None = None,
        username: Annotated[Username | None, Query(examples=["张三"])] = None,
        success: bool | None = None,
        since: Annotated[AwareDatetime | None, Query(description="Included.")] = None,
        until: Annotated[AwareDatetime | None, Query(description="Not included.")] = None,
        cursor: Annotated[
            int | None, Query(ge=0, le=2**62, description="The last answer's `cursor`.")
        ] = None,
        limit: Annotated[int, Query(ge=1, le=1000)] = 50,
        newest_first: bool = True,
    ) -> EventPage:
        where = EventFilter(kind, reason, username, success, _utc(since), _utc(until))
        with turns.turn():
            page = parts.events.page(where, cursor=cursor, limit=limit, newest_first=newest_first)
        kept = snapshots.present(event.seq for event in page.events)
        return EventPage(events=page.events, cursor=page.cursor, snapshots=tuple(sorted(kept)))

    @router.get(
        "/events.csv",
        summary="The audit trail as CSV",
        response_class=Response,
        responses={200: {"content": {"text/csv": {"schema": {"type": "string"}}}}},
    )
    def events_csv(
        _caller: Viewer,
        kind: Literal["login", "user", "door"] | None = None,
        reason: Reason | None = None,
        username: Annotated[Username | None, Query(examples=["张三"])] = None,
        since: Annotated[AwareDatetime | None, Query(description="Included.")] = None,
        until: Annotated[AwareDatetime | None, Query(description="Not included.")] = None,
    ) -> Response:
        """The newest first, 20,000 at most."""
        where = EventFilter(kind, reason, username, None, _utc(since), _utc(until))
        headers = {"Content-Disposition": 'attachment; filename="events.csv"'}
        with turns.turn():
            text = events_as_csv(parts.events, where)
        return Response(text.encode("utf-8-sig"), media_type="text/csv", headers=headers)

    @router.get(
        "/events/{seq}/snapshot",
        summary="The picture that was kept with a decision",
        response_class=Response,
        responses={**_JPEG, **responses(404)},
    )
    def event_snapshot(
        seq: Annotated[int, Path(ge=1, le=2**62)],
        _caller: Viewer,
        small: Annotated[bool, Query(description="For a list.")] = False,
    ) -> Response:
        jpeg = snapshots.get(seq)
        if jpeg is None:
            raise SnapshotUnknown(f"No picture of event {seq} was kept.")
        if small:
            jpeg = encode_jpeg(at_most_wide(decode_image(jpeg), THUMBNAIL_WIDTH))
        return Response(jpeg, media_type="image/jpeg")

    @router.websocket("/cameras/{camera}/live")
    async def live(socket: WebSocket, camera: str) -> None:
        """The client asks `next`; it gets a text (LivePicture), then the JPEG unless stale."""
        stream = audience.streams.get(camera)
        await socket.accept()
        try:
            if stream is None:
                raise _no_camera(camera)
            await run_in_threadpool(authenticator.require, socket, Role.VIEWER)
            with audience.place(), stream.viewer() as viewer:
                await _watch(socket, viewer, authenticator)
        except OstiaryError as error:
            with suppress(RuntimeError, WebSocketDisconnect):
                await socket.close(4000, error.code)
        except WebSocketDisconnect:
            pass

    return router


def doors_router(runner: CommandRunner) -> APIRouter:
    router = APIRouter(tags=["doors"], responses=responses(401, 422, 429, 503))
    add = partial(route, router, runner)
    add(doors.doors, "GET /doors", "How the doors are", role=Viewer)
    run = "Run a door otherwise, open it once, or silence its alarm"
    add(doors.door, "POST /doors/{door}", run, 403, 404)
    return router


async def _watch(socket: WebSocket, viewer: LiveViewer, authenticator: Authenticator) -> None:
    loop = asyncio.get_running_loop()
    checked = loop.time()
    while True:
        try:
            async with asyncio.timeout(IDLE_S):
                await said(socket)
        except TimeoutError:
            raise TimedOut("Nothing was asked for; the place is for others.") from None
        shown = await viewer.next()
        if loop.time() - checked > CHECK_EVERY_S:
            await run_in_threadpool(authenticator.require, socket, Role.VIEWER)
            checked = loop.time()
        await socket.send_text(shown.picture)
        if shown.jpeg is not None:
            await socket.send_bytes(shown.jpeg)


def _no_camera(name: str) -> CameraUnknown:
    return CameraUnknown(f"There is no camera {name}; see /api/v1/cameras.")


def _utc(moment: datetime | None) -> datetime | None:
    """OverflowError-free: a moment at the edge of the calendar has no UTC form."""
    if moment is None:
        return None
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise RequestMalformed("That moment cannot be told in UTC.") from None
