"""Looks at somebody who is challenged, without a camera: where the nose is, and what was judged."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from ostiary.decision.challenge import Challenge, Look, begin, step
from ostiary.decision.policy import Policy
from ostiary.decision.probe import Candidate, Probe, distance
from ostiary.decision.vote import Observation
from ostiary.messages.words import Prompt
from ostiary.vision.pose import Pose
from testing.faces import some_look

POLICY = Policy()
ANNA = Candidate("Anna", 0.4, 0.6, "sface")
BO = Candidate("Bo", 0.4, 0.6, "sface")
FAR = Candidate("Anna", 0.9, 0.6, "sface")
LIVE, UNSURE, ATTACK = 0.99, 0.6, 0.05
FACE, OTHER_FACE = some_look(1), some_look(2)
FRAME_S = 0.1

STRAIGHT = Pose(0.02, 0.6, 100)
POSES = {
    Prompt.LOOK_FRONT: STRAIGHT,
    Prompt.TURN_LEFT: Pose(0.28, 0.6, 95),
    Prompt.TURN_RIGHT: Pose(-0.28, 0.6, 95),
    Prompt.NOD: Pose(0.02, 0.72, 96),
    Prompt.COME_CLOSER: Pose(0.02, 0.6, 140),
}
JUDGED = Observation(LIVE, ANNA, FACE)
STARTED = 100.0


def is_one_person(one: Probe, other: Probe) -> bool:
    apart = distance(one, other, "sface")
    return apart is not None and apart < 0.5


def pose_while(prompt: Prompt | None, *, near: bool = False) -> Pose:
    """How a face is held that does what is asked; `near`: by one who has come closer before."""
    pose = POSES[prompt or Prompt.LOOK_FRONT]
    return replace(pose, size=pose.size * 1.4) if near and pose.size < 120 else pose


def challenge(*movements: Prompt) -> Challenge:
    return begin("Anna", movements or (Prompt.TURN_LEFT, Prompt.NOD), STARTED, [FACE])


def see(asked: Challenge, looks: Iterable[Look]) -> Challenge:
    for look in looks:
        asked = step(asked, look, POLICY, is_one_person)
    return asked


def looks(
    poses: Sequence[Pose | None], observation: Observation | None = JUDGED, start: float = STARTED
) -> list[Look]:
    """One look every tenth of a second after `start`."""
    return [
        Look(start + (number + 1) * FRAME_S, pose, observation) for number, pose in enumerate(poses)
    ]


def obey(asked: Challenge, limit: int = 200, observation: Observation | None = JUDGED) -> Challenge:
    """Somebody who does everything that is asked, a moment after it is."""
    was: Prompt | None = None
    asked_for = 0
    near = False
    for number in range(limit):
        prompt = asked.prompt
        if prompt is None:
            break
        asked_for = asked_for + 1 if prompt is was else 0
        near = near or (was is Prompt.COME_CLOSER and prompt is not was)
        was = prompt
        doing = prompt if asked_for >= 3 or prompt is Prompt.LOOK_FRONT else None
        look = Look(STARTED + (number + 1) * FRAME_S, pose_while(doing, near=near), observation)
        asked = step(asked, look, POLICY, is_one_person)
    return asked
