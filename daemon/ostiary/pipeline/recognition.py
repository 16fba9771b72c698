"""One camera's loop: the newest frame in, decisions out. The rooms do the work; this joins them.

Fail closed: whatever goes wrong on a frame becomes a denial with a reason and a log line, and the
loop goes on with the next frame.
"""

import threading
import time
from collections.abc import Callable, Set
from dataclasses import dataclass, replace
from functools import partial

import structlog

from ostiary.camera.frame import CameraStatus, Frame, ViewCondition
from ostiary.camera.reader import CameraReader
from ostiary.decision.calibration import CalibratedCamera
from ostiary.decision.camera_memory import CameraMemory
from ostiary.decision.challenge import Look
from ostiary.decision.policy import Policy
from ostiary.decision.roster import Roster
from ostiary.decision.stepup import Asked
from ostiary.decision.track import Track
from ostiary.decision.vote import Observation
from ostiary.errors import (
    CameraUnavailable,
    DatabaseCorrupt,
    DatabaseUnwritable,
    NotLive,
    OstiaryError,
    TimedOut,
)
from ostiary.messages.calibration import WhyDropped
from ostiary.messages.decision import Decision
from ostiary.messages.words import Prompt
from ostiary.pipeline.doorkeeper import Doorkeeper
from ostiary.pipeline.face_judge import FaceJudge, Meter
from ostiary.vision.arrays import BGRImage
from ostiary.vision.engine import VisionEngine
from ostiary.vision.face import Face
from ostiary.vision.motion import Motion
from ostiary.vision.motion import step as motion_step

log = structlog.get_logger(__name__)

WAIT_FOR_FRAME_S = 0.5
PACE_FRAMES = 4
"""Frames over which their pace is measured."""
PACE_MARGIN = 0.9
"""Frames do not come evenly: at `forget_after_s` apart every other face would be a new one."""
FAILS_FOR_S = 60.0

Show = Callable[[Asked | None, str], object]
"""Shows what is asked at a camera, or that nothing is asked any more."""
Drop = Callable[[str, WhyDropped], object]
"""Records that the last layer of a camera, by its name, is not used any more, and why."""


def _nothing(*_: object) -> None:
    """There is nobody to tell, and nothing to show it on."""


@dataclass(frozen=True, slots=True)
class SeenFace:
    """One face as it is shown to people; what was not judged on this frame is None. `alive`: it
    shows what a grant needs of a live person."""

    face: Face
    observation: Observation | None = None
    decision: Decision | None = None
    alive: bool = False


@dataclass(frozen=True, slots=True)
class View:
    """The newest frame with what was seen in it. `asked`: the pose that an enrolment asks for;
    `prompt`: what a challenge asks for."""

    frame: Frame
    faces: tuple[SeenFace, ...] = ()
    asked: str | None = None
    prompt: Prompt | None = None


