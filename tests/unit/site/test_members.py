"""Whom a door of a site listens to."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from ostiary.site.members import EVERYBODY_UP_TO, LISTENS_TO, listened_to

IDS = st.sets(st.text("0123456789abcdef", min_size=4, max_size=4), min_size=1, max_size=60)


@given(IDS)
def test_in_a_small_site_everybody_hears_everybody(doors: set[str]) -> None:
    few = set(sorted(doors)[: EVERYBODY_UP_TO + 1])
    for door in few:
        assert listened_to(few, door) == few - {door}


@given(IDS)
def test_in_a_large_one_every_door_is_heard_by_as_many(doors: set[str]) -> None:
    many = doors | {f"x{number}" for number in range(EVERYBODY_UP_TO + 2)}
    heard = Counter(heard for door in many for heard in listened_to(many, door))
    assert heard == dict.fromkeys(many, LISTENS_TO)


@given(IDS, st.data())
def test_of_doors_that_differ_one_listens_to_a_door_that_does_not(
    doors: set[str], data: st.DataObject
) -> None:
    every = doors | {f"x{number}" for number in range(30)}
    differing = data.draw(st.sets(st.sampled_from(sorted(every)), min_size=1))
    if differing != every:
        assert any(listened_to(every, door) - differing for door in differing)
