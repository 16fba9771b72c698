"""Whether the door answered a scene as it should, and what that means in one line."""

from dataclasses import dataclass

from demo.scenes import Scene
from ostiary.messages.events import LoginEvent
from ostiary.messages.words import Reason

EXPLANATIONS = {
    Reason.GRANTED: "A live person whose face is {username}'s: the door opens.",
    Reason.UNKNOWN_FACE: "A live person, but nobody who is registered: the door stays shut.",
    Reason.PRESENTATION_ATTACK: "A picture of {username} and not a person: the door stays shut.",
    Reason.NO_FACE: "No face in the picture: shut.",
    Reason.SEVERAL_FACES: "More than one face at once: shut.",
    Reason.LOW_QUALITY: "The face is not seen well enough: shut.",
    Reason.TOO_NEAR: "The face fills the picture: shut.",
    Reason.TOO_DARK: "The face is too dark: shut.",
    Reason.OUT_OF_FOCUS: "The face is blurred: shut.",
    Reason.NO_COLOUR: "A black-and-white picture, in which life cannot be told: shut.",
    Reason.UNCERTAIN: "The frames do not agree: shut, to be safe.",
    Reason.STILL_PICTURE: "{username}'s face does not move as a head does: the door stays shut.",
    Reason.AFTER_ATTACK: "Just after an attack: shut for a moment.",
    Reason.PIPELINE_ERROR: "Something failed while deciding: shut, to be safe.",
    Reason.OUTSIDE_SCHEDULE: "{username} may not pass at this hour: shut.",
    Reason.EXPIRED: "{username} might pass until a while ago: shut.",
    Reason.NOT_YET_VALID: "{username} may pass from later on: shut.",
    Reason.NOT_ALLOWED_HERE: "{username} may not pass this door: shut.",
    Reason.CLOCK_UNTRUSTED: "Nobody knows the hour, and {username} has hours: shut.",
    Reason.PASSED_BACK: "{username} is inside already: shut.",
    Reason.CREDENTIAL_MISSING: "No PIN or card beside {username}'s face: shut.",
    Reason.CHALLENGE_MISSING: "{username} did not do what was asked: shut.",
    Reason.CHALLENGE_FAILED: "{username} did something else than was asked: shut.",
    Reason.CHALLENGE_TIMEOUT: "{username} did not do in time what was asked: shut.",
    Reason.CHALLENGE_PAUSED: "{username} waits after a failed challenge: shut.",
    Reason.LOCKDOWN: "Nobody may pass now: shut.",
    Reason.WRONG_CREDENTIAL: "A wrong PIN or card: shut.",
    Reason.LOCKED_OUT: "Too many wrong PINs or cards: shut for a while.",
    Reason.FACE_MISSING: "A PIN or card, and no face with it: shut.",
    Reason.SECOND_PERSON_MISSING: "Nobody else came with {username}: shut.",
}


def explain(event: LoginEvent) -> str:
    """One line for people."""
    return EXPLANATIONS[event.reason].format(username=event.username or "somebody")


def measured(event: LoginEvent, risk: float | None) -> str:
    """The numbers behind a decision. `risk`: the chance at the door's threshold that one stranger
    is taken for anybody, None where the door has not said it yet."""
    live = "-" if event.liveness is None else f"{event.liveness:.3f}"
    if event.distance is None or event.threshold is None:
        return f"P(live) {live}"
    limit = f"limit {event.threshold:.2f}" + (f", risk 1 in {1 / risk:,.0f}" if risk else "")
    return f"P(live) {live}, distance {event.distance:.2f} ({limit})"


@dataclass(frozen=True, slots=True)
class Outcome:
    """A scene, every event that the door published during it, and the door's risk."""

    scene: Scene
    events: tuple[LoginEvent, ...]
    risk: float | None = None

    @property
    def as_expected(self) -> bool:
        """Nobody in view: no event. Else at least one, and every one as it must be."""
        scene = self.scene
        if scene.expected is None:
            return not self.events
        return bool(self.events) and all(
            event.reason is scene.expected
            and (scene.username is None or event.username == scene.username)
            for event in self.events
        )

    @property
    def answer(self) -> str:
        """What the door said, in a word or two."""
        if not self.events:
            return "nothing"
        event = next((event for event in self.events if event.success), self.events[0])
        return f"{event.reason.value}: {event.username}" if event.success else event.reason.value

    @property
    def expected(self) -> str:
        """What it should have said."""
        scene = self.scene
        if scene.expected is None:
            return "nothing"
        name = f": {scene.username}" if scene.username else ""
        return f"{scene.expected.value}{name}"
