"""An MQTT 5 broker for the demo alone: `iotcore`, rumqttd in a wheel, in a process of its own.

It listens on the loopback interface, on a free port, and ends with the demo.
"""

import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from demo.errors import DemoError

TRIES = 5
CONFIG = """\
id = 0
[router]
id = 0
max_connections = 32
max_outgoing_packet_count = 200
max_segment_size = 104857600
max_segment_count = 10
[v5.1]
name = "demo"
listen = "127.0.0.1:{port}"
next_connection_delay_ms = 1
[v5.1.connections]
connection_timeout_ms = 60000
max_payload_size = 16777216
max_inflight_count = 100
dynamic_filters = true
"""


@contextmanager
def embedded_broker(folder: Path) -> Iterator[int]:
    """Run a broker whose configuration is written into `folder`; gives its port.

    Raises DemoError when it is not installed or does not start.
    """
    try:
        from iotcore import Broker
    except ImportError as error:
        raise DemoError(
            "The demo's MQTT broker is not installed: `.venv/bin/pip install iotcore` "
            "(make setup does so too)."
        ) from error

    config = folder / "broker.toml"
    for _ in range(TRIES):
        port = free_port()
        config.write_text(CONFIG.format(port=port), encoding="utf-8")
        broker = Broker(config_path=str(config))
        try:
            with _children_ignore_interrupts():
                broker.start(timeout=60)
        except OSError:  # somebody else took the port since
            continue
        except RuntimeError as error:
            raise DemoError(f"The demo's MQTT broker did not start: {error}") from error
        try:
            yield port
        finally:
            broker.stop()
        return
    raise DemoError(f"The demo's MQTT broker found no free port in {TRIES} tries.")


def free_port() -> int:
    """A TCP port of the loopback interface that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def _children_ignore_interrupts() -> Iterator[None]:
    """Ctrl-C reaches every process of a terminal; the broker must outlive the door's `offline`."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
