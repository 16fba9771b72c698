"""Gives a broker that answers at all as long as a slow machine may take."""

import pytest

from testing.waiting import PATIENCE_S

TIMES = (
    "ostiary.mqtt.connection.CONNECT_TIMEOUT_S",
    "ostiary.mqtt.paho_client.CONNECT_TIMEOUT_S",
    "ostiary.service.doctor.network.ANSWER_WITHIN_S",
)


def wait_long_for_the_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    """For the connections that this process makes once and does not try again."""
    for each in TIMES:
        monkeypatch.setattr(each, PATIENCE_S)
