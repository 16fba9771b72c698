"""How the settings say to reach the broker: the same for the door and for its operator."""

from ostiary.config import Settings
from ostiary.mqtt.connection import Login, Will
from ostiary.mqtt.security import read_password, tls_context

URGENT = 4
"""Commands taken in above those that may wait (most brokers have 20 under way): so a lockdown is
heard behind them."""


def login_of(
    settings: Settings,
    client_id: str,
    *,
    session_expiry_s: int = 0,
    will: Will | None = None,
    receive_maximum: int | None = None,
) -> Login:
    """Secrets and certificates are read now. Raises ConfigError."""
    mqtt = settings.mqtt
    return Login(
        host=mqtt.host,
        port=mqtt.port,
        client_id=client_id,
        keepalive_s=mqtt.keepalive_s,
        session_expiry_s=session_expiry_s,
        receive_maximum=receive_maximum or settings.commands.queue_limit + URGENT,
        packet_limit=2 * settings.commands.payload_limit_bytes,
        will=will,
        username=mqtt.username,
        password=read_password(mqtt),
        tls=tls_context(mqtt),
    )
