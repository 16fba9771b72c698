"""Page of a tablet at a door: it shows what is asked of the person there, and has a pad for PINs.

It names nobody. Its token is for one door and for nothing else: it is not stored as an API token.
"""

import asyncio
import secrets
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Annotated, Literal
from urllib.parse import quote

from fastapi import APIRouter, Header, Path, Query, Request, WebSocket, WebSocketDisconnect
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response
from pydantic import Field

from ostiary.camera.frame import ViewCondition
from ostiary.commands.credentials import credential
from ostiary.decision.admission import Need
from ostiary.errors import Busy, DoorUnknown, NotSignedIn, OstiaryError
from ostiary.http.authenticator import Authenticator, Caller, Confirmed, address_of
from ostiary.http.live import said
from ostiary.http.parts import ConsoleParts
from ostiary.http.problems import responses
from ostiary.http.render import Renderer
from ostiary.http.routes import CommandRunner
from ostiary.messages.commands.credentials import CredentialAnswer, CredentialRequest, Pin
from ostiary.messages.events import Message
from ostiary.messages.username import Username
from ostiary.messages.words import Mode, Reason
from ostiary.pipeline.recognition import View
from ostiary.store.accounts import KIOSK, Role

AT_ONCE = 16
TOKEN_WITHIN_S = 10.0
LOOK_EVERY_S = 0.2
CHECK_EVERY_S = 5.0
"""Seconds until a tablet goes dark whose token was removed, and between signs of life of the
door."""
STALE_AFTER_S = 2.0

WORDS: Mapping[Reason, str] = {
    Reason.UNKNOWN_FACE: "unknown",
    Reason.PRESENTATION_ATTACK: "not_live",
    Reason.SEVERAL_FACES: "one_person",
    Reason.LOW_QUALITY: "unclear",
    Reason.OUT_OF_FOCUS: "unclear",
    Reason.NO_COLOUR: "too_dark",
    Reason.TOO_DARK: "too_dark",
    Reason.UNCERTAIN: "unclear",
    Reason.AFTER_ATTACK: "wait",
    Reason.CHALLENGE_PAUSED: "wait",
    Reason.LOCKED_OUT: "wait",
    Reason.WRONG_CREDENTIAL: "wrong",
    Reason.CREDENTIAL_MISSING: "missing",
    Reason.FACE_MISSING: "missing",
    Reason.SECOND_PERSON_MISSING: "missing",
    Reason.CHALLENGE_MISSING: "no_movement",
    Reason.CHALLENGE_FAILED: "no_movement",
    Reason.CHALLENGE_TIMEOUT: "no_movement",
    Reason.PIPELINE_ERROR: "broken",
}
"""Words that a tablet shows for a denial. For any other reason it shows `not_now`."""
MOVES: Mapping[Reason, str] = {Reason.STILL_PICTURE: "move", Reason.TOO_NEAR: "step_back"}

DoorName = Annotated[str, Path(description="Name of the door's camera.", examples=["front"])]


class KioskState(Message):
    """State of a tablet at a door. It names nobody."""

    shows: Literal[
        "idle", "looking", "move", "pin", "card", "second_person", "granted", "denied", "open",
        "lockdown", "broken",
    ]  # fmt: skip
    word: str | None = Field(
        default=None, description="Of `move`: the movement. Of `denied`: the word for the reason."
    )


NEEDS = {
    Need.PIN: KioskState(shows="pin"),
    Need.CARD: KioskState(shows="card"),
    Need.SECOND_PERSON: KioskState(shows="second_person"),
}


class NewKiosk(Message):
    """A new tablet."""

    door: str = Field(description="Name of the door's camera.", examples=["front"])
    name: Username


class KioskMade(Message):
    """Address of a tablet. It is shown only this once."""

    page: str = Field(examples=["/kiosk?door=front#4tX…"])


class KioskPin(Message):
    """A PIN that was typed on the pad."""

    pin: Pin


def state_of(parts: ConsoleParts, door: str) -> KioskState:
    """Choose what the tablet at `door` shows now."""
    mode = next((each.mode for each in parts.doors() if each.door == door), Mode.NORMAL)
    if mode is Mode.LOCKDOWN:
        return KioskState(shows="lockdown")
    if mode is Mode.UNLOCKED:
        return KioskState(shows="open")
    waiting = parts.waiting(door)
    if waiting is not None and waiting.needs[0] in NEEDS:
        return NEEDS[waiting.needs[0]]
    camera = parts.cameras.get(door)
    view = None if camera is None else camera.view
    if view is None or time.monotonic() - view.frame.captured_at > STALE_AFTER_S:
        return KioskState(shows="broken")
    return shown_of(view)


