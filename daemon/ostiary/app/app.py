"""The whole door, from open database to open door. Made anew on reload."""

import threading
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from typing import Protocol

import structlog

from ostiary.app.building import Building, services_of
from ostiary.app.console import ServedConsole, opened_parts
from ostiary.app.control import LoopControl
from ostiary.app.core import opened_core
from ostiary.app.doors import opened_doors
from ostiary.app.main_loop import MainLoop
from ostiary.app.pipeline import NOTHING, Pipeline, Remembered
from ostiary.app.upkeep import Upkeep
from ostiary.decoding.decoder import Decoder
from ostiary.errors import Busy, StoreLocked
from ostiary.hardware.gpio import Lines, lines_in
from ostiary.service.machine import Synchronised
from ostiary.service.systemd import Notifier
from ostiary.settings import Settings
from ostiary.version import described
from ostiary.vision.engine import VisionEngine
from ostiary.vision.image import ImageLimits

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Next:
    """What to begin anew with: settings with which an `App` was made, and its networks."""

    settings: Settings
    engine: VisionEngine


class Part(Protocol):
    """What runs between `start` and `stop`; `stop` may be called without `start`."""

    def start(self) -> None: ...

    def stop(self) -> None: ...


class App:
    """Everything that it has is made at once, or nothing; `run` starts it."""

    def __init__(
        self,
        configured: Settings,
        reread: Callable[[], Settings],
        notifier: Notifier,
        before: Remembered = NOTHING,
        engine: VisionEngine | None = None,
        held: Lines = frozenset(),
    ) -> None:
        """`configured` are the settings without what was set in the console; `reread` gives them
        as they are now, or raises ConfigError. `before` is what was remembered at a reload, and
        `engine` the networks that were loaded for it. `held` are lines of a door that still runs:
        they are not taken.

        Raises ConfigError, ModelMissing, DatabaseVersion… before anything is started.
        """
        self._reread = reread
        self._notifier = notifier
        self._next: Next | None = None
        self._reloading = threading.Lock()
        self.control = LoopControl()
        synchronised = Synchronised()
        with ExitStack() as making:
            core = making.enter_context(opened_core(configured, engine, clock_trusted=synchronised))
            doors = making.enter_context(opened_doors(core, before.doors, held))
            self._pipeline = Pipeline(core, doors, before)
            decoder = making.enter_context(closing(Decoder(ImageLimits())))
            services = replace(
                services_of(core, doors, self._pipeline),
                reload=self._reload,
                decode=decoder.decode,
            )
            self._building = Building(core, doors, self._pipeline, services)
            self._parts: list[Part] = [
                Upkeep(core, self._pipeline, self.control),
                self._building,
                self._pipeline,
            ]
            # It shows names throughout.
            if core.settings.http.enabled and not core.database.is_locked:
                parts = opened_parts(core, doors, self._pipeline, self._building)
                shown = making.enter_context(parts)
                self._parts.append(ServedConsole(shown, core, self._building))
            self._loop = MainLoop(
                core,
                doors,
                self._pipeline,
                self._building,
                self.control,
                notifier,
                synchronised,
                self._reload,
            )
            self.core = core
            self._made = making.pop_all()

    def run(self) -> Next | None:
        """Work until `control` stops it or a reload, and close within two seconds.

        Returns what to start anew with, None to end.
        """
        with ExitStack() as running:
            running.callback(log.info, "stopped")
            running.enter_context(self._made)
            for part in self._parts:
                running.callback(part.stop)
            running.callback(self._say_why_it_ends)
            for part in self._parts:
                part.start()
            self._notifier.ready()
            log.info("started", version=described(), users=self.core.people.count())
            self._loop.run()
            log.info("stopping")
        return self._next

    def remembered(self) -> Remembered:
        """What is to be handed on at a reload."""
        return self._pipeline.remembered()

    def dismiss(self) -> None:
        """Let go of all that it has, where it was not run."""
        self._made.close()

    def _reload(self) -> None:
        """End, to begin anew with the settings as they are now: once an `App` could be made of
        them whole, beside this one. Raises OstiaryError: go on."""
        if not self._reloading.acquire(blocking=False):
            raise Busy("The settings are being read already.")
        try:
            settings = self._reread()
            made = App(settings, self._reread, self._notifier, held=lines_in(self.core.settings))
            try:
                made._building.mqtt.login()
                is_locked = made.core.database.is_locked
            finally:
                made.dismiss()
            if is_locked and not self.core.database.is_locked:
                raise StoreLocked("With these settings the store's key is not to be had.")
            self._next = Next(settings, made.core.engine)
            self.control.stop()
        finally:
            self._reloading.release()

    def _say_why_it_ends(self) -> None:
        self._notifier.reloading() if self._next else self._notifier.stopping()
