"""From the cameras to a decision that is recorded: recognition, doorkeeper, PINs and cards."""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from types import MappingProxyType

import structlog

from ostiary.app.core import Core
from ostiary.camera.reader import CameraReader
from ostiary.commands.calibration import Calibrations
from ostiary.decision.admission import Direction, Patience
from ostiary.decision.calibration import CalibratedCamera
from ostiary.decision.camera_memory import Announcement, CameraMemory
from ostiary.decision.policy import Policy, policy_of
from ostiary.decision.risk import risk_of
from ostiary.decision.rules import Ruling
from ostiary.decision.stepup import Asked
from ostiary.errors import OstiaryError
from ostiary.hardware.doors import Doors
from ostiary.hardware.physical_door import PhysicalDoor
from ostiary.limits.lock_out import LockOut
from ostiary.messages.calibration import WhyDropped
from ostiary.messages.events import PromptMessage
from ostiary.messages.words import Reason
from ostiary.people.credential_check import CredentialCheck, PinHasher
from ostiary.pipeline.doorkeeper import Doorkeeper, Passage
from ostiary.pipeline.recognition import Recognition
from ostiary.settings import AccessSettings

log = structlog.get_logger(__name__)

LAST_PASSAGES = timedelta(days=7)
BEAT_S = 10.0


@dataclass(frozen=True, slots=True)
class Remembered:
    """What outlives a reload: what each camera remembers and how each door is, by the cameras'
    names, and who is locked out."""

    memories: Mapping[str, CameraMemory] = field(default_factory=lambda: MappingProxyType({}))
    doors: Mapping[str, PhysicalDoor] = field(default_factory=lambda: MappingProxyType({}))
    locked_out: LockOut | None = None


NOTHING = Remembered()


class Pipeline:
    """The cameras and what becomes of the faces before them. Nothing runs before `start`."""

    def __init__(
        self,
        core: Core,
        doors: Doors,
        before: Remembered = NOTHING,
        cameras: Iterable[CameraReader] | None = None,
    ) -> None:
        """`cameras`: instead of those of the settings."""
        settings = core.settings
        self._core = core
        self._doors = doors
        self._access = settings.access
        passages = {each.name: Passage(each.direction) for each in settings.cameras}
        self._calibrations = Calibrations(core.database, core.events)
        self._uncalibrated: set[str] = set()
        self.doorkeeper = Doorkeeper(
            core.recording.decided,
            self._rule,
            passages,
            Patience(settings.rules.shown_within_s, settings.rules.second_person_s),
            self._last_passages(passages),
            core.database.transaction,
            self._follow,
        )
        calibrated = self._calibrated()
        if cameras is None:
            cameras = map(CameraReader, settings.cameras)
        self.recognitions = tuple(
            Recognition(
                camera,
                core.engine,
                core.people.roster,
                self.doorkeeper,
                self._policy(),
                core.metrics,
                core.heartbeats.expect(f"recognition-{camera.name}", BEAT_S),
                before.memories.get(camera.name),
                self._prompt,
                calibrated=calibrated.get(camera.name),
                drop=self._drop_calibration,
            )
            for camera in cameras
        )
        self.hasher = PinHasher()
        self.locked_out = before.locked_out or LockOut(settings.credentials.tries)
        self.credential_check = CredentialCheck(
            core.people.credentials, self.doorkeeper, self.hasher, self.locked_out
        )

    def start(self) -> None:
        for recognition in self.recognitions:
            recognition.start()

    def stop(self) -> None:
        for recognition in self.recognitions:
            recognition.stop()

    @property
    def cameras(self) -> dict[str, Recognition]:
        """Each one's recognition, by the camera's name."""
        return {each.name: each for each in self.recognitions}

    @property
    def calibration_dropped(self) -> bool:
        """Whether a camera had a last layer that is not for it any more."""
        return bool(self._uncalibrated)

    def remembered(self) -> Remembered:
        """What is to be handed on at a reload."""
        memories = {each.name: each.memory for each in self.recognitions}
        return Remembered(memories, self._doors.physical_doors(), self.locked_out)

    def access(self) -> AccessSettings:
        """When somebody may pass, as of now."""
        return self._access

    def apply_access(self, access: AccessSettings) -> None:
        """Judge by other thresholds from the next frame and command on."""
        self._access = access
        self._core.people.roster.apply(risk_of(access))
        for recognition in self.recognitions:
            recognition.apply(self._policy())

    def attend(self) -> None:
        """Deny whom the doorkeeper waited for too long. Call it once a second or more often."""
        try:
            for announcement in self.doorkeeper.attend(time.monotonic()):
                self._core.metrics.decision(announcement.decision.reason)
        except OstiaryError as error:
            if self._core.database.failure is None:  # else it was told
                log.error("decision_not_recorded", code=error.code)

    def _policy(self) -> Policy:
        return policy_of(self._access, prompts=self._core.settings.http.enabled)

    def _rule(self, username: str, door: str) -> Ruling:
        if self._doors.is_locked_down(door):
            return Ruling(Reason.LOCKDOWN)
        return self._core.rules.ruling(username, door)

    def _last_passages(self, passages: Mapping[str, Passage]) -> dict[str, Direction]:
        """Which way people passed last, by their events: a restart lets nobody in twice."""
        ways = {
            name: each.direction for name, each in passages.items() if each.direction is not None
        }
        if not ways:
            return {}
        since = self._core.clock() - LAST_PASSAGES
        passed = self._core.events.last_passed(tuple(ways), since)
        return {who: ways[door] for who, door in passed.items()}

    def _calibrated(self) -> dict[str, CalibratedCamera]:
        """Each camera's own last layer. Where the store does not open, or cannot be written, the
        networks themselves judge; so do they at a camera whose layer was dropped."""
        names = {camera.name for camera in self._core.settings.cameras}
        try:
            found = self._calibrations.in_force(self._core.clock())
            self._uncalibrated |= self._calibrations.dropped().keys() & names
        except OstiaryError as error:
            log.error("not_calibrated", code=error.code, reason=error.message)
            return {}
        return found

    def _drop_calibration(self, camera: str, why: WhyDropped) -> None:
        self._uncalibrated.add(camera)
        self._calibrations.drop(camera, why, self._core.clock())

    def _follow(self, announcement: Announcement, source: str, number: object) -> None:
        """What comes of a decision that was recorded: the door opens first."""
        if announcement.decision.success:
            self._doors.granted(source, announcement.decision.username)
        if isinstance(number, int):
            self._core.signals.decided(announcement, source, number)
        recording, access = self._core.recording, self._access
        recording.let_come_over(announcement, access.live_threshold)
        if access.learn_second:
            recording.let_learn(announcement, access.live_threshold)

    def _prompt(self, asked: Asked | None, source: str) -> None:
        """What is asked at a camera, for everything that shows or says it."""
        now = self._core.clock()
        left = timedelta(seconds=max(0.0, asked.until - time.monotonic()) if asked else 0.0)
        prompt = PromptMessage(
            timestamp=now,
            source=source,
            prompt=asked.prompt if asked else None,
            step=asked.step if asked else 0,
            expires=now + left,
        )
        self._core.signals.prompted(prompt)
        log.info("asked", camera=source, prompt=prompt.prompt, step=prompt.step)
