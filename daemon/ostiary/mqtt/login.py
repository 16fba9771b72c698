"""How the settings say to reach the broker: the same for the door and for its operator."""

from ostiary.mqtt.connection import Login, Will
from ostiary.mqtt.security import read_password, tls_context
from ostiary.settings import Settings

KEEP_ALIVE_S = 15
RECEIVE_MAXIMUM = 20
"""Messages under way at once. Most brokers have as many."""
PACKET_LIMIT = 16 * 1024 * 1024
"""Bytes of a message that is taken: twice the largest command."""


def login_of(
    settings: Settings,
    client_id: str,
    *,
    session_expiry_s: int = 0,
    will: Will | None = None,
    receive_maximum: int = RECEIVE_MAXIMUM,
) -> Login:
    """Secrets and certificates are read now. Raises ConfigError."""
    mqtt = settings.mqtt
    return Login(
        host=mqtt.host,
        port=mqtt.port,
        client_id=client_id,
        keepalive_s=KEEP_ALIVE_S,
        session_expiry_s=session_expiry_s,
        receive_maximum=receive_maximum,
        packet_limit=PACKET_LIMIT,
        will=will,
        username=mqtt.username,
        password=read_password(mqtt),
        tls=tls_context(mqtt),
    )
