"""Lets a running daemon register who stands before its camera."""

from typing import Any

from testing.daemon import BASE
from testing.probe import Probe
from testing.waiting import wait_until


def answer_at_the_camera(probe: Probe, username: str, **more: Any) -> Any:
    """What the door answers to an enrolment at its camera. Asked until it is not *too late*: within
    a command's own time a slow machine may see too few frames."""
    request = {"username": username, "source": "camera", **more}

    def answer() -> Any:
        given = probe.ask(BASE, "register", request)
        is_late = given["status"] == "error" and given["error"]["code"] == "timed_out"
        return None if is_late else given

    return wait_until(answer, f"a good picture of {username}")


def register_at_the_camera(probe: Probe, username: str, **more: Any) -> None:
    """Ask until it is done; `more` goes into the request."""
    given = answer_at_the_camera(probe, username, **more)
    assert given["status"] == "ok", given
