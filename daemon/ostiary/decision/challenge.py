"""A challenge: movements drawn at random, that somebody has to make before the camera.

Before, between and after the movements the person has to look into the camera and be still. There
liveness and identity are judged, and only then the next movement is asked, so that one which had
begun before cannot count. A movement is measured by the nose against the plane of eyes and mouth
(`ostiary.vision.pose`), which a flat picture cannot show. Anything that was not asked fails:
another movement, another face, a clear attack.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import permutations
from statistics import fmean, median

from ostiary.decision.policy import Policy
from ostiary.decision.probe import Probe
from ostiary.decision.vote import Observation
from ostiary.messages.words import Prompt
from ostiary.vision.pose import Pose

TURN = 0.15
"""How far the nose is to the side of where it was when a head has turned: about 25°."""
NOD = 0.06
"""…and down, when a head is bent: about 20°."""
STRAY_NOD, STRAY_NOD_ASIDE = 0.07, 0.10
"""A nod that was not asked: of a head that looks straight, and of one that is turned, as turning
moves the nose up and down a little."""
CLOSER = 1.3
"""How much larger a face is that has come closer."""
STILL = 0.05
"""How far the nose moves, to and fro, in a face that is still…"""
STILL_SIZE = 1.08
"""…and by how much its size changes."""
BACK = 0.09
"""How far the nose may be from its first place in a face that looks straight again: sideways…"""
BACK_NOD = 0.05
"""…and up or down."""
FRONTAL = 0.25
"""How far off the middle the nose may be in a face that looks into the camera."""
RESTING = 3
"""Looks in a row in which a face is still."""
HELD = 2
"""Looks in a row that show a movement. In one of them the face must be good enough to be judged; a
face that is turned far is not."""
TOO_SOON_S = 0.3
"""Nobody has moved so soon after being asked: the movement had begun before."""
LEAST_LIVENESS = 0.5
"""Least P(live) of the median look: below it more speaks for an attack than against it."""
LONGEST_GAP_S = 1.0
"""A person who is not seen for longer may have changed places with another."""

TURNS = (Prompt.TURN_LEFT, Prompt.TURN_RIGHT)
MOVEMENTS = (*TURNS, Prompt.NOD, Prompt.COME_CLOSER)
SEQUENCES: tuple[tuple[Prompt, ...], ...] = tuple(
    pair for pair in permutations(MOVEMENTS, 2) if any(each in TURNS for each in pair)
)
"""What may be asked: two different movements, one a turn at least, which no flat picture shows;
a picture can be brought closer, and a nod is a small thing to see."""

IsOnePerson = Callable[[Probe, Probe], bool]


class Failure(StrEnum):
    """Why a challenge was not passed."""

    ATTACK = "attack"
    ANOTHER_FACE = "another_face"
    ANOTHER_MOVEMENT = "another_movement"
    TOO_SOON = "too_soon"
    NOT_LIVE_ENOUGH = "not_live_enough"
    GONE = "gone"
    TIME = "time"


@dataclass(frozen=True, slots=True)
class Look:
    """One frame of the face. `at` is in monotonic seconds; `observation` is None where the face is
    too much turned, or not good enough, to be judged."""

    at: float
    pose: Pose | None
    observation: Observation | None


@dataclass(frozen=True, slots=True)
class Challenge:
    """What is asked of `username`, and how far they are. Times are monotonic seconds.

    `done` counts what was asked and seen: looking straight and the movements, in turn. `since` is
    when the present one was asked. `recent` are the looks in a row that show it, `astray` counts
    looks in a row that show something else. `rests` are the poses of looking straight, `probes` the
    looks by which the person is known.
    """

    username: str
    movements: tuple[Prompt, ...]
    began: float
    probes: tuple[Probe, ...]
    done: int = 0
    since: float = 0.0
    recent: tuple[Look, ...] = ()
    astray: int = 0
    rests: tuple[Pose, ...] = ()
    liveness: tuple[float, ...] = ()
    last_at: float = 0.0
    failure: Failure | None = None

    @property
    def passed(self) -> bool:
        return self.failure is None and self.done == 2 * len(self.movements) + 1

    @property
    def is_over(self) -> bool:
        return self.passed or self.failure is not None

    @property
    def prompt(self) -> Prompt | None:
        """What is asked now."""
        if self.is_over:
            return None
        return self.movements[self.done // 2] if self.done % 2 else Prompt.LOOK_FRONT


def draw(below: Callable[[int], int]) -> tuple[Prompt, ...]:
    """Movements to ask for. `below(n)` gives a random number from 0 to n - 1, uniformly."""
    return SEQUENCES[below(len(SEQUENCES))]


def begin(
    username: str, movements: Sequence[Prompt], now: float, probes: Sequence[Probe] = ()
) -> Challenge:
    """A challenge that begins now. `probes` are the looks by which the person was recognised."""
    return Challenge(username, tuple(movements), now, tuple(probes), since=now, last_at=now)


def step(challenge: Challenge, look: Look, policy: Policy, is_one_person: IsOnePerson) -> Challenge:
    """The challenge after one more look. One that is over stays as it is."""
    if challenge.is_over:
        return challenge
    failure = _failure(challenge, look, policy, is_one_person)
    if failure is not None:
        return replace(challenge, failure=failure)
    seen = look.observation
    challenge = replace(challenge, last_at=look.at)
    if seen is not None:
        challenge = replace(challenge, liveness=(*challenge.liveness, seen.liveness))
    if look.pose is None:
        return replace(challenge, recent=(), astray=0)
    return _moving(challenge, look) if challenge.done % 2 else _resting(challenge, look)


def ended(challenge: Challenge, failure: Failure) -> Challenge:
    """The challenge, failed for `failure` unless it is over."""
    return challenge if challenge.is_over else replace(challenge, failure=failure)


def _failure(
    challenge: Challenge, look: Look, policy: Policy, is_one_person: IsOnePerson
) -> Failure | None:
    """What a look shows that fails a challenge, whatever is asked now; None: nothing."""
    if not look.at - challenge.began < policy.challenge_s:
        return Failure.TIME
    if not 0 < look.at - challenge.last_at <= LONGEST_GAP_S:
        return Failure.GONE
    seen = look.observation
    if seen is None:
        return None
    if seen.is_attack(policy):
        return Failure.ATTACK
    near = seen.nearest is not None and seen.nearest.is_near
    if near and seen.nearest is not None and seen.nearest.username != challenge.username:
        return Failure.ANOTHER_FACE
    probe = seen.probe
    if probe is not None and not all(is_one_person(each, probe) for each in challenge.probes):
        return Failure.ANOTHER_FACE
    return None


def _resting(challenge: Challenge, look: Look) -> Challenge:
    """The challenge after a look that should show the person still and looking straight."""
    pose = look.pose
    assert pose is not None
    if challenge.rests:
        made = challenge.movements[challenge.done // 2 - 1]
        challenge = _watched(challenge, _shown(pose, challenge.rests[-1], made) - {made})
        if challenge.is_over:
            return challenge
    if not _is_straight(challenge, look):
        return replace(challenge, recent=())
    recent = (*challenge.recent, look)[-RESTING:]
    poses = [each.pose for each in recent if each.pose is not None]
    if len(poses) < RESTING or not _are_still(poses):
        return replace(challenge, recent=recent)
    rest = Pose(
        *(fmean(row) for row in zip(*((p.turn, p.nod, p.size) for p in poses), strict=True))
    )
    probes = [each.observation.probe for each in recent if each.observation is not None]
    rested = _went_on(challenge, look.at)
    rested = replace(
        rested,
        rests=(*challenge.rests, rest),
        probes=(*challenge.probes, *(each for each in probes[-1:] if each is not None)),
    )
    if rested.passed and median(rested.liveness) < LEAST_LIVENESS:
        return replace(rested, failure=Failure.NOT_LIVE_ENOUGH)
    return rested


def _moving(challenge: Challenge, look: Look) -> Challenge:
    """The challenge after a look that should show the movement that is asked."""
    pose, asked = look.pose, challenge.prompt
    assert pose is not None
    assert asked is not None
    shown = _shown(pose, challenge.rests[-1], asked)
    if shown and look.at - challenge.since < TOO_SOON_S:
        return replace(challenge, failure=Failure.TOO_SOON)
    challenge = _watched(challenge, shown - {asked})
    if challenge.is_over:
        return challenge
    if shown != {asked}:
        return replace(challenge, recent=())
    recent = (*challenge.recent, look)
    if len(recent) < HELD or not any(_is_judged(each) for each in recent):
        return replace(challenge, recent=recent)
    return _went_on(challenge, look.at)


def _is_judged(look: Look) -> bool:
    return look.observation is not None and look.observation.probe is not None


def _watched(challenge: Challenge, strays: set[Prompt]) -> Challenge:
    """Count looks that show what was not asked; two in a row fail the challenge."""
    astray = challenge.astray + 1 if strays else 0
    failure = Failure.ANOTHER_MOVEMENT if astray >= HELD else None
    return replace(challenge, astray=astray, failure=failure)


def _went_on(challenge: Challenge, now: float) -> Challenge:
    return replace(challenge, done=challenge.done + 1, since=now, recent=(), astray=0)


def _shown(pose: Pose, rest: Pose, asked: Prompt | None) -> set[Prompt]:
    """Movements that a pose shows against `rest`; those that were not asked only if they are
    clear."""
    turn, nod, size = pose.turn - rest.turn, pose.nod - rest.nod, pose.size / rest.size
    stray = STRAY_NOD if abs(turn) < TURN / 2 else STRAY_NOD_ASIDE
    bent = NOD if asked is Prompt.NOD else stray
    measured = {
        Prompt.TURN_LEFT: turn >= TURN,
        Prompt.TURN_RIGHT: turn <= -TURN,
        Prompt.NOD: nod >= bent,
        Prompt.COME_CLOSER: size >= CLOSER,
    }
    return {movement for movement, is_shown in measured.items() if is_shown}


def _is_straight(challenge: Challenge, look: Look) -> bool:
    """Whether a good frame shows this person, looking as they did at first."""
    pose, seen = look.pose, look.observation
    if pose is None or seen is None or seen.probe is None or seen.nearest is None:
        return False
    if not seen.nearest.is_near or seen.nearest.username != challenge.username:
        return False
    if not challenge.rests:
        return abs(pose.turn) <= FRONTAL
    first = challenge.rests[0]
    return abs(pose.turn - first.turn) <= BACK and abs(pose.nod - first.nod) <= BACK_NOD


def _are_still(poses: Sequence[Pose]) -> bool:
    turns, nods = [pose.turn for pose in poses], [pose.nod for pose in poses]
    sizes = [pose.size for pose in poses]
    return (
        max(turns) - min(turns) <= STILL
        and max(nods) - min(nods) <= STILL
        and max(sizes) <= STILL_SIZE * min(sizes)
    )
