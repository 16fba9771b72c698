"""PINs and cards of people, and the doors themselves."""

from functools import partial

from fastapi import APIRouter

from ostiary.commands import credentials, doors
from ostiary.http.authenticator import Viewer
from ostiary.http.problems import responses
from ostiary.http.routes import route
from ostiary.http.runner import CommandRunner


def credentials_router(work: CommandRunner) -> APIRouter:
    router = APIRouter(tags=["credentials"], responses=responses(401, 422, 429, 503))
    add, user = partial(route, router, work), "/users/{username:path}"
    what = "What a person has besides a face"
    add(credentials.credentials, f"GET {user}/credentials", what, 403, 404)
    add(credentials.set_pin, f"PUT {user}/pin", "Give a person a PIN", 403, 404)
    taken = "Take a person's PIN away"
    add(credentials.remove_pin, f"DELETE {user}/pin", taken, 403, 404, query="duress")
    add(
        credentials.add_card,
        f"POST {user}/cards",
        "Give a person a card",
        *(403, 404, 409),
        description="By its number, or the one that is held to a door's reader next.",
    )
    taken = "Take all of a person's cards away"
    add(credentials.remove_card, f"DELETE {user}/cards", taken, 403, 404, name="remove_cards")
    return router


def doors_router(work: CommandRunner) -> APIRouter:
    router = APIRouter(tags=["doors"], responses=responses(401, 422, 429, 503))
    add = partial(route, router, work)
    add(doors.doors, "GET /doors", "How the doors are", role=Viewer)
    run = "Run a door otherwise, open it once, or silence its alarm"
    add(doors.door, "POST /doors/{door}", run, 403, 404)
    return router
