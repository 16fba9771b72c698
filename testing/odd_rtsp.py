"""A real RTSP camera in this process whose stamps, key frames and answers are as odd as real ones'.

It sends H.264 over RTP over TCP (RFC 2326, RFC 6184), from a byte stream that `encoded` makes. Its
pictures show their numbers, so that a test knows when each was made:

    with OddRtsp(encoded(folder, gop=15), fps=21, stamped_fps=25) as served: …
"""

import base64
import random
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from testing.rtsp import PYTHON, shown_at

PACKET = 1380
SLICES, PARAMETERS = (1, 5), (7, 8)
CLOCK = 90_000


def encoded(path: Path, *, gop: int, pictures: int = 600) -> bytes:
    """A 640 × 480 H.264 byte stream with a key frame every `gop` pictures."""
    program = str(Path(__file__).with_name("rtsp.py"))
    options = (f"--write={path}", f"--pictures={pictures}", f"--gop={gop}")
    subprocess.run([PYTHON, program, *options], check=True)
    return path.read_bytes()


@dataclass(slots=True)
class OddRtsp:
    """Serves `rtsp://127.0.0.1:<port>/door`, `rtsps://…` with `tls` (certificate, key: PEM files).

    `fps` is the pictures' real rate, `stamped_fps` what their stamps say (None: as `fps`).
    `runs_on`: a viewer joins wherever the camera is, also between key frames. `answers_after`:
    seconds before DESCRIBE is answered. `in_bursts`: nothing for so many seconds, then all at
    once. `sets_announced`: the SDP holds the parameter sets. `jitter`: up to so many seconds a
    picture comes late, at random. While `silent` is set nothing is sent. `sent_at`: when pictures
    were made, by their numbers. `connections`: how many played.
    """

    stream: bytes
    fps: float = 15.0
    stamped_fps: float | None = None
    runs_on: bool = False
    answers_after: float = 0.0
    in_bursts: float = 0.0
    sets_announced: bool = True
    jitter: float = 0.0
    stamp_of: Callable[[int], float] | None = None
    """Seconds on the camera's clock of its n-th picture, instead of `stamped_fps`."""
    tls: tuple[str, str] | None = None
    silent: threading.Event = field(default_factory=threading.Event)
    sent_at: dict[int, float] = field(default_factory=dict)
    connections: int = 0
    _listening: socket.socket | None = None
    _closing: threading.Event = field(default_factory=threading.Event)
    _open: list[socket.socket] = field(default_factory=list)

    @property
    def url(self) -> str:
        assert self._listening is not None
        port = self._listening.getsockname()[1]
        return f"rtsp{'s' if self.tls else ''}://127.0.0.1:{port}/door"

    def age_of(self, image: Any) -> float:
        """Seconds since the camera made the picture that `image` shows."""
        return time.monotonic() - self.sent_at[round(shown_at(image) * 1000)]

    def __enter__(self) -> Self:
        self._listening = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._listening is not None
        self._closing.set()
        for each in (self._listening, *self._open):
            each.close()

    def _accept(self) -> None:
        assert self._listening is not None
        context = None
        if self.tls is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*self.tls)
        while not self._closing.is_set():
            try:
                client, _ = self._listening.accept()
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                if context is not None:
                    client = context.wrap_socket(client, server_side=True)
            except OSError:
                continue
            self._open.append(client)
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        lock, received = threading.Lock(), b""
        try:
            while data := client.recv(4096):
                received += data
                while (request := received.partition(b"\r\n\r\n"))[1] or received[:1] == b"$":
                    if received[:1] == b"$":  # RTCP, of no interest
                        length = 4 + int.from_bytes(received[2:4], "big")
                        if len(received) < length:
                            break
                        received = received[length:]
                        continue
                    received = request[2]
                    method, answer = self._answer(request[0].decode())
                    with lock:
                        client.sendall(answer)
                    if method == "PLAY":
                        self.connections += 1
                        threading.Thread(
                            target=self._play, args=(client, lock), daemon=True
                        ).start()
        except (OSError, ValueError):
            pass
        finally:
            client.close()

    def _answer(self, request: str) -> tuple[str, bytes]:
        first, *lines = request.split("\r\n")
        method, url, _ = first.split(" ", 2)
        sequence = next(line for line in lines if line.lower().startswith("cseq"))
        head, body = f"RTSP/1.0 200 OK\r\n{sequence}\r\nSession: 1;timeout=60\r\n", ""
        if method == "OPTIONS":
            head += "Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN, GET_PARAMETER\r\n"
        elif method == "DESCRIBE":
            self._closing.wait(self.answers_after)
            body = self._sdp()
            head += f"Content-Base: {url}/\r\nContent-Type: application/sdp\r\n"
            head += f"Content-Length: {len(body)}\r\n"
        elif method == "SETUP":
            head += "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n"
        return method, f"{head}\r\n{body}".encode()

    def _sdp(self) -> str:
        units = [unit for picture in pictures_of(self.stream)[:1] for unit in picture]
        sets = (base64.b64encode(unit).decode() for unit in units if unit[0] & 31 in PARAMETERS)
        announced = f";sprop-parameter-sets={','.join(sets)}" if self.sets_announced else ""
        return (
            "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=door\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\n"
            f"m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/{CLOCK}\r\n"
            f"a=fmtp:96 packetization-mode=1{announced}\r\na=control:track1\r\n"
        )

    def _play(self, client: socket.socket, lock: threading.Lock) -> None:
        pictures, sequence, base = pictures_of(self.stream), 0, random.randrange(2**20)
        started = time.monotonic()
        first = int(started * self.fps) if self.runs_on else 0
        stamped = self.stamped_fps or self.fps
        number = 0
        try:
            while not self._closing.is_set():
                made_at = started + number / self.fps
                due = made_at + random.uniform(0, self.jitter)
                if self.in_bursts:
                    due = started + (1 + int(number / self.fps / self.in_bursts)) * self.in_bursts
                self._closing.wait(max(0.0, due - time.monotonic()))
                while self.silent.is_set() and not self._closing.wait(0.02):
                    pass
                seconds = self.stamp_of(number) if self.stamp_of else number / stamped
                stamp = (base + int(seconds * CLOCK)) % 2**32
                which = (first + number) % len(pictures)
                self.sent_at[which] = made_at
                sent = b""
                for payload, is_last in packets(pictures[which]):
                    marker = 0x80 if is_last else 0
                    rtp = bytes((0x80, marker | 96)) + sequence.to_bytes(2, "big")
                    rtp += stamp.to_bytes(4, "big") + b"door" + payload
                    sent += b"$\0" + len(rtp).to_bytes(2, "big") + rtp
                    sequence = (sequence + 1) % 2**16
                with lock:
                    client.sendall(sent)
                number += 1
        except OSError:
            pass  # the viewer went away


