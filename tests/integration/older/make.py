"""Make the databases in this folder again: each by the code of the commit whose schema it has.

`python tests/integration/older/make.py` needs the repository's history. A file holds what
`fill` writes, as far as that commit knew it.
"""

# mypy: ignore-errors

import inspect
import lzma
import os
import subprocess
import sys
import tempfile
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
COMMITS = {
    3: "854adf2",
    4: "00db1e6",
    5: "cd454e9",
    6: "164d7de",
    7: "ff5149c",
    10: "8b43e1d",  # which corrected 0008: no commit had that at 8 or 9
    11: "51ddf7d",
    12: "75b2bc0",
    13: "8bb9789",
    14: "014b8a2",
    15: "08ad347",
    16: "cabdb14",
    17: "8126793",
    18: "ffe7dd3",
}
SEALED_SINCE = 7
NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
STORE_KEY = b"k" * 32
DOOR_SECRET = b"d" * 32


def main() -> None:
    for number, commit in COMMITS.items():
        with tempfile.TemporaryDirectory() as folder:
            archive = subprocess.run(
                ["git", "archive", commit, "daemon"], check=True, capture_output=True
            ).stdout
            subprocess.run(["tar", "-x", "-C", folder], input=archive, check=True)
            for kind in ("plain", "sealed"):
                if kind == "plain" or number >= SEALED_SINCE:
                    path = Path(folder) / f"{kind}.db"
                    environment = {**os.environ, "PYTHONPATH": f"{folder}/daemon"}
                    command = [sys.executable, __file__, str(path), kind]
                    subprocess.run(command, check=True, env=environment)
                    packed = lzma.compress(path.read_bytes(), preset=9)
                    (HERE / f"schema_{number:02}_{kind}.db.xz").write_bytes(packed)


def decide(events: Any, reason: str, **about: Any) -> None:
    try:
        from ostiary.messages.decision import Decision
        from ostiary.messages.words import Reason
    except ImportError:  # a commit before it
        is_granted = reason == "granted"
        message = f"Welcome, {about['username']}." if is_granted else "Nobody known."
        about |= {"success": is_granted, "reason": reason, "message": message}
        events.append_login(**about, source="front", now=NOW)
    else:
        events.append_login(Decision(Reason(reason), **about), source="front", now=NOW)


def fill(path: Path, *, sealed: bool) -> None:
    import numpy as np

    from ostiary.store.command_log import CommandKey, CommandLog
    from ostiary.store.database import Database
    from ostiary.store.events import Events
    from ostiary.store.users import Users

    faces = [np.random.default_rng(seed).normal(size=128).astype("f4") for seed in range(4)]
    keys = {"store_key": STORE_KEY if sealed else None, "door_key": door_key()}
    with Database.open(path, **fitting(Database.open, keys)) as database:
        users, events = Users(database), Events(database)
        about = {"recognizer": "dlib", "source": "camera"}
        people = {"Ada Xyzzy": faces[:2], "Eve Xyzzy": faces[2:3], "张三": faces[3:]}
        for name, own in people.items():
            users.add(name, own, NOW, **fitting(users.add, about))
            events.append_user(action="registered", username=name, source="mqtt", now=NOW)
            decide(events, "granted", username=name, distance=0.2)
        decide(events, "unknown_face")
        CommandLog(database).record(CommandKey.of("register", "one", b"x"), b'"Eve Xyzzy"', NOW)
        with suppress(ImportError):
            audit(database)
        with suppress(ImportError):
            credentials(database)
        with suppress(ImportError):
            rules(database)
        with suppress(ImportError):
            site(database)
        users.delete("Eve Xyzzy")
        events.append_user(action="deleted", username="Eve Xyzzy", source="mqtt", now=NOW)
        events.mark_delivered(range(1, events.last_seq()), NOW)
        with suppress(ImportError):
            from ostiary.store.chain import Chain

            Chain(database).sign(door_key(), "front", NOW)


def door_key():
    with suppress(ImportError):
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        from ostiary.crypto.door_key import DoorKey

        return DoorKey(Ed25519PrivateKey.from_private_bytes(DOOR_SECRET))


def audit(database) -> None:
    from ostiary.store.audit import Audit

    where = {"actor": "olga", "address": "192.0.2.1", "now": NOW}
    Audit(database).add(action="user_registered", subject="Eve Xyzzy", **where)
    Audit(database).add(action="token_added", subject="cli", **where)


def credentials(database) -> None:
    from ostiary.store.credentials import Credentials

    held = Credentials(database)
    held.set_pin("Ada Xyzzy", "pin", "$argon2id$ada", 7, NOW)
    held.set_pin("Ada Xyzzy", "duress", "$argon2id$forced", 9, NOW)
    held.set_pin("张三", "pin", "$argon2id$zhang", 7, NOW)
    held.add_card("张三", "40960815", NOW)


def rules(database) -> None:
    from ostiary.store.rules import RuleStore, StoredPerson

    store = RuleStore(database)
    store.add_group("staff")
    store.put_rule(None, "{}", ["staff"])
    store.put_person("Ada Xyzzy", StoredPerson(frozenset({"staff"}), NOW, None))
    store.put_person("Eve Xyzzy", StoredPerson(frozenset({"staff"})))


def site(database) -> None:
    from ostiary.store.site import SiteRow, SiteStore

    store = SiteStore(database)
    more = fitting(store.put, {"waiting": False, "heard_at": NOW})
    for person, name in (("p-zhang", "张三"), ("p-eve", "Eve Xyzzy")):
        store.put(SiteRow(person, "1", False, bytes(32)), b"envelope", name, **more)


def fitting(function, values):
    return {key: values[key] for key in inspect.signature(function).parameters if key in values}


if __name__ == "__main__":
    if sys.argv[1:]:
        fill(Path(sys.argv[1]), sealed=sys.argv[2] == "sealed")
    else:
        main()
