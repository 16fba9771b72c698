"""A few good inputs for each target, from which fuzzing begins."""

import base64
import json
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from ostiary.commands.commands import COMMANDS
from ostiary.hardware.input_device import EVENT
from ostiary.settings import Settings
from ostiary.settings.file import render
from ostiary.site.envelope import write
from ostiary.site.invitation import grouped
from ostiary.site.members import Membership
from ostiary.site.person import Tombstone
from ostiary.site.versions import following
from ostiary.store.database import Database
from ostiary.vision.last_layer import FEATURES, LastLayer
from testing import lock_vectors
from tests.fuzz.targets import BOUNDARY, HOLDER, MEMBERS, NOW, PERSON, SIGNER


def write_seeds(corpus: Path) -> None:
    """Write what is not there yet; what was found is left alone."""
    for name, seeds in _seeds().items():
        folder = corpus / name
        folder.mkdir(parents=True, exist_ok=True)
        for number, seed in enumerate(seeds):
            path = folder / f"seed-{number}"
            if not path.exists():
                path.write_bytes(seed)


def _seeds() -> dict[str, Iterable[bytes]]:
    pictures = [_encoded(kind) for kind in (".jpg", ".png", ".webp")]
    sent = base64.b64encode(pictures[0]).decode()
    register = json.dumps({"username": "张三", "image": sent, "transaction": 1}).encode()
    filters = json.dumps({"limit": 5, "since": "2026-05-01T00:00:00Z", "kind": "login"}).encode()
    part = b"--x\r\nContent-Type: image/jpeg\r\n\r\n" + pictures[0] + b"\r\n"
    sized = b"--x\r\nContent-Length: %d\r\n\r\n" % len(pictures[0]) + pictures[0] + b"\r\n"
    field = b'--x\r\nContent-Disposition: form-data; name="username"\r\n\r\nAnna\r\n'
    file = (
        b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n'
        b"Content-Type: image/jpeg\r\n\r\n" + pictures[0] + b"\r\n--x--\r\n"
    )
    assert BOUNDARY == "x"
    topic = "ostiary/door/request/delete"
    return {
        "image": pictures,
        "mjpeg": [part * 2 + b"--x--", sized * 2, b"\x01" + part],
        "command": [b"register " + register + b"\n", b"events " + filters + b"\n", *_commands()],
        "signed": [SIGNER.sign(topic + "x", '{"username": "Bo"}', NOW).model_dump_json().encode()],
        "username": [each.encode() for each in ("Anna Maria", "张三", "O’Brien", "می\u200cخواهم")],
        "form": [field + file],
        "config": [render(Settings.model_construct()).encode(), b"[access]\nvotes = 3\n"],
        "head": [_head()],
        "database": list(_databases()),
        "people_list": [
            b"name,groups,from,until,photo\r\nAnn,Staff;Lab,2026-12-01,,ann.jpg\r\n'=1,,,,\r\n",
            '\ufeffname;until\n"Zo\u00eb ""Z""";2026-12-24T18:00\n'.encode(),
        ],
        "site": list(_site_messages()),
        "recovery": [b"w" + b"abandon " * 11 + b"about", b"p" + bytes(32), _envelope()],
        "edit": [render(Settings.model_construct()).encode(), b'[[cameras]]\nsource = "0" # a\n'],
        "overrides": [b"[access]\nfalse_accept = 0.001\nvotes = 3\none_person_only = true\n"],
        "heard": list(_heard()),
        "keys": [b"\x10" + EVENT.pack(1, 2, 1, 42, 1) + EVENT.pack(1, 3, 1, 4, 1)],
        "layer": [LastLayer(np.zeros(FEATURES, np.float32), 0.5).to_bytes()],
    }


def _commands() -> Iterable[bytes]:
    """Each command with the names of its fields, at which a fuzzer would not guess."""
    for name, command in COMMANDS.items():
        yield f"{name} {json.dumps(dict.fromkeys(command.request.model_fields))}\n".encode()


def _envelope() -> bytes:
    suite = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
    public = X25519PrivateKey.from_private_bytes(bytes(32)).public_key()
    return b"ehpke1:" + suite.encrypt(bytes(32), public, b"ostiary recovery key 0")


def _heard() -> Iterable[bytes]:
    yield b'c{"contact": true, "battery": 99}'
    yield b"cON"
    event = {"event_id": "0" * 32, "seq": 1, "timestamp": "2026-05-01T00:00:00Z", "reason": "live"}
    yield b"e" + json.dumps(event).encode()
    yield b"c<d:XAddrs>http://[fe80::1]/onvif</d:XAddrs> onvif://www.onvif.org/name/A%20camera"
    yield b"h" + _head()


def _head() -> bytes:
    head = {"door": lock_vectors.DOOR, "position": 1, "link": "0" * 64, "signature": ""}
    return json.dumps({**head, "signed_at": "2026-05-01T00:00:00Z"}).encode()


def _site_messages() -> Iterable[bytes]:
    membership = Membership.of(HOLDER.public, MEMBERS, HOLDER)
    version = following(None, int(NOW.timestamp() * 1000), HOLDER.id)
    gone = Tombstone(changed_by="office", changed_at=NOW).model_dump_json().encode()
    yield b"s" + write(membership, PERSON, version, gone)
    yield b"m" + MEMBERS.signed(HOLDER)
    yield b"p" + gone
    yield b"c" + grouped("0" * 15).encode()


def _encoded(kind: str) -> bytes:
    _, data = cv2.imencode(kind, np.full((16, 24, 3), 127, np.uint8))
    return data.tobytes()


def _databases() -> Iterable[bytes]:
    with TemporaryDirectory() as folder:
        first = Path(folder) / "first.db"
        with closing(sqlite3.connect(first)) as connection, connection:
            connection.execute("PRAGMA page_size = 512")
            connection.execute(
                "CREATE TABLE users (username TEXT PRIMARY KEY, encoding BLOB NOT NULL,"
                " created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP)"
            )
            encoding = np.linspace(-0.2, 0.2, 128).tobytes()
            connection.execute("INSERT INTO users VALUES ('Anna', ?, '2024-01-01')", (encoding,))
        yield first.read_bytes()
        ours = Path(folder) / "ours.db"
        Database.open(ours).close()
        yield ours.read_bytes()
