"""What the networks say of the faces in one camera's pictures: where, how good, live, who.

`FaceJudge` remembers where faces were and how they moved; `Recognition` and `CameraMemory` decide.
"""

from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from typing import Protocol

import structlog

from ostiary.camera.frame import Frame
from ostiary.camera.reader import CameraReader
from ostiary.decision.calibration import CalibratedCamera
from ostiary.decision.policy import Policy
from ostiary.decision.probe import fused
from ostiary.decision.roster import Roster
from ostiary.decision.track import LEAST_OVERLAP, Track
from ostiary.decision.vote import Observation
from ostiary.messages.calibration import WhyDropped
from ostiary.messages.words import Reason
from ostiary.vision import bending
from ostiary.vision.arrays import BGRImage
from ostiary.vision.bending import Bending
from ostiary.vision.detect import Search
from ostiary.vision.engine import VisionEngine
from ostiary.vision.face import Face
from ostiary.vision.last_layer import OF_NOBODY
from ostiary.vision.pose import Pose, landmarks_of, pose_of

log = structlog.get_logger(__name__)


class Meter(Protocol):
    """Counts and times what the loop does (`service.metrics.Metrics`)."""

    def frame(self, camera: str, faces: int) -> None: ...

    def decision(self, reason: Reason, frame_age_s: float | None = None) -> None: ...

    def stage(self, name: str) -> AbstractContextManager[None]: ...


class FaceJudge:
    """One camera's networks, for one thread. Pictures are (height, width, 3) uint8 BGR, `now` is in
    the frames' own seconds. `calibrated` is the camera's own last layer, None where the networks
    themselves judge."""

    def __init__(
        self,
        camera: CameraReader,
        engine: VisionEngine,
        roster: Roster,
        meter: Meter,
        calibrated: CalibratedCamera | None,
    ) -> None:
        self.calibrated = calibrated
        self._camera = camera
        self._engine = engine
        self._roster = roster
        self._meter = meter
        self._search = Search()
        self._bendings: dict[int, Bending] = {}

    def policy_here(self, policy: Policy) -> Policy:
        """`policy` with what is set or calibrated for this camera alone."""
        own = self.calibrated
        return replace(
            policy,
            require_movement=self._camera.requires_movement,
            sure_threshold=OF_NOBODY if own is None else own.layer.sure,
        )

    def misfit(self, frame: Frame) -> WhyDropped | None:
        """Why the last layer in force is not for this frame: another camera, size or network."""
        if self.calibrated is None:
            return None
        camera = self._camera
        now = self._engine.made_for(camera.source_digest, camera.device, frame.image)
        return self.calibrated.record.made_for.changed(now)

    def near_faces(self, bgr: BGRImage, now: float) -> tuple[Face, ...]:
        """Faces large enough to stand at this door; who passes by far away is left alone."""
        with self._meter.stage("detect"):
            faces, self._search = self._engine.search(self._search, bgr, now)
        self._meter.frame(self._camera.name, len(faces))
        return tuple(face for face in faces if self._engine.is_near(face))

    def faces_elsewhere(self, frame: Frame, faces: tuple[Face, ...]) -> tuple[Face, ...]:
        """Near faces besides `faces`, in the part of the frame that was not searched for them."""
        now = frame.captured_at
        if self._search.whole_at == now:
            return ()
        self._search = Search()
        return tuple(
            face
            for face in self.near_faces(frame.image, now)
            if all(face.box.overlap(known.box) < LEAST_OVERLAP for known in faces)
        )

    def moving(self, bgr: BGRImage, tracks: Iterable[Track], now: float) -> list[int]:
        """The tracks, by their ids, whose face moves as no flat picture can. A face that is left
        out of `tracks` once begins anew."""
        before, self._bendings = self._bendings, {}
        for track in tracks:
            with self._meter.stage("bending"):
                self._bendings[track.id] = bending.step(
                    before.get(track.id, Bending()), bgr, track.face.box, now
                )
        return [number for number, seen in self._bendings.items() if seen.is_seen]

    def observe(self, bgr: BGRImage, track: Track, policy: Policy) -> Observation | Reason:
        """What the face of a track shows in this picture, or why it cannot be judged."""
        with self._meter.stage("quality"):
            quality = self._engine.quality(bgr, track.face)
        if quality.flaw is not None:
            return quality.flaw.reason
        with self._meter.stage("liveness"):
            liveness = self.live_score(bgr, track.face)
        alone = Observation(liveness, None)
        if alone.is_attack(policy) and any(
            seen.is_attack(policy) and seen.probe for seen in track.observations
        ):
            return alone  # it cannot pass, and whom it imitates is known
        with self._meter.stage("describe"):
            describe = partial(self._engine.describe, bgr, track.face)
            probe, nearest = self._roster.identify(describe, quality.weight)
        seen = Observation(liveness, nearest, probe)
        earlier = [
            each.probe
            for each in track.observations[-(policy.window - 1) :]
            if each.probe is not None and each.is_live(policy)
        ]
        if not earlier or not seen.is_live(policy) or policy.window == 1:
            return seen
        return replace(seen, together=self._roster.match(fused([*earlier, probe])))

    def pose(self, bgr: BGRImage, face: Face) -> Pose | None:
        """How the head is held, as the person means left and right; None where it is not seen."""
        with self._meter.stage("pose"):
            landmarks = landmarks_of(self._engine.detector, bgr, face)
        pose = None if landmarks is None else pose_of(landmarks)
        return pose.mirrored() if pose is not None and self._camera.is_mirrored else pose

    def live_score(self, bgr: BGRImage, face: Face) -> float:
        """P(live), 0 to 1, of a face: by the camera's own last layer, where one is in force."""
        if self.calibrated is None:
            return self._engine.live_score(bgr, face)
        return self._engine.live_score_by(self.calibrated.layer, bgr, face)