def pictures_of(stream: bytes) -> list[list[bytes]]:
    """The NAL units of an Annex B byte stream, picture by picture."""
    pictures: list[list[bytes]] = [[]]
    for unit in filter(None, stream.replace(b"\0\0\0\1", b"\0\0\1").split(b"\0\0\1")):
        if unit[0] & 31 == 9:  # an access unit delimiter: a new picture
            pictures.append([])
        else:
            pictures[-1].append(unit)
    return [picture for picture in pictures if any(unit[0] & 31 in SLICES for unit in picture)]


def packets(picture: list[bytes]) -> list[tuple[bytes, bool]]:
    """RTP payloads (single units and FU-A, RFC 6184), and whether each is its picture's last."""
    payloads = []
    for unit in picture:
        if len(unit) <= PACKET:
            payloads.append(unit)
            continue
        pieces = [unit[at : at + PACKET] for at in range(1, len(unit), PACKET)]
        for at, piece in enumerate(pieces):
            start = 0x80 if at == 0 else 0
            end = 0x40 if at == len(pieces) - 1 else 0
            payloads.append(bytes(((unit[0] & 0xE0) | 28, start | end | (unit[0] & 31))) + piece)
    return [(payload, at == len(payloads) - 1) for at, payload in enumerate(payloads)]
