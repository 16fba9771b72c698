"""The daemon as a process: one `App` after the other, and the signals that it gets."""

import gc
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from types import FrameType

import structlog

from ostiary.app.app import App, Next
from ostiary.app.control import LoopControl
from ostiary.app.main_loop import refuse_reload
from ostiary.app.pipeline import Remembered
from ostiary.service import machine
from ostiary.service.logging import configure_logging
from ostiary.service.systemd import Notifier
from ostiary.settings import Settings

log = structlog.get_logger(__name__)


def run_until_stopped(read: Callable[[], Settings], notifier: Notifier) -> None:
    """Be the daemon until SIGTERM or SIGINT. After a reload an `App` of the new settings goes on,
    with what the cameras remembered. Raises as `App` does."""
    machine.use_one_arena()
    settings = read()
    _begin_with(settings)
    app: App | None = App(settings, read, notifier)
    while app is not None:
        following, remembered = _run(app)
        app = None
        # The networks hang in cycles, and Python does not see how much memory they hold.
        gc.collect()
        if following is None:
            return
        _begin_with(following.settings)
        try:
            app = App(following.settings, read, notifier, remembered, following.engine)
        except Exception as error:  # noqa: BLE001 - taken by somebody in the moment between
            refuse_reload(error)
            app = App(settings, read, notifier, remembered)
        else:
            settings = following.settings


def _begin_with(settings: Settings) -> None:
    configure_logging(settings.log)
    if settings.retired:
        log.warning("settings_retired", keys=settings.retired)


def _run(app: App) -> tuple[Next | None, Remembered]:
    with signals_to(app.control):
        return app.run(), app.remembered()


@contextmanager
def signals_to(control: LoopControl) -> Iterator[None]:
    """SIGTERM and SIGINT end the door, SIGHUP asks for a reload."""

    def handle(number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGHUP:
            control.ask_reload()
        else:
            control.stop()

    with ExitStack() as restored:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            restored.callback(partial(signal.signal, number, signal.signal(number, handle)))
        yield