def shown_of(view: View) -> KioskState:
    """Choose what is shown of the newest frame."""
    if view.frame.view is not ViewCondition.CLEAR:
        return KioskState(shows="broken")
    if view.prompt is not None:
        return KioskState(shows="move", word=view.prompt.value)
    if not view.faces:
        return KioskState(shows="idle")
    decided = [seen.decision for seen in view.faces if seen.decision is not None]
    if not decided:
        if len(view.faces) > 1:
            return KioskState(shows="denied", word=WORDS[Reason.SEVERAL_FACES])
        return KioskState(shows="looking")
    reason = decided[0].reason
    if reason is Reason.GRANTED:
        return KioskState(shows="granted")
    if reason in MOVES:
        return KioskState(shows="move", word=MOVES[reason])
    return KioskState(shows="denied", word=WORDS.get(reason, "not_now"))


def kiosk_page(parts: ConsoleParts, renderer: Renderer) -> APIRouter:
    router = APIRouter(include_in_schema=False)

    @router.get("/kiosk")
    def page(
        request: Request,
        door: Annotated[str, Query(max_length=64)] = "",
        language: Annotated[str, Query(max_length=8)] = "",
    ) -> Response:
        """Serve the page to anybody. Without the token after the # it shows nothing."""
        if door not in parts.cameras:
            raise DoorUnknown(f"There is no door {door}.")
        values = {"door": door, "digits": parts.settings.credentials.pin_digits}
        return renderer.page(request, "kiosk", None, values, language=language)

    return router


def kiosk_router(
    parts: ConsoleParts, authenticator: Authenticator, runner: CommandRunner
) -> APIRouter:
    router = APIRouter(tags=["kiosks"], responses=responses(401, 422, 429, 503))
    places = threading.Semaphore(AT_ONCE)

    def check(door: str, token: str) -> None:
        if not authenticator.is_kiosk(door, token):
            raise NotSignedIn("This tablet's address is not valid, or not any more.")

    @router.post(
        "/kiosks",
        status_code=201,
        summary="Make the address of a tablet at a door",
        responses=responses(403, 404, 409),
    )
    def add(new: NewKiosk, caller: Confirmed) -> KioskMade:
        """The tablet shows what is asked at that door, takes PINs there, and can do nothing else.
        Its token ends as an API token does, and is removed as one: `kiosk:<door>:<name>`."""
        if new.door not in parts.cameras:
            raise DoorUnknown(f"There is no door {new.door}.")
        token = secrets.token_urlsafe(32)
        with parts.database.transaction():
            made = authenticator.tokens.add_kiosk(
                new.door, new.name, token, caller.name, parts.clock()
            )
            authenticator.note(caller, "token_added", made.name, {"role": "kiosk"})
        return KioskMade(page=f"/kiosk?door={quote(new.door)}#{token}")

    @router.post(
        "/kiosks/{door}/pin", summary="A PIN was typed at a tablet", responses=responses(404)
    )
    def pin(
        request: Request,
        door: DoorName,
        typed: KioskPin,
        authorization: Annotated[str, Header(max_length=200, include_in_schema=False)] = "",
    ) -> CredentialAnswer:
        """Send the tablet's own token as `Authorization: Bearer …`."""
        check(door, authorization.removeprefix("Bearer ").strip())
        caller = Caller(f"{KIOSK}{door}", Role.VIEWER, address_of(request), anonymous=True)
        return runner.run(credential, CredentialRequest(door=door, pin=typed.pin), caller)

    @router.websocket("/kiosks/{door}")
    async def shown(socket: WebSocket, door: str) -> None:
        """Take the client's token; then send a KioskState whenever it changes, and every few
        seconds."""
        await socket.accept()
        try:
            async with asyncio.timeout(TOKEN_WITHIN_S):
                token = await said(socket)
            await run_in_threadpool(check, door, token)
            if not places.acquire(blocking=False):
                raise Busy("Too many tablets look already.")
            try:
                await show(socket, door, token)
            finally:
                places.release()
        except OstiaryError as error:
            with suppress(RuntimeError, WebSocketDisconnect):
                await socket.close(4000, error.code)
        except (WebSocketDisconnect, TimeoutError):
            pass

    async def show(socket: WebSocket, door: str, token: str) -> None:
        gone = asyncio.create_task(said(socket))
        loop, checked, sent = asyncio.get_running_loop(), 0.0, ""
        try:
            while not gone.done():
                due = loop.time() - checked >= CHECK_EVERY_S or not sent
                if due:
                    await run_in_threadpool(check, door, token)
                    checked = loop.time()
                now = (await run_in_threadpool(state_of, parts, door)).model_dump_json()
                if (due or now != sent) and not gone.done():
                    await socket.send_text(now)
                    sent = now
                await asyncio.wait((gone,), timeout=LOOK_EVERY_S)
        finally:
            gone.cancel()
            with suppress(asyncio.CancelledError, WebSocketDisconnect):
                await gone

    return router
