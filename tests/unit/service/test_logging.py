"""What is written when something fails, in each format."""

import io
import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import structlog

from ostiary.service.logging import configure_logging
from ostiary.settings import LogSettings

SECRET = "a-secret-in-a-local-variable"


@pytest.fixture(autouse=True)
def default_logging() -> Iterator[None]:
    yield
    structlog.reset_defaults()


def log_a_failure(format: str) -> str:
    out = io.StringIO()
    configure_logging(LogSettings.model_validate({"format": format}), out)
    password, descriptor = SECRET, np.full(128, 0.123456, np.float32)
    try:
        raise ValueError(f"wrong length {len(password) + len(descriptor)}")
    except ValueError:
        structlog.get_logger("test").exception("pipeline_failed", camera="front")
    return out.getvalue()


@pytest.mark.parametrize("format", ["text", "json"])
def test_a_traceback_never_shows_local_variables(format: str) -> None:
    written = log_a_failure(format)
    assert "wrong length" in written
    assert "log_a_failure" in written
    assert SECRET not in written
    assert "0.123456" not in written


def test_json_is_one_document_a_line_with_its_fields() -> None:
    document = json.loads(log_a_failure("json"))
    assert (document["event"], document["camera"]) == ("pipeline_failed", "front")
    assert document["exception"][0]["exc_type"] == "ValueError"


def test_a_log_that_cannot_be_written_ends_nothing() -> None:
    full = Path("/dev/full").open("w", encoding="utf-8")  # noqa: SIM115 - closing it fails
    configure_logging(LogSettings(format="json"), full)
    structlog.get_logger().error("disk_full")
    with suppress(OSError):
        full.close()
