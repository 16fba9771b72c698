"""One function a command.

A handler does the slow part (images) at once and returns the effect, which `Commands` calls
inside one transaction. So the database is never held while a face is looked at.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from ostiary import __version__
from ostiary.access.admission import MISSING, needs_of
from ostiary.access.decision import Decision
from ostiary.commands.access import (
    access,
    delete_group,
    delete_rule,
    put_person,
    rules,
    set_access,
    set_group,
    set_holidays,
    set_rule,
)
from ostiary.commands.context import Context
from ostiary.commands.credentials import (
    add_card,
    credential,
    credentials,
    remove_card,
    remove_pin,
    set_pin,
)
from ostiary.commands.doors import contact, door, doors
from ostiary.commands.enrol import Effect, add_template, register, remove_template
from ostiary.commands.examine import decoded, judge
from ostiary.commands.room import Room
from ostiary.errors import CameraUnavailable
from ostiary.messages.commands import (
    DeleteAnswer,
    DeleteRequest,
    EventsAnswer,
    EventsRequest,
    LoginAnswer,
    LoginRequest,
    PingAnswer,
    PingRequest,
    ReloadAnswer,
    ReloadRequest,
    RenameAnswer,
    RenameRequest,
    ShareAnswer,
    ShareRequest,
    SnapshotAnswer,
    SnapshotRequest,
    UserRecord,
    UsersAnswer,
    UsersRequest,
)
from ostiary.store.events import EventFilter
from ostiary.vision.image import at_most_wide, encode_jpeg

SNAPSHOT_QUALITY = 85  # JPEG, of 100
LOGIN_DIGITS = 2

Handler = Callable[[Room, Any, Context], Effect]


def ping(room: Room, _request: PingRequest, _context: Context) -> Effect:
    return lambda: PingAnswer(version=__version__, timestamp=room.clock())


def users(room: Room, request: UsersRequest, context: Context) -> Effect:
    def effect() -> UsersAnswer:
        roster = room.people.roster
        now = roster.thresholds.used
        alike = roster.look_alikes()
        shared = room.people.site_usernames()
        people = [each for each in room.people.list() if each.username > (request.cursor or "")]
        page = people[: request.limit]
        return UsersAnswer(
            users=tuple(
                UserRecord(
                    username=user.username,
                    created_at=user.created_at,
                    templates=user.templates,
                    scope="site" if user.username in shared else "door",
                    recognizers=user.recognizers,
                    look_alikes=alike.of(user.username) if context.operator else (),
                    groups=tuple(sorted(person.groups)),
                    valid_from=person.valid_from,
                    valid_until=person.valid_until,
                )
                for user in page
                for person in [room.rules.person(user.username)]
            ),
            recognizer=now.recognizer,
            threshold=now.distance,
            false_accept=now.false_accept,
            waiting=len(roster.waiting()),
            cursor=page[-1].username if len(page) < len(people) else None,
            scale=now.scale,
            one_template=roster.with_one_template,
            promised=now.is_promised,
        )

    return effect


def login(room: Room, request: LoginRequest, context: Context) -> Effect:
    claimed = None if request.username is None else room.people.get(request.username).username
    image = decoded(room, request.image)
    context.check_deadline()
    room.logins.check(context.source)
    decision = judge(room.engine, room.people, room.access, image, claimed).rounded(LOGIN_DIGITS)
    decision = _ruled(room, decision)
    if not decision.success and decision.liveness is not None:
        room.logins.denied(context.source)

    def effect() -> LoginAnswer:
        event = room.events.append_login(
            success=decision.success,
            reason=decision.reason,
            message=decision.message,
            source=context.source,
            now=room.clock(),
            username=decision.username,
            distance=decision.distance,
            liveness=decision.liveness,
            threshold=decision.threshold,
            recognizer=decision.recognizer,
        )
        return LoginAnswer(
            success=decision.success,
            username=decision.username,
            distance=decision.distance,
            similarity=decision.similarity,
            threshold=decision.threshold,
            recognizer=decision.recognizer,
            message=decision.message,
            reason=decision.reason,
            liveness=decision.liveness,
            event_id=str(event.event_id),
        )

    return effect


def _ruled(room: Room, decision: Decision) -> Decision:
    """A picture stands at no door and shows no PIN: who may pass none now, or needs more than a
    face at some, is denied."""
    if not decision.success or decision.username is None:
        return decision
    ruling = room.rules.ruling(decision.username, None)
    if not ruling.allowed:
        return replace(decision, reason=ruling.reason)
    if needs := needs_of(ruling):
        return replace(decision, reason=MISSING[needs[0]])
    return decision


def delete(room: Room, request: DeleteRequest, context: Context) -> Effect:
    return lambda: DeleteAnswer(
        username=room.people.delete(request.username, room.clock(), source=context.source)
    )


def rename(room: Room, request: RenameRequest, context: Context) -> Effect:
    def effect() -> RenameAnswer:
        old = room.people.get(request.username).username
        user = room.people.rename(old, request.new_username, room.clock(), source=context.source)
        return RenameAnswer(username=user.username, previous_username=old)

    return effect


def share(room: Room, request: ShareRequest, _context: Context) -> Effect:
    def effect() -> ShareAnswer:
        people = room.people
        known = people.site_usernames()
        asked = (
            [request.username] if request.username else [each.username for each in people.list()]
        )
        names = [people.get(name).username for name in asked]
        new = tuple(name for name in names if name not in known)
        for name in new or names[:1]:
            people.share(name, room.clock())
        return ShareAnswer(shared=new)

    return effect


def events(room: Room, request: EventsRequest, _context: Context) -> Effect:
    where = EventFilter(
        kind=request.kind,
        reason=request.reason,
        username=request.username,
        success=request.success,
        since=request.since,
        until=request.until,
    )
    page = room.events.page(
        where, cursor=request.cursor, limit=request.limit, newest_first=request.newest_first
    )
    return lambda: EventsAnswer(events=page.events, cursor=page.cursor)


def snapshot(room: Room, request: SnapshotRequest, _context: Context) -> Effect:
    name, camera = room.camera(request.camera)
    image = camera.latest
    if image is None:
        raise CameraUnavailable(f"Camera {name} gives no picture; see `state`.")
    if request.width is not None:
        image = at_most_wide(image, request.width)
    height, width = image.shape[:2]
    answer = SnapshotAnswer(
        image=encode_jpeg(image, SNAPSHOT_QUALITY),
        camera=name,
        width=width,
        height=height,
        timestamp=room.clock(),
    )
    return lambda: answer


def reload(room: Room, _request: ReloadRequest, _context: Context) -> Effect:
    """What comes is made beside what is, which takes its time and the database."""
    room.reload()
    answer = ReloadAnswer(message="The door starts anew with the configuration as it is now.")
    return lambda: answer


HANDLERS: Mapping[str, Handler] = {
    "ping": ping,
    "users": users,
    "register": register,
    "login": login,
    "delete": delete,
    "add_template": add_template,
    "remove_template": remove_template,
    "rename": rename,
    "share": share,
    "credential": credential,
    "credentials": credentials,
    "set_pin": set_pin,
    "remove_pin": remove_pin,
    "add_card": add_card,
    "remove_card": remove_card,
    "doors": doors,
    "door": door,
    "contact": contact,
    "events": events,
    "snapshot": snapshot,
    "reload": reload,
    "rules": rules,
    "set_group": set_group,
    "delete_group": delete_group,
    "set_rule": set_rule,
    "delete_rule": delete_rule,
    "set_holidays": set_holidays,
    "access": access,
    "set_access": set_access,
    "put_person": put_person,
}
