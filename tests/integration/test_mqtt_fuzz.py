"""Twenty thousand malformed commands over the wire: each is answered, and nothing breaks."""

import base64
import json
import struct
import zlib
from pathlib import Path
from subprocess import Popen
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ostiary.commands.commands import COMMANDS
from testing.broker import Mosquitto
from testing.doorway import BASE, door_process
from testing.probe import Probe

PAYLOADS = 20_000
BATCH = 50
GROWTH_LIMIT_MB = 30

FIELDS = sorted({name for kind in COMMANDS.values() for name in kind.request.model_fields})


def png_claiming(width: int, height: int) -> bytes:
    """A PNG of a few bytes that says it is so large."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def encoded(kind: str) -> bytes:
    _, data = cv2.imencode(kind, np.full((32, 32, 3), 127, np.uint8))
    return data.tobytes()


IMAGES = (encoded(".jpg"), encoded(".png"), encoded(".webp"))

images = st.one_of(
    st.sampled_from(IMAGES).flatmap(  # cut short
        lambda image: st.integers(0, len(image)).map(lambda end: image[:end])
    ),
    st.tuples(st.sampled_from(IMAGES), st.binary(min_size=1, max_size=50)).map(  # with a tail
        lambda parts: parts[0] + parts[1]
    ),
    st.tuples(st.sampled_from(IMAGES), st.sampled_from((b"PK\3\4", b"<html>", b"%PDF-1.7"))).map(
        lambda parts: parts[1] + parts[0]  # polyglots
    ),
    st.tuples(st.sampled_from(IMAGES), st.integers(0, 10_000), st.integers(0, 255)).map(
        lambda parts: damaged(*parts)
    ),
    st.builds(
        png_claiming,
        st.sampled_from((0, 1, 10_000, 65_535, 2**31 - 1, 2**32 - 1)),
        st.sampled_from((0, 1, 10_000, 65_535, 2**31 - 1, 2**32 - 1)),
    ),
    st.sampled_from(
        (b"GIF89a", b"RIFF\xff\xff\xff\xffWEBP", b"\xff\xd8\xff", b"BM", b"\0\0\0 ftyp")
    ),
    st.binary(max_size=100),
)


def damaged(image: bytes, at: int, value: int) -> bytes:
    data = bytearray(image)
    data[at % len(data)] = value
    return bytes(data)


values: st.SearchStrategy[Any] = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.just(10**400),
        st.floats(),
        st.text(max_size=70),
        st.sampled_from(("Ada", "camera", "张三", "\ud800", "2026-01-01T00:00:00Z", "a" * 100_000)),
        images.map(lambda data: base64.b64encode(data).decode()),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=10), inner, max_size=3)
    ),
    max_leaves=4,
)
requests = st.dictionaries(
    st.one_of(st.sampled_from(FIELDS), st.text(max_size=8)), values, max_size=4
)
payloads = st.one_of(
    st.binary(max_size=200),
    requests.map(lambda request: json.dumps(request).encode()),
    requests.map(lambda request: json.dumps(request).encode("utf-16")),
    st.tuples(requests, st.integers(0, 200)).map(
        lambda parts: json.dumps(parts[0]).encode()[: parts[1]]
    ),
    st.builds(
        lambda image, name: json.dumps(
            {"image": base64.b64encode(image).decode(), "username": name}
        ).encode(),
        images,
        st.text(min_size=1, max_size=70),
    ),
    images.map(lambda data: json.dumps({"image": base64.b64encode(data).decode()}).encode()),
    st.sampled_from((b"[" * 50_000, b'{"a":' * 50_000, b"1" * 50_000, b'"' + b"\\u0000" * 9_000)),
)
commands = st.sampled_from((*COMMANDS, "fly", "PING", "ping ", "张三"))
batches = st.lists(st.tuples(commands, payloads), min_size=BATCH, max_size=BATCH)


def resident_mb(process: Popen[bytes]) -> float:
    pages = int(Path(f"/proc/{process.pid}/statm").read_text(encoding="ascii").split()[1])
    return pages * 4096 / 1e6


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.usefixtures("models")
def test_malformed_commands_are_each_answered_and_break_nothing(tmp_path: Path) -> None:
    sent = 0
    resident: list[float] = []
    with (
        Mosquitto(tmp_path / "broker", persistent=False) as broker,
        Probe(broker.port, f"{BASE}/response/#", f"{BASE}/availability") as probe,
        door_process(tmp_path, broker.port, queue_limit=2 * BATCH) as process,
    ):
        probe.wait_for(f"{BASE}/availability", b"online")

        @settings(
            max_examples=PAYLOADS // BATCH,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(batches)
        def all_are_answered(batch: list[tuple[str, bytes]]) -> None:
            nonlocal sent
            probe.heard.clear()
            for command, payload in batch:
                probe.send(f"{BASE}/request/{command}", payload)
            probe.wait_until(lambda: len(probe.heard) >= len(batch))
            for heard in probe.heard:
                assert heard.json["status"] in {"ok", "error"}
                code = heard.json.get("error", {}).get("code")
                assert code not in {"internal_error", "busy", "timed_out"}, heard.payload
            sent += len(batch)
            resident.append(resident_mb(process))

        all_are_answered()
        assert probe.ask(BASE, "ping", {})["status"] == "ok"
        assert process.poll() is None
    assert sent >= PAYLOADS
    log = (tmp_path / "door.log").read_text(encoding="utf-8", errors="replace")
    assert "command_refused" in log
    assert "command_failed" not in log
    assert "Traceback" not in log
    assert resident[-1] - resident[len(resident) // 4] < GROWTH_LIMIT_MB, resident[::20]
