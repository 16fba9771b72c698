"""The main thread's work: watchdog, health, the doors' hours, the store, reloads."""

import threading
import time
from collections.abc import Callable

import structlog

from ostiary.app.building import Building
from ostiary.app.control import BETWEEN_ROWS_S, LoopControl
from ostiary.app.core import Core
from ostiary.app.pipeline import Pipeline
from ostiary.errors import OstiaryError
from ostiary.hardware.doors import Doors
from ostiary.messages.state import State
from ostiary.service import machine
from ostiary.service.health import status_text
from ostiary.service.machine import Synchronised
from ostiary.service.systemd import Notifier, Watchdog
from ostiary.store.sealing import Rotation

log = structlog.get_logger(__name__)

STATE_CHECK_S = 1.0
ENDED_CHECK_S = 30.0


class MainLoop:
    """Runs until `control` stops it. `reload` is called in a thread of its own."""

    def __init__(
        self,
        core: Core,
        doors: Doors,
        pipeline: Pipeline,
        building: Building,
        control: LoopControl,
        notifier: Notifier,
        synchronised: Synchronised,
        reload: Callable[[], None],
    ) -> None:
        self._core = core
        self._doors = doors
        self._pipeline = pipeline
        self._building = building
        self._control = control
        self._notifier = notifier
        self._synchronised = synchronised
        self._reload = reload
        self._watchdog = Watchdog(notifier, core.heartbeats)
        self._rotation = Rotation(core.database)
        self._store_failure = ""
        self._told: State | None = None
        self._told_at = 0.0
        self._looked_at = 0.0
        core.database.on_failure(control.wake)

    def run(self) -> None:
        wait_s = min(STATE_CHECK_S, self._watchdog.every_s or STATE_CHECK_S)
        while not self._control.has_stopped():
            is_working = self._step()
            self._control.wait(BETWEEN_ROWS_S if is_working else wait_s)
            if self._control.takes_reload():
                threading.Thread(target=self._try_to_reload, name="reload", daemon=True).start()

    def _step(self) -> bool:
        """Look after everything once; whether there is more work than a moment allows."""
        self._watchdog.feed()
        rules = self._core.rules
        self._doors.keep_hours(rules.book.calendar, clock_trusted=rules.clock_trusted())
        self._pipeline.attend()
        is_writable = self._look_at_store()
        if time.monotonic() - self._looked_at >= ENDED_CHECK_S:
            self._looked_at = time.monotonic()
            machine.return_freed()
            self._synchronised.look()
            if is_writable:
                self._remove_ended()
        is_working = is_writable and self._rotate()
        self._tell()
        return is_working

    def _tell(self) -> None:
        """Say how the door is: at once where that has changed, and in fixed times."""
        state = self._building.state()
        self._notifier.status(status_text(state))
        now = time.monotonic()
        due = now - self._told_at >= self._core.settings.service.state_every_s
        if self._told is None or due or state.problems != self._told.problems:
            self._building.mqtt.publish_state(state)
            self._told, self._told_at = state, now

    def _look_at_store(self) -> bool:
        """Whether it can be written; told in the log when it cannot any more, and when it can."""
        database = self._core.database
        database.try_again()
        failure = database.failure
        code = "" if failure is None else failure.code
        if code != self._store_failure:
            if failure is not None:
                log.critical(code, reason=failure.message, consequence="nobody is let in")
            else:
                log.warning("database_writable_again")
            self._store_failure = code
        return failure is None

    def _remove_ended(self) -> None:
        """People whose time has been over for long enough."""
        try:
            removed = self._core.rules.remove_ended()
        except OstiaryError as error:
            log.error("ended_not_removed", code=error.code, reason=error.message)
            return
        if removed:
            log.info("ended_removed", people=removed)

    def _rotate(self) -> bool:
        """Some rows, where the data key was changed; whether there are more."""
        try:
            return self._rotation.step()
        except OstiaryError as error:
            log.error("rotation_failed", code=error.code, reason=error.message)
            return False

    def _try_to_reload(self) -> None:
        try:
            self._reload()
        except Exception as error:  # noqa: BLE001 - whatever it is, this door goes on
            refuse_reload(error)


def refuse_reload(error: Exception) -> None:
    """Say in the log why the settings were not read again."""
    if isinstance(error, OstiaryError):
        log.error("reload_refused", code=error.code, reason=error.message)
    else:
        log.error("reload_refused", code=OstiaryError.code, exc_info=error)
