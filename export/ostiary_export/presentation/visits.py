"""Plays clips to a door: its own loop, with its own rules, on the clip's clock.

A clip is one visit. Nothing of it is remembered at the next.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import chain

from ostiary.camera.clips import LIVE, Clip
from ostiary.camera.frame import Frame, ViewCondition, view_condition
from ostiary.camera.reader import CameraReader
from ostiary.decision.calibration import CalibratedCamera
from ostiary.decision.camera_memory import Announcement
from ostiary.decision.policy import policy_of
from ostiary.decision.risk import risk_of
from ostiary.decision.roster import Roster, Template
from ostiary.messages.decision import Decision
from ostiary.messages.words import Reason
from ostiary.pipeline.doorkeeper import Doorkeeper
from ostiary.pipeline.recognition import Recognition
from ostiary.service.metrics import Metrics
from ostiary.settings import Settings
from ostiary.vision.arrays import BGRImage
from ostiary.vision.engine import VisionEngine
from ostiary.vision.face import Face
from ostiary_export.errors import FacesInvalid
from ostiary_export.evaluate.faces import Collection

BEGIN_S = 1000.0
"""What the clock shows at a clip's first picture."""
NOT_PASSED = (Reason.CHALLENGE_FAILED, Reason.CHALLENGE_TIMEOUT, Reason.CHALLENGE_MISSING)


@dataclass(slots=True)
class Visit:
    """What the door made of a clip. Times are seconds since the first face that is near enough.

    `told` are its decisions, `asked_at` when it first wanted a movement, by a prompt or by its
    answer. `judged` counts the pictures whose face was good enough, and `scores` are their P(live).
    """

    clip: Clip
    told: list[tuple[float, Decision]] = field(default_factory=list)
    asked_at: float | None = None
    judged: int = 0
    scores: list[float] = field(default_factory=list)

    @property
    def granted_at(self) -> float | None:
        """When the person of the clip was let in; None: was not."""
        return self._granted_at(lambda username: username == self.clip.person)

    @property
    def another_at(self) -> float | None:
        """When somebody was let in as another person."""
        return self._granted_at(lambda username: username != self.clip.person)

    @property
    def reason(self) -> Reason | None:
        """Why it was denied: the first denial, apart from a challenge's; None: was never told."""
        denials = [each.reason for _, each in self.told if not each.success]
        return next((each for each in denials if each not in NOT_PASSED), None)

    @property
    def answer(self) -> str:
        """granted (the person, whether asked or not), asked, denied, or silent."""
        if self.granted_at is not None:
            return "granted"
        if self.asked_at is not None:
            return "asked"
        return "denied" if self.told else "silent"

    @property
    def unasked(self) -> bool:
        """Whether the person was let in before a movement was wanted of them."""
        granted, asked = self.granted_at, self.asked_at
        return granted is not None and (asked is None or granted < asked)

    def _granted_at(self, whom: Callable[[str | None], bool]) -> float | None:
        granted = (at for at, each in self.told if each.success and whom(each.username))
        return next(granted, None)


class Door:
    """A door of `settings` that knows the people of some clips, each by so many `templates`.
    `calibrated` is its camera's own last layer."""

    def __init__(
        self,
        engine: VisionEngine,
        settings: Settings,
        calibrated: CalibratedCamera | None = None,
        templates: int = 1,
    ) -> None:
        self.engine = engine
        self.settings = settings
        self.calibrated = calibrated
        self.policy = policy_of(settings.access)
        rates = {engine.recognizer.name: engine.recognizer.rates}
        self.roster = Roster(engine.recognizer.name, rates, risk_of(settings.access))
        self._templates = templates
        self._known: dict[str, list[Template]] = {}

    @property
    def people(self) -> int:
        """How many are known."""
        return len(self._known)

    def know(self, others: Collection, people: int) -> None:
        """Know other people as well, as many templates of each, until there are so many `people`.
        Raises FacesInvalid where there are not."""
        name = self.engine.recognizer.name
        for number, person in enumerate(others.names):
            rows = others.descriptors[name][others.person == number][: self._templates]
            if self.people < people and len(rows) == self._templates:
                self._put(person, [(name, row) for row in rows])
        if self.people < people:
            raise FacesInvalid(f"Only {self.people} people have {self._templates} pictures.")

    def enrol(self, clips: Sequence[Clip]) -> tuple[Clip, ...]:
        """Enrol each person by the first good picture of their first clip, or of as many clips as
        there are to be templates; these clips are no visits any more. Returns the visits of
        enrolled people. Raises FacesInvalid where nobody shows so many good faces."""
        used: list[Clip] = []
        for clip in clips:
            known = self._known.get(clip.person, [])
            if clip.kind == LIVE and len(known) < self._templates and self._knows(clip):
                used.append(clip)
        whole = {who for who, each in self._known.items() if len(each) == self._templates}
        if not whole:
            raise FacesInvalid("No clip of anybody shows exactly one good face: none is enrolled.")
        return tuple(clip for clip in clips if clip.person in whole and clip not in used)

    def visit(self, clip: Clip) -> Visit:
        """Play a clip to the door."""
        found = Visit(clip)
        clock = _Clock()
        seen_at: float | None = None

        def record(told: Announcement, _camera: str) -> None:
            found.told.append((clock.now - (seen_at or clock.now), told.decision))

        loop = Recognition(
            CameraReader(self.settings.cameras[0]),
            self.engine,
            self.roster,
            Doorkeeper(record),
            self.policy,
            Metrics(),
            clock=lambda: clock.now,
            calibrated=self.calibrated,
        )
        for number, (at, bgr) in enumerate(clip.frames(), 1):
            clock.now = BEGIN_S + at
            loop.see(Frame(bgr, number, clock.now, clip.kind, view_condition(bgr)))
            if seen_at is None and loop.memory.tracks:
                seen_at = clock.now
            told = (each for _, each in found.told)
            moves = any(each.reason is Reason.STILL_PICTURE for each in told)
            if found.asked_at is None and (moves or loop.memory.step_up.running is not None):
                found.asked_at = clock.now - (seen_at or clock.now)
            self._score(loop, found)
        return found

    def _score(self, loop: Recognition, found: Visit) -> None:
        """P(live) of each good face of the newest frame, judged by the loop or resting."""
        view = loop.view
        if view is None or view.frame.view is not ViewCondition.CLEAR:
            return
        for seen in view.faces:
            if seen.observation is not None:
                found.judged += 1
                found.scores.append(seen.observation.liveness)
            elif self.engine.quality(view.frame.image, seen.face).good:
                found.scores.append(self._score_of(view.frame.image, seen.face))

    def _score_of(self, bgr: BGRImage, face: Face) -> float:
        if self.calibrated is None:
            return self.engine.live_score(bgr, face)
        return self.engine.live_score_by(self.calibrated.layer, bgr, face)

    def _knows(self, clip: Clip) -> bool:
        for _, bgr in clip.frames():
            faces = self.engine.detect(bgr)
            if len(faces) != 1 or not self.engine.quality(bgr, faces[0]).good:
                continue
            probe, _ = self.roster.identify(partial(self.engine.describe, bgr, faces[0]))
            self._put(clip.person, list(probe.descriptors.items()))
            return True
        return False

    def _put(self, person: str, looks: Sequence[Template]) -> None:
        known = self._known.setdefault(person, [])
        known += looks
        self.roster.put(person, known)


@dataclass(slots=True)
class _Clock:
    now: float = BEGIN_S


def scores_of(visits: Sequence[Visit]) -> list[float]:
    """P(live) of all good pictures of some visits."""
    return list(chain.from_iterable(visit.scores for visit in visits))
