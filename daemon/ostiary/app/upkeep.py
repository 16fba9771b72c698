"""What goes on beside the door's work: metrics, and taking deleted people out of the record."""

import threading

import structlog

from ostiary.app.control import BETWEEN_ROWS_S, LoopControl
from ostiary.app.core import Core
from ostiary.app.pipeline import Pipeline
from ostiary.camera.frame import CameraReport
from ostiary.errors import ConfigError, OstiaryError
from ostiary.mqtt.publisher import RESEND
from ostiary.store.forgetting import Forgetting

log = structlog.get_logger(__name__)

LOOK_EVERY_S = 1.0
ENDS_WITHIN_S = 1.0


class Upkeep:
    """Taking people out has a thread of its own: to write a large file anew takes seconds, and is
    begun while nobody stands at a door."""

    def __init__(self, core: Core, pipeline: Pipeline, control: LoopControl) -> None:
        self._core = core
        self._pipeline = pipeline
        self._control = control
        self._forgetting = Forgetting(core.database, RESEND)
        self._thread = threading.Thread(target=self._run, name="forgetting", daemon=True)

    def start(self) -> None:
        core, port = self._core, self._core.settings.service.metrics_port
        core.metrics.follow(self._camera_reports, core.events.queue_length)
        if port:
            try:
                core.metrics.serve(port)
            except ConfigError as error:  # a port that is taken keeps nobody out of the house
                log.error("metrics_not_served", reason=error.message)
        self._thread.start()

    def stop(self) -> None:
        """The thread ends once `control` has stopped."""
        self._core.metrics.close()
        if self._thread.is_alive():
            self._thread.join(ENDS_WITHIN_S)

    def _camera_reports(self) -> tuple[CameraReport, ...]:
        return tuple(each.camera.state for each in self._pipeline.recognitions)

    def _run(self) -> None:
        is_working = False
        while not self._control.has_stopped(
            within_s=BETWEEN_ROWS_S if is_working else LOOK_EVERY_S
        ):
            is_working = False
            is_quiet = not any(each.memory.tracks for each in self._pipeline.recognitions)
            try:
                if self._core.database.failure is None:
                    is_working = self._forgetting.step(self._core.clock(), is_quiet=is_quiet)
            except OstiaryError as error:
                log.error("forgetting_failed", code=error.code, reason=error.message)
            except Exception:  # what cannot be taken out now is tried again
                log.exception("forgetting_failed")
