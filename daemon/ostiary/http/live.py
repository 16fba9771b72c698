"""The live picture: drawn from frames that recognition has decoded and judged already.

One thread a camera encodes each picture once for all viewers, only while somebody watches, and
runs at a lower priority. A viewer who is slow gets fewer pictures, never a queue of old ones.
"""

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from fastapi import WebSocket

from ostiary.camera.frame import ViewCondition
from ostiary.errors import Busy, RequestMalformed
from ostiary.http.messages import LiveFace, LivePicture
from ostiary.http.parts import ConsoleParts
from ostiary.messages.words import Reason
from ostiary.pipeline.recognition import SeenFace, View
from ostiary.priority import step_back
from ostiary.vision.arrays import BGRImage
from ostiary.vision.image import at_most_wide, encode_jpeg

AT_MOST_FPS = 8.0
AT_MOST_WIDE = 640
"""Pixels."""
QUALITY = 75
NOT_LIVE = frozenset(
    {Reason.PRESENTATION_ATTACK, Reason.STILL_PICTURE, Reason.AFTER_ATTACK, Reason.UNCERTAIN}
)
"""Reasons of decisions that a face is not, or may not be, a live person's."""
STALE_AFTER_S = 1.0
"""After so long without a new frame, viewers are told that there is none."""


async def said(socket: WebSocket) -> str:
    """Wait for the next text of a WebSocket. Raises WebSocketDisconnect, or RequestMalformed for
    bytes."""
    try:
        return await socket.receive_text()
    except KeyError:  # that is how Starlette tells bytes from text
        raise RequestMalformed("Send text here, not bytes.") from None


@dataclass(frozen=True, slots=True)
class Shown:
    """What viewers get: a LivePicture in JSON, and the JPEG; None: there is none."""

    picture: str
    jpeg: bytes | None


@dataclass(slots=True, eq=False)
class Viewer:
    """Somebody who watches. Belongs to one event loop."""

    loop: asyncio.AbstractEventLoop
    woken: asyncio.Event = field(default_factory=asyncio.Event)
    shown: Shown | None = None

    async def next(self) -> Shown:
        """Wait for a picture that this viewer has not seen; the newest."""
        await self.woken.wait()
        self.woken.clear()
        assert self.shown is not None
        return self.shown

    def give(self, shown: Shown) -> None:
        """Show a picture. Called on the encoding thread."""
        with suppress(RuntimeError):  # the loop was closed: nobody looks any more
            self.loop.call_soon_threadsafe(self._take, shown)

    def _take(self, shown: Shown) -> None:
        self.shown = shown
        self.woken.set()


class LiveStream:
    """One camera's live picture for all its viewers."""

    def __init__(self, name: str, parts: ConsoleParts) -> None:
        self._name = name
        self._parts = parts
        self._lock = threading.Lock()
        self._viewers: frozenset[Viewer] = frozenset()
        self._thread: threading.Thread | None = None

    @property
    def watched(self) -> bool:
        """Whether anybody watches."""
        return bool(self._viewers)

    @contextmanager
    def viewer(self) -> Iterator[Viewer]:
        """Watch during the block; inside a running event loop."""
        viewer = Viewer(asyncio.get_running_loop())
        with self._lock:
            self._viewers |= {viewer}
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name=f"live-{self._name}", daemon=True
                )
                self._thread.start()
        try:
            yield viewer
        finally:
            with self._lock:
                self._viewers -= {viewer}

    def _run(self) -> None:
        step_back()
        after = -1
        while self._goes_on():
            begin = time.monotonic()
            view = self._parts.cameras[self._name].wait_view(after, STALE_AFTER_S)
            if view is None:
                stale = LivePicture(camera=self._name, stale=True)
                shown = Shown(stale.model_dump_json(), None)
            else:
                after = view.frame.number
                shown = show(self._name, view, self._parts)
            for viewer in self._viewers:
                viewer.give(shown)
            time.sleep(max(0.0, begin + 1.0 / AT_MOST_FPS - time.monotonic()))

    def _goes_on(self) -> bool:
        with self._lock:
            if not self._viewers:
                self._thread = None
            return self._thread is not None


class Audience:
    """All live streams, and the places for their viewers."""

    def __init__(self, parts: ConsoleParts) -> None:
        self.streams = {name: LiveStream(name, parts) for name in parts.cameras}
        self._places = threading.Semaphore(parts.limits.viewers)

    @contextmanager
    def place(self) -> Iterator[None]:
        """Take a place during the block. Raises Busy when all are taken."""
        if not self._places.acquire(blocking=False):
            raise Busy("Too many people watch already; close another live view.")
        try:
            yield
        finally:
            self._places.release()


def show(name: str, view: View, parts: ConsoleParts) -> Shown:
    """Draw a view as viewers get it."""
    small = at_most_wide(view.frame.image, AT_MOST_WIDE)
    picture = LivePicture(
        camera=name,
        stale=False,
        width=small.shape[1],
        height=small.shape[0],
        view=view.frame.view.value,
        guidance=guidance(view, parts),
        prompt=view.prompt,
        faces=tuple(live_face(face, view.frame.image) for face in view.faces),
    )
    return Shown(picture.model_dump_json(), encode_jpeg(small, QUALITY))


def guidance(view: View, parts: ConsoleParts) -> str:
    """The word for somebody who is to be enrolled: a flaw, how to look while pictures are taken, or
    `ready`."""
    if view.frame.view is not ViewCondition.CLEAR:
        return view.frame.view.value
    if not view.faces:
        return "no_face"
    if len(view.faces) > 1:
        return "several_faces"
    seen = view.faces[0]
    flaw = parts.flaw(view.frame.image, seen.face)
    if flaw is not None:
        return flaw.value
    if view.asked is not None:
        return view.asked
    return "ready" if _looks_live(seen, parts) else "not_live"


def _looks_live(seen: SeenFace, parts: ConsoleParts) -> bool:
    """Whether a face is live: by the door's decision, before that by this frame. Without either it
    counts as live: enrolling judges it anyway."""
    if seen.decision is not None and seen.decision.reason in NOT_LIVE:
        return False
    return seen.observation is None or seen.observation.liveness >= parts.access().live_threshold


def live_face(seen: SeenFace, image: BGRImage) -> LiveFace:
    """A face of the live picture, its box in fractions of the picture."""
    height, width = image.shape[:2]
    box = seen.face.box
    observation, decision = seen.observation, seen.decision
    liveness = distance = None
    if observation is not None:
        liveness = observation.liveness
        distance = None if observation.nearest is None else observation.nearest.distance
    elif decision is not None:  # it was told, and the face rests
        liveness, distance = decision.liveness, decision.distance
    return LiveFace(
        box=(box.x / width, box.y / height, box.width / width, box.height / height),
        username=None if decision is None else decision.username,
        distance=distance,
        liveness=liveness,
        reason=None if decision is None else decision.reason,
        success=None if decision is None else decision.reason is Reason.GRANTED,
    )
