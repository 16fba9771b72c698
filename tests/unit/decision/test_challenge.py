"""What passes a challenge, and what does not."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ostiary.decision.challenge import (
    HELD,
    RESTING,
    SEQUENCES,
    TURNS,
    Failure,
    Look,
    draw,
    ended,
    step,
)
from ostiary.decision.pauses import Tries
from ostiary.decision.vote import Observation
from ostiary.messages.words import Prompt
from ostiary.vision.pose import Pose
from testing.challenged import (
    ANNA,
    ATTACK,
    BO,
    FACE,
    FAR,
    FRAME_S,
    JUDGED,
    LIVE,
    OTHER_FACE,
    POLICY,
    POSES,
    STARTED,
    STRAIGHT,
    UNSURE,
    challenge,
    is_one_person,
    looks,
    obey,
    see,
)

LEFT, RIGHT = POSES[Prompt.TURN_LEFT], POSES[Prompt.TURN_RIGHT]
BENT = POSES[Prompt.NOD]
REST = [STRAIGHT] * RESTING
WAIT = [STRAIGHT] * 3


@pytest.mark.parametrize("movements", SEQUENCES, ids=lambda pair: "+".join(pair))
def test_whoever_does_what_is_asked_passes(movements: tuple[Prompt, ...]) -> None:
    assert obey(challenge(*movements)).passed


def test_every_challenge_has_a_turn_and_two_different_movements() -> None:
    assert len(SEQUENCES) == 10
    assert all(len(set(pair)) == 2 and set(pair) & set(TURNS) for pair in SEQUENCES)


def test_each_challenge_is_drawn_as_often_as_any_other() -> None:
    numbers = iter(range(30))
    drawn = Counter(draw(lambda count: next(numbers) % count) for _ in range(30))
    assert set(drawn.values()) == {3}


def test_the_movement_is_asked_only_when_the_face_has_looked_straight() -> None:
    asked = challenge()
    assert asked.prompt is Prompt.LOOK_FRONT
    asked = see(asked, looks([LEFT, LEFT, LEFT]))
    assert asked.prompt is Prompt.LOOK_FRONT
    asked = see(asked, looks(REST, start=STARTED + 0.3))
    assert asked.prompt is Prompt.TURN_LEFT


def test_a_still_never_passes_and_its_time_runs_out() -> None:
    asked = see(challenge(), looks([STRAIGHT] * 200))
    assert asked.failure is Failure.TIME
    assert asked.done == 1


def test_the_opposite_turn_fails() -> None:
    asked = see(challenge(), looks([*REST, *WAIT, RIGHT, RIGHT]))
    assert asked.failure is Failure.ANOTHER_MOVEMENT


def test_a_head_that_is_shaken_on_fails() -> None:
    asked = see(challenge(), looks([*REST, *WAIT, LEFT, LEFT, STRAIGHT, RIGHT, RIGHT]))
    assert asked.failure is Failure.ANOTHER_MOVEMENT


def test_one_frame_that_seems_wrong_is_forgiven() -> None:
    asked = see(challenge(), looks([*REST, *WAIT, RIGHT, STRAIGHT, LEFT, LEFT]))
    assert asked.done == 2


def test_a_movement_that_had_begun_before_it_was_asked_fails() -> None:
    asked = see(challenge(), looks([*REST, LEFT]))
    assert asked.failure is Failure.TOO_SOON


def test_the_movements_have_to_come_in_their_order() -> None:
    asked = see(challenge(), looks([*REST, *WAIT, BENT, BENT]))
    assert asked.failure is Failure.ANOTHER_MOVEMENT


def test_a_turn_without_coming_back_does_not_pass() -> None:
    asked = see(challenge(), looks([*REST, *WAIT, *[LEFT] * 20]))
    assert asked.done == 2
    assert not asked.passed


def test_a_clear_attack_in_one_frame_fails() -> None:
    asked = see(challenge(), looks(REST))
    asked = step(
        asked, Look(STARTED + 1, STRAIGHT, Observation(ATTACK, ANNA, FACE)), POLICY, is_one_person
    )
    assert asked.failure is Failure.ATTACK


@pytest.mark.parametrize(
    "other",
    [Observation(LIVE, BO, FACE), Observation(LIVE, ANNA, OTHER_FACE)],
    ids=["is_nearer_to_another_person", "is_not_the_same_face"],
)
def test_another_face_in_one_frame_fails(other: Observation) -> None:
    asked = see(challenge(), looks(REST))
    asked = step(asked, Look(STARTED + 1, LEFT, other), POLICY, is_one_person)
    assert asked.failure is Failure.ANOTHER_FACE


def test_a_face_that_is_not_near_enough_does_not_count_as_looking_straight() -> None:
    asked = see(challenge(), looks([STRAIGHT] * 20, Observation(LIVE, FAR, FACE)))
    assert asked.done == 0


def test_a_turned_face_that_cannot_be_judged_does_not_count_as_turned() -> None:
    asked = see(challenge(), looks([*REST, *WAIT]))
    asked = see(asked, looks([LEFT] * 10, None, start=STARTED + 1))
    assert asked.done == 1
    assert asked.failure is None


def test_who_turns_so_far_that_it_cannot_be_judged_has_turned_by_what_was_seen_on_the_way() -> None:
    asked = see(challenge(), looks([*REST, *WAIT, LEFT]))
    asked = see(asked, looks([LEFT], None, start=STARTED + 1))
    assert asked.done == 2


def test_who_is_not_seen_for_a_second_may_have_changed_places() -> None:
    asked = see(challenge(), [*looks(REST), *looks([STRAIGHT], start=STARTED + 1.5)])
    assert asked.failure is Failure.GONE


def test_who_is_undecidedly_live_passes_and_who_is_rather_not_does_not() -> None:
    assert obey(challenge(), observation=Observation(UNSURE, ANNA, FACE)).passed
    rather_not = obey(challenge(), observation=Observation(0.45, ANNA, FACE))
    assert rather_not.failure is Failure.NOT_LIVE_ENOUGH


def test_a_challenge_that_is_over_stays_as_it_is() -> None:
    passed = obey(challenge())
    assert ended(passed, Failure.GONE) == passed
    assert see(passed, looks([STRAIGHT], Observation(ATTACK, BO, OTHER_FACE), STARTED + 9)).passed


poses = st.one_of(
    st.sampled_from([*POSES.values(), None]),
    st.builds(Pose, st.floats(-0.6, 0.6), st.floats(0.4, 0.9), st.floats(60, 200)),
)
judged = st.sampled_from(
    [
        *[JUDGED] * 6,
        None,
        Observation(LIVE, FAR, FACE),
        Observation(ATTACK, ANNA, FACE),
        Observation(LIVE, BO, FACE),
        Observation(LIVE, ANNA, OTHER_FACE),
    ]
)
Frame = tuple[Pose | None, Observation | None]
held = st.tuples(poses, judged, st.integers(1, 4))


@settings(max_examples=300)
@given(st.sampled_from(SEQUENCES), st.lists(held, max_size=40), st.booleans())
def test_whatever_is_seen_nobody_passes_without_the_movements_in_order_by_one_face(
    movements: tuple[Prompt, ...],
    stretches: list[tuple[Pose | None, Observation | None, int]],
    helped: bool,
) -> None:
    frames = [(pose, seen) for pose, seen, count in stretches for _ in range(count)]
    if helped:  # otherwise hardly any passes
        frames = _with_the_movements(movements, frames)
    asked = challenge(*movements)
    for number, (pose, seen) in enumerate(frames):
        look = Look(STARTED + (number + 1) * FRAME_S, pose, seen)
        asked = step(asked, look, POLICY, is_one_person)
        if asked.is_over:
            frames = frames[: number + 1]
            break
    if asked.passed:
        assert _shows_all(movements, frames)


def _with_the_movements(movements: tuple[Prompt, ...], frames: list[Frame]) -> list[Frame]:
    """Somebody who does what is asked, with some of the frames in between."""
    size = STRAIGHT.size
    told: list[Frame] = [(STRAIGHT, JUDGED)] * 5
    for number, movement in enumerate(movements):
        pose = POSES[movement]
        told += frames[number : number + 1]
        told += [(Pose(pose.turn, pose.nod, size * pose.size / 100), JUDGED)] * HELD
        size = 140 if movement is Prompt.COME_CLOSER else size
        told += [(Pose(STRAIGHT.turn, STRAIGHT.nod, size), JUDGED)] * 5
    return told


def _shows_all(movements: tuple[Prompt, ...], frames: list[Frame]) -> bool:
    """A slow, obvious check: no attack and nobody else in any frame; and among the frames, in this
    order, three that look straight, some that show the movement, three that look straight, …"""
    for _, seen in frames:
        if seen is not None and (
            seen.liveness <= POLICY.attack_threshold
            or seen.probe is not FACE
            or (seen.nearest is not None and seen.nearest.username != "Anna")
        ):
            return False
    place = 0
    rest: Pose | None = None
    for movement in (*movements, None):
        starts = range(place, len(frames) - RESTING + 1)
        found = next((at for at in starts if _is_rest(frames[at : at + RESTING])), None)
        if found is None:
            return False
        rest, place = frames[found][0], found + RESTING
        if movement is not None:
            assert rest is not None
            shown = [
                at
                for at in range(place, len(frames))
                if (pose := frames[at][0]) is not None and _shows(movement, pose, rest)
            ]
            if len(shown) < HELD or all(frames[at][1] is None for at in shown):
                return False
            place = shown[HELD - 1] + 1
    return True


def _is_rest(part: list[Frame]) -> bool:
    return all(
        pose is not None
        and seen is not None
        and seen.nearest is not None
        and seen.nearest.is_near
        and abs(pose.turn) <= 0.4
        for pose, seen in part
    )


def _shows(movement: Prompt, pose: Pose, rest: Pose) -> bool:
    """Roughly, with what a rest may itself be off by."""
    return {
        Prompt.TURN_LEFT: pose.turn - rest.turn > 0.09,
        Prompt.TURN_RIGHT: rest.turn - pose.turn > 0.09,
        Prompt.NOD: pose.nod - rest.nod > 0.01,
        Prompt.COME_CLOSER: pose.size / rest.size > 1.19,
    }[movement]


def test_who_fails_waits_twice_as_long_each_time_and_a_pass_ends_it() -> None:
    tries = Tries()
    pauses = []
    for number in range(12):
        now = number * 10_000.0
        tries = tries.after("Anna", now, POLICY, passed=False)
        pauses.append(
            next(s for s in range(1, 4000) if not tries.is_paused("Anna", now + s, POLICY))
        )
    assert pauses == [3, 6, 12, 24, 48, 96, 192, 384, 768, 1536, 3072, 3600]
    assert not tries.is_paused("Bo", 110_001.0, POLICY)
    assert not tries.after("Anna", 110_001.0, POLICY, passed=True).failed


def test_failures_of_another_day_are_forgotten() -> None:
    tries = Tries().after("Anna", 0.0, POLICY, passed=False)
    assert tries.after("Anna", 90_000.0, POLICY, passed=False).failed["Anna"].count == 1
    assert "Anna" not in tries.after("Bo", 90_000.0, POLICY, passed=False).failed
