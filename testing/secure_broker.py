"""A mosquitto with the shipped TLS and ACL files, and clients of its roles."""

from pathlib import Path
from typing import Any

import paho.mqtt.client as paho

from testing.broker import Mosquitto
from testing.certificates import Authority, Certificate
from testing.doorway import door_settings
from testing.ports import free_port
from testing.probe import Probe

SHIPPED = Path(__file__).resolve().parents[1] / "config" / "mosquitto"
BASE = "ostiary/door"
EVERYTHING = f"{BASE}/#"


def shipped_config(port: int, folder: Path, authority: Authority, broker: Certificate) -> str:
    """ostiary.conf with the paths and the port of this test."""
    places = {
        "/etc/mosquitto/ostiary.acl": SHIPPED / "ostiary.acl",
        "/etc/mosquitto/certs/ca.crt": authority.ca.certificate,
        "/etc/mosquitto/certs/broker.crt": broker.certificate,
        "/etc/mosquitto/certs/broker.key": broker.key,
        "/var/lib/mosquitto/": f"{folder}/",
        "listener 8883": f"listener {port} 127.0.0.1",
    }
    text = (SHIPPED / "ostiary.conf").read_text(encoding="utf-8")
    for shipped, here in places.items():
        assert shipped in text
        text = text.replace(shipped, str(here))
    return text


def start_broker(
    folder: Path, authority: Authority, certificate: Certificate, acl: str | None = None
) -> Mosquitto:
    """`acl`: the lines of the access list, in the place of the shipped one's."""
    port = free_port()
    config = shipped_config(port, folder, authority, certificate)
    if acl is not None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "other.acl").write_text(acl, encoding="utf-8")
        config = config.replace(str(SHIPPED / "ostiary.acl"), str(folder / "other.acl"))
    broker = Mosquitto(folder, config, port=port, listener=False, persistent=False)
    return broker.start()


def client(
    broker: Mosquitto, authority: Authority, role: str, *topics: str, client_id: str = ""
) -> Probe:
    own = authority.issue(role)

    def prepare(made: paho.Client) -> None:
        made.tls_set(str(authority.ca.certificate), str(own.certificate), str(own.key))

    return Probe(broker.port, *topics, client_id=client_id, prepare=prepare)


def secure(tmp_path: Path, port: int, authority: Authority, role: str = "door", **mqtt: Any) -> Any:
    own = authority.issue(role)
    return door_settings(
        tmp_path,
        port,
        device={"id": "door"},
        mqtt={
            "tls": True,
            "tls_ca": authority.ca.certificate,
            "tls_certificate": own.certificate,
            "tls_key": own.key,
            **mqtt,
        },
    )
