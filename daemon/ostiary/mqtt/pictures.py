"""Sends the pictures of decisions to the broker (`mqtt.event_pictures`).

Everything else goes first. A thread of lower priority shrinks the pictures and sends one at a time,
at QoS 0, once its event is acknowledged and nothing else is under way. A picture that would have to
wait for long is left out.
"""

import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from ostiary.errors import OstiaryError
from ostiary.mqtt.connection import Connection
from ostiary.mqtt.topics import Topics
from ostiary.priority import step_back
from ostiary.vision.arrays import BGRImage
from ostiary.vision.image import jpeg_within

log = structlog.get_logger(__name__)

WIDTH = 640
BYTES = 30_000
EXPIRY_S = 60
"""A picture that is older is of no use to anybody."""
WAITING = 4
LOOK_S = 0.05


@dataclass(frozen=True, slots=True)
class ShownPicture:
    """What `camera` saw. `seq`: the event of the decision; None: somebody asked for a picture.
    `username`: who was recognised, if anybody. `taken_at`: monotonic seconds."""

    camera: str
    image: BGRImage
    taken_at: float
    seq: int | None = None
    username: str | None = None

    @property
    def left_s(self) -> int:
        return int(self.taken_at + EXPIRY_S - time.monotonic())


class Pictures:
    """Sends pictures in a thread. `connection` gives the living one; `is_pending` says whether the
    broker still lacks an event; `is_registered` whether a name is somebody's."""

    def __init__(
        self,
        topics: Topics,
        connection: Callable[[], Connection | None],
        is_pending: Callable[[int], bool],
        is_registered: Callable[[str], bool],
    ) -> None:
        self._topics = topics
        self._connection = connection
        self._is_pending = is_pending
        self._is_registered = is_registered
        self._waiting: queue.SimpleQueue[ShownPicture | None] = queue.SimpleQueue()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pictures", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout_s: float) -> None:
        """Stop; leave out the pictures that wait."""
        self._stopping.set()
        self._waiting.put(None)
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def show(self, picture: ShownPicture) -> None:
        """Send a picture soon. Returns at once; may be called on any thread."""
        if self._connection() is not None and self._waiting.qsize() < WAITING:
            self._waiting.put(picture)

    def _run(self) -> None:
        step_back()
        while (picture := self._waiting.get()) is not None:
            try:
                if not self._send(picture):
                    log.info("picture_left_out", camera=picture.camera, seq=picture.seq)
            except OstiaryError as error:
                log.warning("picture_not_shown", camera=picture.camera, code=error.code)

    def _send(self, picture: ShownPicture) -> bool:
        jpeg = jpeg_within(picture.image, BYTES, WIDTH)
        while picture.left_s > 0 and (connection := self._connection()) is not None:
            if not connection.is_idle or self._waits_for_event(picture):
                if self._stopping.wait(LOOK_S):
                    return False
                continue
            # Nobody is shown who was deleted meanwhile.
            if picture.username is not None and not self._is_registered(picture.username):
                return False
            return connection.publish(
                self._topics.picture(picture.camera),
                jpeg,
                qos=0,
                expiry_s=picture.left_s,
                correlation=None if picture.seq is None else str(picture.seq).encode(),
            )
        return False

    def _waits_for_event(self, picture: ShownPicture) -> bool:
        return picture.seq is not None and self._is_pending(picture.seq)
