"""Everything that reads bytes from outside, each as a function of bytes.

A target may refuse what it is given with an OstiaryError. Any other exception is a fault, and so is
what it asserts. What was found stays in `corpus/<target>/` and is read again by every test run.
"""

import asyncio
import os
import socket
import sqlite3
import tempfile
import tomllib
from collections.abc import Callable
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from starlette.requests import Request
from starlette.types import Message

from ostiary.archive.keeper import record_of
from ostiary.camera.mjpeg import NewestJpeg, decode_whole
from ostiary.camera.onvif import camera_in
from ostiary.commands.commands import named
from ostiary.commands.log_check import check, told_heads
from ostiary.commands.registry import failed
from ostiary.crypto.door_key import DoorKey
from ostiary.crypto.identity import Identity
from ostiary.crypto.keyring import add_key, begin, new_recovery, recover
from ostiary.errors import OstiaryError
from ostiary.hardware.input_device import Keys
from ostiary.hardware.sensor import contact_in
from ostiary.http.legacy import face_form
from ostiary.local.server import read_command
from ostiary.messages.events import LogHead
from ostiary.messages.people_list import read_list, write_list
from ostiary.messages.state import State
from ostiary.messages.username import checked_username, looks_of, new_username
from ostiary.mqtt.signing import Signer, Verifier
from ostiary.settings import AccessSettings, load_settings
from ostiary.settings.file import edited
from ostiary.settings.overrides import adjusted, read_overrides
from ostiary.site.doors import DoorReport
from ostiary.site.envelope import read
from ostiary.site.invitation import read_code
from ostiary.site.members import Membership, Refused, first_members, read_members
from ostiary.site.person import read_person
from ostiary.site.topics import SiteTopics
from ostiary.site.versions import Version
from ostiary.store.audit import Audit
from ostiary.store.database import Database
from ostiary.store.events import Events
from ostiary.store.forgetting import Forgetting
from ostiary.store.import_v1 import import_database
from ostiary.store.own_entries import is_head_of
from ostiary.store.restore import restore
from ostiary.store.users import Users
from ostiary.vision.image import ImageLimits, decode_image
from ostiary.vision.last_layer import FEATURES, LastLayer

CORPUS = Path(__file__).with_name("corpus")
LIMITS = ImageLimits(bytes=1_000_000, pixels=1_000_000, side=4_000)
NOW = datetime(2026, 5, 1, tzinfo=UTC)
FORM_LIMIT = 100_000
REQUEST_LIMIT = 100_000
STORE_KEY = b"a store's key of thirty-two byte"
SIGNER = Signer(b"a key that is thirty-two bytes!!", timedelta(seconds=60), "ann")
BOUNDARY = "x"
SITE = "house"
HOLDER = Identity.of(Ed25519PrivateKey.from_private_bytes(b"the key-holder of the fuzzed one"))
MEMBERS = first_members(HOLDER, "office", SITE, NOW)
DOOR_KEY = DoorKey(HOLDER.signing)
PERSON = SiteTopics(SITE).person("0" * 32)


def image(data: bytes) -> None:
    """What is sent with a command or comes from a camera."""
    bgr = decode_image(data, LIMITS)
    assert bgr.shape[0] * bgr.shape[1] <= LIMITS.pixels


def mjpeg(data: bytes) -> None:
    """A camera's stream, in pieces as the first byte says."""
    jpegs = NewestJpeg()
    step = data[0] + 1 if data else 1
    for at in range(0, len(data), step * 16):
        newest = jpegs.feed(data[at : at + step * 16])
        if newest is not None:
            decode_whole(newest)


def command(data: bytes) -> None:
    """What comes by this machine's socket: a command's name and its request."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(data)
        ours.shutdown(socket.SHUT_WR)
        try:
            name, payload = read_command(theirs, REQUEST_LIMIT)
        except OstiaryError as error:
            failed(data, error)
            return
    try:
        named(name).parse(payload)
    except OstiaryError as error:
        failed(payload, error)


def signed(data: bytes) -> None:
    """An envelope, which nobody without the key can make."""
    Verifier({"ann": SIGNER}).verify("ostiary/door/request/delete", data, NOW)
    raise AssertionError("a signature was guessed")


def username(data: bytes) -> None:
    """A name; one that is taken stays what it is."""
    text = data.decode("utf-8", errors="surrogateescape")
    looks_of(text)
    name = checked_username(text)
    assert checked_username(name) == name
    given = new_username(name)
    assert new_username(given) == given == name


def form(data: bytes) -> None:
    """The first version's upload."""
    headers = [(b"content-type", f"multipart/form-data; boundary={BOUNDARY}".encode())]
    pieces = [data[:50], data[50:]]

    async def receive() -> Message:
        body = pieces.pop(0) if pieces else b""
        return {"type": "http.request", "body": body, "more_body": bool(pieces)}

    request = Request({"type": "http", "method": "POST", "headers": headers}, receive)
    asyncio.run(face_form(request, FORM_LIMIT))


def config(data: bytes) -> None:
    """A settings file."""
    with _file(data, ".toml") as path:
        load_settings(path)


def head(data: bytes) -> None:
    """A head of the log that somebody kept."""
    with _file(data, ".json") as path:
        told_heads([path])