class Recognition:
    """One camera's loop, in a thread of its own between `start` and `stop`.

    `beat` is called about twice a second or more while the loop is alive. `before` is this camera's
    memory at a reload. `keeper` decides what becomes of a granted face, and records it.
    `calibrated` is the camera's own last layer; `drop` is called where that is not for this camera.
    `clock` is in the frames' own seconds.
    """

    def __init__(
        self,
        camera: CameraReader,
        engine: VisionEngine,
        roster: Roster,
        keeper: Doorkeeper,
        policy: Policy,
        metrics: Meter,
        beat: Callable[[], object] = lambda: None,
        before: CameraMemory | None = None,
        show: Show = _nothing,
        calibrated: CalibratedCamera | None = None,
        drop: Drop = _nothing,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.camera = camera
        self.name = camera.state.camera
        self._judge = FaceJudge(camera, engine, roster, metrics, calibrated)
        self._drop = drop
        self._keeper = keeper
        self._metrics = metrics
        self._beat = beat
        self._policy = self._judge.policy_here(policy)
        self._show = show
        self._clock = clock
        self._shown: Asked | None = None
        memory = CameraMemory(
            self._policy,
            roster.is_one_person,
            partial(self._keeper.ruled, door=self.name),
            partial(self._keeper.wants_challenge, door=self.name),
        )
        self._memory = memory if before is None else memory.remembering(before)
        self._motion: Motion | None = None
        self._stopping = threading.Event()
        self._changed = threading.Condition()
        self._view: View | None = None
        self._shows_life: View | None = None  # the newest with one face that does
        self._asked: str | None = None
        self._clear_at: tuple[float, ...] = ()  # when the last frames that show something were made
        self._failed = ""  # what the last failure was, until a face was judged again
        self._failed_at = float("-inf")
        self._thread = threading.Thread(target=self._run, name=f"recognition-{self.name}")

    @property
    def calibrated(self) -> CalibratedCamera | None:
        """The camera's own last layer, where it has one in force."""
        return self._judge.calibrated

    @property
    def view(self) -> View | None:
        """The newest frame that was looked at; None before the first."""
        return self._view

    @property
    def latest(self) -> BGRImage | None:
        """What the camera saw last, (height, width, 3) uint8 BGR; None before the first picture."""
        view = self._view
        return None if view is None else view.frame.image

    @property
    def memory(self) -> CameraMemory:
        """What is remembered between frames."""
        return self._memory

    @property
    def is_failing(self) -> bool:
        """Whether judging a face failed, and none was judged since, nor a minute went by."""
        return bool(self._failed) and self._clock() - self._failed_at < FAILS_FOR_S

    @property
    def is_too_slow(self) -> bool:
        """Whether frames that show something come so rarely that nobody can be decided."""
        seen, policy = self._clear_at, self._policy
        if len(seen) < PACE_FRAMES:
            return False
        pace = max(seen[-1] - seen[0], self._clock() - seen[1]) / (PACE_FRAMES - 1)
        return (
            pace > PACE_MARGIN * policy.forget_after_s
            or pace * (policy.votes - 1) > policy.decide_within_s
        )

    def apply(self, policy: Policy) -> None:
        """Judge by another policy, from the next frame on."""
        self._policy = self._judge.policy_here(policy)

    def start(self) -> None:
        self.camera.start()
        self._thread.start()

    def stop(self) -> None:
        """Ends after the frame that is being judged."""
        self._stopping.set()
        self.camera.stop()
        if self._thread.is_alive():
            self._thread.join()

    def wait_view(self, after: int, timeout: float) -> View | None:
        """The newest view whose frame number is above `after`; None if none comes in time."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_newer(after), timeout)
            return self._view if self._is_newer(after) else None

    def ask(self, pose: str | None) -> None:
        """Show with the next frames which pose an enrolment asks for; None: none."""
        self._asked = pose

    def capture(self, timeout: float, *, alive: bool = True) -> BGRImage:
        """The next frame with exactly one good face, (height, width, 3) uint8 BGR. Raises NotLive
        where the last one was a clear attack, TimedOut where there was none, CameraUnavailable
        where there is no picture at all."""
        until = time.monotonic() + timeout
        view = self._view
        first = after = 0 if view is None else view.frame.number
        judged: Observation | None = None
        while (left := until - time.monotonic()) > 0:
            view = self.wait_view(after, left)
            if view is None:
                break
            after = view.frame.number
            judged = next((seen.observation for seen in view.faces if seen.observation), judged)
            shown = self._shows_life if alive else view  # nobody shows it for long
            if shown is None or shown.frame.number <= first or len(shown.faces) != 1:
                continue
            if shown.faces[0].observation is not None:
                return shown.frame.image
        if self.camera.state.status is not CameraStatus.OK:
            raise CameraUnavailable(f"Camera {self.name} gives no picture; see `ostiary doctor`.")
        if alive and judged is not None and judged.is_attack(self._policy):
            raise NotLive
        raise TimedOut(
            f"No good picture of exactly one live face within {timeout:g} s. Come nearer, and move "
            "your head a little."
        )

    def _is_newer(self, after: int) -> bool:
        return self._view is not None and self._view.frame.number > after

    def _run(self) -> None:
        number = 0
        while not self._stopping.is_set():
            self._beat()
            self._prompt(self._memory.asked)
            frame = self.camera.newest(number, WAIT_FOR_FRAME_S)
            if frame is None:
                self._saw_nothing(self._clock())
                self._see_who_stays(self._clock())
                continue
            number = frame.number
            self.see(frame)
        self._prompt(None)

    def see(self, frame: Frame) -> None:
        """Judge one frame and do what follows, as the thread does with each. Also for recordings
        that are played to a door that was not started."""
        attentive, awaited = self._keeper.attention(self.name)
        self._memory = replace(
            self._memory, policy=self._policy, attentive=attentive, awaited=awaited
        )
        try:
            view = self._look(frame)
            self._see_who_stays(frame.captured_at)
        except Exception as error:  # noqa: BLE001 - it becomes a denial, and the door goes on
            self._fail(error, frame)
            return
        if any(seen.observation is not None for seen in view.faces):
            self._failed = ""
        prompt = self._memory.asked
        with self._changed:
            self._view = replace(view, asked=self._asked, prompt=prompt.prompt if prompt else None)
            if len(view.faces) == 1 and view.faces[0].alive:
                self._shows_life = self._view
            self._changed.notify_all()

    def _see_who_stays(self, now: float) -> None:
        """Tell the doorkeeper who stands there: a person who left is waited for no longer."""
        if not self._keeper.is_attentive(self.name):
            return
        try:
            final = self._keeper.stands(self.name, self._memory.before_it(now), self._clock())
        except OstiaryError as error:  # it is tried again with the next frame
            log.error("decision_not_recorded", camera=self.name, code=error.code)
            return
        for each in final:
            self._metrics.decision(each.decision.reason)

    def _prompt(self, asked: Asked | None) -> None:
        """Show what is asked now, where that has changed."""
        if asked == self._shown:
            return
        self._shown = asked
        try:
            self._show(asked, self.name)
        except Exception as error:  # noqa: BLE001 - a person who sees no prompt does not pass
            log.error("prompt_not_shown", camera=self.name, error=type(error).__name__)

    def _look(self, frame: Frame) -> View:
        now = frame.captured_at
        if frame.view is not ViewCondition.CLEAR:
            self._saw_nothing(now)
            return View(frame)
        if (why := self._judge.misfit(frame)) is not None:
            self._drop_calibration(why)
        self._clear_at = (*self._clear_at[1 - PACE_FRAMES :], now)
        self._motion, moved = motion_step(self._motion, frame.image, now)
        if not moved and not self._memory.tracks:
            return View(frame)
        faces = self._judge.near_faces(frame.image, now)
        self._memory = self._memory.saw(faces, now)
        if self._policy.require_movement:
            self._watch_bending(frame.image, now)
        judged = self._observed(frame.image, now)
        alive = {each.id for each in self._memory.tracks if self._memory.is_alive(each, now)}
        concluded, outcomes = self._memory.conclude(now)
        if any(each.decision.success for each in outcomes) and self._is_accompanied(frame, faces):
            concluded, outcomes = self._memory.conclude(now)
        for each in outcomes:  # if this fails nothing was decided, and the votes begin anew
            for final in self._keeper.decided(each, self.name, self._clock()):
                self._metrics.decision(final.decision.reason, self._clock() - now)
            if each.decision.success and self._keeper.is_attentive(self.name):
                concluded = concluded.untold(each.decision.username)
        self._memory = concluded
        tracks = (track for track in self._memory.tracks if track.seen == now)
        return View(frame, tuple(self._seen(track, judged, alive) for track in tracks))

    def _observed(self, bgr: BGRImage, now: float) -> dict[int, Observation]:
        """Judge the faces that are worth it on this frame; what they show, by their tracks' ids."""
        judged: dict[int, Observation] = {}
        for track in self._memory.to_judge(now):
            found = self._judge.observe(bgr, track, self._policy)
            if isinstance(found, Observation):
                judged[track.id] = found
                self._memory = self._memory.observed(track.id, found)
            else:
                self._memory = self._memory.unjudged(track.id, found)
            if self._memory.is_challenged(track.id):
                look = Look(now, self._judge.pose(bgr, track.face), judged.get(track.id))
                self._memory = self._memory.looked(track.id, look)
        return judged

    def _drop_calibration(self, why: WhyDropped) -> None:
        """A last layer is for one camera only; another one's faces are judged without it."""
        self._judge.calibrated = None
        self._policy = self._judge.policy_here(self._policy)
        self._memory = self._memory.interrupted()
        log.error("calibration_dropped", camera=self.name, why=why)
        try:
            self._drop(self.name, why)
        except OstiaryError as error:  # it is found again at the next start, and dropped then
            log.error("drop_not_recorded", camera=self.name, code=error.code)

    def _saw_nothing(self, now: float) -> None:
        """Pass over a bad frame, or the wait for a slow camera's next one; after a longer gap the
        earlier faces say nothing about the next."""
        if not self._clear_at or now - self._clear_at[-1] > self._policy.forget_after_s:
            self._memory = self._memory.interrupted()

    def _watch_bending(self, bgr: BGRImage, now: float) -> None:
        """Mark the faces that move as no flat picture can; each attempt to decide begins anew. Who
        is being enrolled is watched all the time: an attempt that ends *unknown* is too short."""
        here = tuple(track for track in self._memory.tracks if track.seen == now)
        watched = self._memory.to_watch(now) if self._asked is None else here
        for number in self._judge.moving(bgr, watched, now):
            self._memory = self._memory.bent(number, now)

    def _is_accompanied(self, frame: Frame, faces: tuple[Face, ...]) -> bool:
        """Whether somebody else stands in a part of the frame that was not searched. All of it is
        searched before anybody is let in."""
        if not self._policy.is_crowd(len(faces) + 1):
            return False
        others = self._judge.faces_elsewhere(frame, faces)
        if others:
            self._memory = self._memory.saw((*faces, *others), frame.captured_at)
        return bool(others)

    @property
    def requires_movement(self) -> bool:
        """Whether a grant here needs a head that moves."""
        return self._policy.require_movement

    def live_score(self, bgr: BGRImage, face: Face) -> float:
        """P(live), 0 to 1, of a face in a picture of this camera, as `FaceJudge.live_score`."""
        return self._judge.live_score(bgr, face)

    def _fail(self, error: Exception, frame: Frame) -> None:
        """Deny because of a failure. It is logged when it begins, not with every frame; a store
        that cannot be written is logged elsewhere."""
        kind = type(error).__name__
        is_of_store = isinstance(error, DatabaseCorrupt | DatabaseUnwritable)
        if not is_of_store and (self._failed != kind or not self.is_failing):
            log.error(
                "pipeline_failed", camera=self.name, frame=frame.number, error=kind, exc_info=error
            )
        if not is_of_store:
            self._failed, self._failed_at = kind, self._clock()
        self._memory, outcomes = self._memory.failed(frame.captured_at)
        for each in outcomes:
            try:
                self._keeper.decided(each, self.name, self._clock())
            except DatabaseUnwritable:
                continue  # nobody is let in, and the store is known to be broken
            except OstiaryError as unrecorded:
                log.error("decision_not_recorded", camera=self.name, code=unrecorded.code)

    def _seen(self, track: Track, judged: dict[int, Observation], alive: Set[int]) -> SeenFace:
        answer = self._keeper.answer(track.told, self.name)
        return SeenFace(track.face, judged.get(track.id), answer, track.id in alive)
