"""A picture of an event as one more template of somebody: where that is safe."""

from ostiary.decision.roster import Roster
from ostiary.errors import PictureUnfit, SnapshotUnknown
from ostiary.messages.events import AnyEvent, LoginEvent
from ostiary.messages.words import Reason
from ostiary.store.events import EventFilter, Events
from ostiary.store.snapshots import Snapshots


def may_be_added(event: AnyEvent, roster: Roster, live_threshold: float) -> bool:
    """Whether it shows a live face that was nobody's, and yet as near to somebody's as two pictures
    of one person may be. Whoever adds it says whose: that is held against their templates then."""
    return (
        isinstance(event, LoginEvent)
        and event.reason is Reason.UNKNOWN_FACE
        and event.recognizer == roster.used
        and event.liveness is not None
        and event.liveness >= live_threshold
        and event.distance is not None
        and event.distance <= roster.one_person_distance
    )


def picture_to_add(
    events: Events, snapshots: Snapshots, roster: Roster, live_threshold: float, seq: int
) -> bytes:
    """The JPEG that was kept with the event `seq`. Raises SnapshotUnknown, PictureUnfit."""
    jpeg = snapshots.get(seq)
    if jpeg is None:
        raise SnapshotUnknown(f"No picture of event {seq} was kept.")
    page = events.page(EventFilter(kind="login"), cursor=seq + 1, limit=1)
    if not any(
        event.seq == seq and may_be_added(event, roster, live_threshold) for event in page.events
    ):
        raise PictureUnfit(
            f"Event {seq} shows no live, unknown face that is near to anybody's. Take the picture "
            "at the camera."
        )
    return jpeg
