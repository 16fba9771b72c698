"""Which broker to try next: the one in the settings, and the others of its cluster."""

from dataclasses import replace

from ostiary.mqtt.connection import Login
from ostiary.settings import MqttSettings


class Brokers:
    """In turn, beginning with the first."""

    def __init__(self, settings: MqttSettings) -> None:
        self._all = [(settings.host, settings.port), *map(_address, settings.cluster)]
        self._tried = 0

    def next(self, login: Login) -> Login:
        """`login` at the broker whose turn it is."""
        host, port = self._all[self._tried % len(self._all)]
        self._tried += 1
        return replace(login, host=host, port=port)


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)
