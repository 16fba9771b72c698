"""Which doors a door listens to. Pure.

In a small site everybody hears everybody. In a large one the doors are a ring, in the order of
their ids, which are random, and each listens to the next few: what is said grows with the doors
and not with their square, every door is heard by as many, and of any doors that differ from the
rest, at least one listens to a door that does not.
"""

from collections.abc import Iterable

EVERYBODY_UP_TO = 16
LISTENS_TO = 8


def listened_to(doors: Iterable[str], me: str) -> frozenset[str]:
    """The ids among `doors` to which `me` listens; never its own."""
    others = sorted(door for door in doors if door != me)
    if len(others) <= EVERYBODY_UP_TO:
        return frozenset(others)
    after = [door for door in others if door > me]
    return frozenset([*after, *others][:LISTENS_TO])
