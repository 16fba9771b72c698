"""Network cameras that answer on this network: ONVIF's WS-Discovery, a question to everybody."""

import re
import socket
import time
import uuid
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

GROUP = ("239.255.255.250", 3702)
WITHIN_S = 2.0
LONGEST = 64 * 1024
MOST = 100
"""Cameras that are listed: anybody may answer."""

_PROBE = """<?xml version="1.0" encoding="utf-8"?>
<e:Envelope xmlns:e="http://www.w3.org/2003/05/soap-envelope"
 xmlns:w="http://schemas.xmlsoap.org/ws/2004/08/addressing"
 xmlns:d="http://schemas.xmlsoap.org/ws/2005/04/discovery"
 xmlns:dn="http://www.onvif.org/ver10/network/wsdl">
<e:Header><w:MessageID>uuid:{id}</w:MessageID>
<w:To e:mustUnderstand="true">urn:schemas-xmlsoap-org:ws:2005:04:discovery</w:To>
<w:Action e:mustUnderstand="true">http://schemas.xmlsoap.org/ws/2005/04/discovery/Probe</w:Action>
</e:Header><e:Body><d:Probe><d:Types>dn:NetworkVideoTransmitter</d:Types></d:Probe></e:Body>
</e:Envelope>"""


@dataclass(frozen=True, slots=True)
class NetworkCamera:
    """A camera that answered. `host` is its address, `name` what it calls itself, or empty."""

    host: str
    name: str

    @property
    def source(self) -> str:
        """The usual address of its stream, with places for user and password."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"rtsp://USER:PASSWORD@{host}:554/"


def discover(
    group: tuple[str, int] = GROUP, within_s: float = WITHIN_S
) -> tuple[NetworkCamera, ...]:
    """Cameras that answer within `within_s`; none where there is no network. Answers are read by
    patterns: what strangers send is given to no XML parser."""
    found: dict[str, NetworkCamera] = {}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 1)
        until = time.monotonic() + within_s
        try:
            asking.sendto(_PROBE.format(id=uuid.uuid4()).encode(), group)
            while (left := until - time.monotonic()) > 0 and len(found) < MOST:
                asking.settimeout(left)
                answer, _ = asking.recvfrom(LONGEST)
                if (camera := camera_in(answer)) is not None:
                    found[camera.host] = camera
        except OSError:  # no network, or no further answer
            pass
    return tuple(found[host] for host in sorted(found))


def camera_in(answer: bytes) -> NetworkCamera | None:
    """The camera that `answer` names; None where it names none."""
    text = answer.decode("utf-8", "replace")
    addresses = re.search(r"XAddrs>\s*([^<\s]+)", text)
    if addresses is None:
        return None
    try:
        host = urlsplit(addresses[1]).hostname or ""
    except ValueError:
        return None
    if not re.fullmatch(r"[0-9A-Za-z.:-]{1,100}", host):
        return None
    name = re.search(r"onvif://www\.onvif\.org/name/([^<\s]+)", text)
    words = "" if name is None else unquote(name[1])[:60]
    return NetworkCamera(host, "".join(each for each in words if each.isprintable()))
