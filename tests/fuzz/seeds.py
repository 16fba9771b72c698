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

from ostiary.config import Settings
from ostiary.config_file import render
from ostiary.site.clock import following
from ostiary.site.envelope import write
from ostiary.site.invitation import grouped
from ostiary.site.members import Membership
from ostiary.site.person import Tombstone
from ostiary.store.database import Database
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
        "command": [b"\x02" + register, b"\x08" + filters, b"\x00{}"],
        "signed": [SIGNER.sign(topic + "x", '{"username": "Bo"}', NOW).model_dump_json().encode()],
        "username": [each.encode() for each in ("Anna Maria", "张三", "O’Brien", "می\u200cخواهم")],
        "form": [field + file],
        "config": [render(Settings.model_construct()).encode(), b"[access]\nvotes = 3\n"],
        "head": [
            json.dumps(
                {
                    "door": lock_vectors.DOOR,
                    "position": 1,
                    "link": "0" * 64,
                    "signed_at": "2026-05-01T00:00:00Z",
                    "signature": "",
                }
            ).encode()
        ],
        "database": list(_databases()),
        "people_list": [
            b"name,groups,from,until,photo\r\nAnn,Staff;Lab,2026-12-01,,ann.jpg\r\n'=1,,,,\r\n",
            '\ufeffname;until\n"Zo\u00eb ""Z""";2026-12-24T18:00\n'.encode(),
        ],
        "site": list(_site_messages()),
    }


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
