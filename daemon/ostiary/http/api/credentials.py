"""PINs and cards of people, and the doors themselves."""

from typing import Annotated

from fastapi import APIRouter, Path, Query

from ostiary.http.gate import Operator, Viewer
from ostiary.http.messages import DoorAction, NewCard, NewPin
from ostiary.http.problems import responses
from ostiary.http.work import Work
from ostiary.messages.commands import (
    AddCardAnswer,
    AddCardRequest,
    CredentialsAnswer,
    CredentialsRequest,
    DoorAnswer,
    DoorRequest,
    DoorsAnswer,
    DoorsRequest,
    RemoveCardAnswer,
    RemoveCardRequest,
    RemovePinAnswer,
    RemovePinRequest,
    SetPinAnswer,
    SetPinRequest,
)

Name = Annotated[str, Path(min_length=1, description="Who, percent-encoded.")]
DoorPath = Annotated[str, Path(description="Its camera's name.", min_length=1, max_length=64)]
Duress = Annotated[bool, Query(description="The one for when they are forced.")]


def credentials_router(work: Work) -> APIRouter:
    router = APIRouter(tags=["credentials"], responses=responses(401, 422, 429, 503))

    @router.get(
        "/users/{username:path}/credentials",
        summary="What a person has besides a face",
        responses=responses(403, 404),
    )
    def credentials(username: Name, _caller: Operator) -> CredentialsAnswer:
        return work.ask("credentials", CredentialsRequest(username=username), CredentialsAnswer)

    @router.put(
        "/users/{username:path}/pin",
        summary="Give a person a PIN",
        responses=responses(403, 404),
    )
    def set_pin(username: Name, wanted: NewPin, caller: Operator) -> SetPinAnswer:
        request = SetPinRequest(username=username, pin=wanted.pin, duress=wanted.duress)
        return work.change("set_pin", request, SetPinAnswer, caller, "pin_set", request.username)

    @router.delete(
        "/users/{username:path}/pin",
        summary="Take a person's PIN away",
        responses=responses(403, 404),
    )
    def remove_pin(username: Name, caller: Operator, duress: Duress = False) -> RemovePinAnswer:
        request = RemovePinRequest(username=username, duress=duress)
        return work.change(
            "remove_pin", request, RemovePinAnswer, caller, "pin_removed", request.username
        )

    @router.post(
        "/users/{username:path}/cards",
        summary="Give a person a card",
        responses=responses(403, 404, 409),
    )
    def add_card(username: Name, wanted: NewCard, caller: Operator) -> AddCardAnswer:
        """By its number, or the one that is held to a door's reader next."""
        request = AddCardRequest(username=username, card=wanted.card, door=wanted.door)
        return work.change(
            "add_card", request, AddCardAnswer, caller, "card_added", request.username
        )

    @router.delete(
        "/users/{username:path}/cards",
        summary="Take all of a person's cards away",
        responses=responses(403, 404),
    )
    def remove_cards(username: Name, caller: Operator) -> RemoveCardAnswer:
        request = RemoveCardRequest(username=username)
        return work.change(
            "remove_card", request, RemoveCardAnswer, caller, "cards_removed", request.username
        )

    return router


def doors_router(work: Work) -> APIRouter:
    router = APIRouter(tags=["doors"], responses=responses(401, 422, 429, 503))

    @router.get("/doors", summary="How the doors are")
    def doors(_caller: Viewer) -> DoorsAnswer:
        return work.ask("doors", DoorsRequest(), DoorsAnswer)

    @router.post(
        "/doors/{door}",
        summary="Run a door otherwise, open it once, or silence its alarm",
        responses=responses(403, 404),
    )
    def door(door: DoorPath, wanted: DoorAction, caller: Operator) -> DoorAnswer:
        request = DoorRequest(door=door, action=wanted.action)
        return work.change(
            "door", request, DoorAnswer, caller, "door_run", f"{door}: {wanted.action}"
        )

    return router