def database(data: bytes) -> None:
    """A file in the place of the database, as a backup, and as a first version's."""
    with _file(data, ".db") as path:
        target = path.with_suffix(".target.db")
        with suppress(OstiaryError), Database.open(target) as opened:
            import_database(path, Users(opened), NOW)
        with suppress(OstiaryError):
            restore(path, target, NOW, door_key=DOOR_KEY)
        with Database.open(path, None, DOOR_KEY) as opened:
            audit = Audit(opened)
            audit.add(actor="x", action="user_deleted", subject="x", address="x", now=NOW)
            audit.prune(NOW, keep_for=timedelta(days=1))
            events = Events(opened)
            events.prune(NOW, keep_for=timedelta(days=1), keep_at_most=10, queue_limit=10)
            events.chain.sign(DOOR_KEY, "x", NOW)
            forgetting = Forgetting(opened, timedelta(0))
            while forgetting.step(NOW):
                pass
        check(path, DOOR_KEY.public_text, (), None, DOOR_KEY)


def people_list(data: bytes) -> None:
    """A CSV of people; what was read is written and read again as it was."""
    lines = read_list(data)
    again = read_list(write_list(lines).encode("utf-8", errors="surrogatepass"))
    kept = [
        line for line in lines if line.name or line.groups or line.valid_from or line.valid_until
    ]
    assert [(each.name, each.groups) for each in again] == [
        (each.name, each.groups or ()) for each in kept
    ]


def site(data: bytes) -> None:
    """What a broker hands on to the doors of a site, and a code that somebody types; the first byte
    says which."""
    kind, rest = data[:1], data[1:]
    membership = Membership.of(HOLDER.public, MEMBERS, HOLDER)
    with suppress(Refused):
        if kind == b"m":
            read_members(rest, HOLDER.public, SITE)
        elif kind == b"p":
            read_person(rest, Version(1, 1, "0" * 16))
        elif kind == b"r":
            with suppress(ValueError):
                DoorReport.model_validate_json(rest)
        elif kind == b"c":
            with suppress(ValueError):
                read_code(rest.decode("utf-8", errors="surrogateescape"))
        else:
            read(membership, PERSON, rest, int(NOW.timestamp() * 1000))


def recovery(data: bytes) -> None:
    """Recovery words (`w`), the recovery key's public half (`p`), or the envelope of a key, as they
    stand in a backup. Only the right words open anything."""
    kind, rest = data[:1], data[1:]
    words, database = _sealed()
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.deserialize(database)
        if kind == b"w":
            recover(connection, rest.decode("utf-8", errors="surrogateescape"), STORE_KEY)
            raise AssertionError("recovery words were guessed")
        if kind == b"p":
            with suppress(sqlite3.IntegrityError):
                connection.execute("UPDATE recovery SET public_key = ?", (rest,))
            add_key(connection, STORE_KEY, NOW)
        else:
            connection.execute("UPDATE seals SET recoverable = ?", (rest,))
            recover(connection, words, STORE_KEY)
            raise AssertionError("an envelope was forged")


@cache
def _sealed() -> tuple[str, bytes]:
    """The words of a sealed database, and its bytes."""
    with _file(b"", ".db") as path, closing(sqlite3.connect(path)) as connection:
        Database.open(path).close()
        begin(connection, STORE_KEY, NOW)
        words = new_recovery(connection, STORE_KEY, NOW)
        connection.commit()
        connection.execute("PRAGMA journal_mode = DELETE")
        return words, connection.serialize()


def edit(data: bytes) -> None:
    """A settings file that setup is to change; what it makes is TOML with the same keys."""
    text = data.decode("utf-8", errors="replace")
    made = edited(text, {"device": {"id": "a", "name": "#\n"}, "cameras": {"source": "/dev/x"}})
    assert tomllib.loads(made)["device"]["id"] == "a"


def overrides(data: bytes) -> None:
    """Thresholds that were set while running, as their file has them."""
    with _file(data, ".settings.toml") as path:
        adjusted(AccessSettings(), read_overrides(path))


def heard(data: bytes) -> None:
    """What the bus says unasked, and cameras that answer on the network; the first byte says
    which."""
    kind, rest = data[:1], data[1:]
    contact_in(rest)
    camera_in(rest)
    with suppress(ValueError):
        if kind == b"e":
            record_of("ostiary/door/event/login", rest)
        elif kind == b"s":
            State.model_validate_json(rest)
        else:
            assert not is_head_of(LogHead.model_validate_json(rest), DOOR_KEY.public)


def keys(data: bytes) -> None:
    """A keypad's records, in two pieces: the first byte says where they part."""
    at, rest = data[0] if data else 0, data[1:]
    parted = Keys()
    assert parted.of(rest[:at]) + parted.of(rest[at:]) == Keys().of(rest)


def layer(data: bytes) -> None:
    """A camera's own last layer; what is taken gives a probability."""
    found = LastLayer.from_bytes(data)
    assert 0 <= found.probability(np.ones(FEATURES, np.float32)) <= 1


TARGETS: dict[str, Callable[[bytes], None]] = {
    each.__name__: each
    for each in (
        *(image, mjpeg, command, signed, username, form, config, head, database),
        *(people_list, site, recovery, edit, overrides, heard, keys, layer),
    )
}


def run(name: str, data: bytes) -> None:
    """Give one input to a target. Raises whatever is a fault."""
    with suppress(OstiaryError):
        TARGETS[name](data)


class _file:  # noqa: N801 - used as a function
    """A file of these bytes in a folder of its own, in memory where there is such a place."""

    def __init__(self, data: bytes, suffix: str) -> None:
        place = "/dev/shm" if os.path.isdir("/dev/shm") else None  # noqa: PTH112
        self._folder = tempfile.TemporaryDirectory(prefix="fuzz-", dir=place)
        self._path = Path(self._folder.name) / f"input{suffix}"
        self._path.write_bytes(data)

    def __enter__(self) -> Path:
        return self._path

    def __exit__(self, *_: object) -> None:
        self._folder.cleanup()
