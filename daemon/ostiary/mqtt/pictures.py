"""The pictures of decisions on the bus, for whoever may read them there (`mqtt.event_pictures`).

Everything else goes first. A thread of a lower priority makes them small, and sends one at a time,
at QoS 0, once its event is acknowledged and nothing else is under way. One that would have to wait
for long is left out.
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
"""A picture is of no use to anybody so long after it was taken."""
WAITING = 4
LOOK_S = 0.05


@dataclass(frozen=True, slots=True)
class ShownPicture:
    """What `camera` saw. `seq`: at the decision of this event; None: when somebody asked. Of
    `username`, where somebody was recognised. `taken_at`: monotonic seconds."""

    camera: str
    image: BGRImage
    taken_at: float
    seq: int | None = None
    username: str | None = None

    @property
    def left_s(self) -> int:
        return int(self.taken_at + EXPIRY_S - time.monotonic())


class Pictures:
    """`connection` gives the living one, `is_pending` says whether the broker lacks an event yet,
    `is_registered` whether somebody of that name is."""

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
        """Leave out what waits."""
        self._stopping.set()
        self._waiting.put(None)
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def show(self, picture: ShownPicture) -> None:
        """Soon. Returns at once, on any thread."""
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
            # Who was deleted since is shown to nobody.
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
