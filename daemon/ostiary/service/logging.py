"""Structured logs: entries with fields in the journal, text on a terminal, JSON elsewhere."""

import logging
import sys
from contextlib import suppress
from functools import partial
from typing import TextIO

import structlog
from structlog.dev import plain_traceback
from structlog.processors import ExceptionRenderer
from structlog.tracebacks import ExceptionDictTransformer
from structlog.typing import Processor

from ostiary.service.journal import JournalLogger, goes_to_journal, render_entry
from ostiary.settings import LogSettings


def configure_logging(settings: LogSettings, stream: TextIO | None = None) -> None:
    """Set up structlog for the whole process; `stream` is standard error unless given.

    A traceback never shows local variables: they hold images and descriptors.
    """
    out = sys.stderr if stream is None else stream
    chosen = _format_for(out) if settings.format == "auto" else settings.format
    endings: dict[str, tuple[Processor, ...]] = {
        "journal": (structlog.processors.format_exc_info, render_entry),
        "text": (structlog.dev.ConsoleRenderer(exception_formatter=plain_traceback),),
        "json": (
            ExceptionRenderer(ExceptionDictTransformer(show_locals=False)),
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ),
    }
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
            *endings[chosen],
        ],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping()[settings.level.upper()]
        ),
        logger_factory=_ToJournal() if chosen == "journal" else partial(_Printer, out),
        cache_logger_on_first_use=False,
    )


def _format_for(out: TextIO) -> str:
    if goes_to_journal(out):
        return "journal"
    return "text" if out.isatty() else "json"


class _Printer(structlog.PrintLogger):
    """A log on a full disk loses lines, and ends no thread."""

    def __init__(self, out: TextIO, *_args: object) -> None:
        super().__init__(out)

    def msg(self, message: str) -> None:
        with suppress(OSError):
            super().msg(message)

    log = debug = info = warn = warning = fatal = failure = err = error = critical = exception = msg


class _ToJournal:
    """One socket for all loggers."""

    def __init__(self) -> None:
        self._logger = JournalLogger()

    def __call__(self, *_args: object) -> JournalLogger:
        return self._logger
