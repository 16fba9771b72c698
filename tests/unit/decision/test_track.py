"""Faces are followed from frame to frame."""

from hypothesis import given
from hypothesis import strategies as st

from ostiary.decision.track import Track, follow
from ostiary.vision.face import Box, Face


def face(x: float, y: float = 0.0, size: float = 100.0) -> Face:
    return Face(Box(x, y, size, size), 0.9)


def test_a_face_that_moves_a_little_stays_one_track() -> None:
    tracks = follow([], [face(0)], 0.0, 1, 1.0)
    for number in range(1, 20):
        tracks = follow(tracks, [face(number * 20)], number * 0.1, 2, 1.0)
    assert [track.id for track in tracks] == [1]


def test_two_faces_keep_their_numbers_when_the_detector_reorders_them() -> None:
    left, right = face(0), face(300)
    tracks = follow([], [left, right], 0.0, 1, 1.0)
    tracks = follow(tracks, [right, left], 0.1, 3, 1.0)
    assert {track.id: track.face.box.x for track in tracks} == {1: 0, 2: 300}


def test_a_face_elsewhere_is_somebody_new() -> None:
    tracks = follow(follow([], [face(0)], 0.0, 1, 1.0), [face(400)], 0.1, 2, 1.0)
    assert [track.id for track in tracks] == [1, 2]


def test_a_track_unseen_for_too_long_ends() -> None:
    tracks = follow([], [face(0)], 0.0, 1, 1.0)
    assert len(follow(tracks, [], 0.9, 2, 1.0)) == 1
    assert follow(tracks, [], 1.1, 2, 1.0) == ()


faces = st.lists(
    st.builds(face, st.floats(0, 600), st.floats(0, 400), st.floats(1, 300)), max_size=6
)


@given(st.lists(faces, max_size=12))
def test_every_face_has_exactly_one_track_and_numbers_are_never_reused(
    frames: list[list[Face]],
) -> None:
    tracks: tuple[Track, ...] = ()
    next_id, ever = 1, set[int]()
    for number, seen in enumerate(frames):
        before = {track.id for track in tracks}
        tracks = follow(tracks, seen, float(number), next_id, 2.0)
        numbers = [track.id for track in tracks]
        assert len(set(numbers)) == len(numbers)
        assert sum(track.seen == number for track in tracks) == len(seen)
        opened = set(numbers) - before
        assert not opened & ever
        ever |= set(numbers)
        next_id = max([next_id, *(each + 1 for each in numbers)])
