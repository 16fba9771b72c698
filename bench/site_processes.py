"""Runs doors of a site without cameras in processes of their own, 25 in one: 200 doors are eight
processes, and no single interpreter's lock holds them all up."""

import multiprocessing
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Self

import structlog

from testing.site_doors import CameralessDoor, LinkedDoor, RealClock

DOORS_A_PROCESS = 25


@dataclass(frozen=True, slots=True)
class Plan:
    """What a process needs to make its doors. Their keys are in `folder`, by their names;
    `authority` is the key-holder's public key, `members` the list that it signed."""

    folder: Path
    port: int
    authority: bytes
    members: bytes
    names: Sequence[str]


class DoorsProcess:
    """Starts on entering; ends with the block."""

    def __init__(self, plan: Plan) -> None:
        spawning = multiprocessing.get_context("spawn")
        self._pipe, theirs = spawning.Pipe()
        self._process = spawning.Process(target=_run, args=(plan, theirs), daemon=True)
        self.names = tuple(plan.names)

    def __enter__(self) -> Self:
        self._process.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._pipe.close()
        self._process.join(10)
        self._process.kill()

    def connect(self) -> None:
        """Bring all its doors to the broker."""
        self._ask("connect")

    def enrol(self, door: str, person: str, seed: int) -> str:
        """Enrol somebody at a door; the digest of its roster after that."""
        digest: str = self._ask("enrol", door, person, seed)
        return digest

    def have(self, digest: str) -> bool:
        """Whether all its doors have that roster."""
        return bool(self._ask("have", digest))

    def know(self, people: int) -> bool:
        """Whether all its doors know so many."""
        return bool(self._ask("know", people))

    def cpu_s(self) -> float:
        """Processor time it has used."""
        return float(self._ask("cpu_s"))

    def _ask(self, *request: object) -> Any:
        self._pipe.send(request)
        return self._pipe.recv()


class _Doors:
    """The doors inside a process."""

    def __init__(self, plan: Plan, stack: ExitStack) -> None:
        self._stack = stack
        self._port = plan.port
        self._doors = {}
        for name in plan.names:
            door = CameralessDoor(plan.folder, name, RealClock())
            stack.callback(door.close)
            self._doors[name] = door.join_by(plan.authority, plan.members)

    def connect(self) -> None:
        for door in self._doors.values():
            self._stack.enter_context(LinkedDoor(door, self._port))

    def enrol(self, door: str, person: str, seed: int) -> str:
        self._doors[door].enrol(person, seed)
        return self._doors[door].site.digest

    def have(self, digest: str) -> bool:
        return all(each.site.digest == digest for each in self._doors.values())

    def know(self, people: int) -> bool:
        return all(each.site.living == people for each in self._doors.values())

    def cpu_s(self) -> float:
        return time.process_time()


def _run(plan: Plan, pipe: Connection) -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    with ExitStack() as stack:
        doors = _Doors(plan, stack)
        while True:
            try:
                name, *given = pipe.recv()
            except EOFError:
                return
            answer: Callable[..., object] = getattr(doors, name)
            pipe.send(answer(*given))


def split(names: Sequence[str]) -> list[Sequence[str]]:
    """Among processes."""
    return [names[at : at + DOORS_A_PROCESS] for at in range(0, len(names), DOORS_A_PROCESS)]
