"""A face becomes a person's templates: register, and further templates."""

from collections.abc import Callable, Sequence

from ostiary.access.probe import Probe, distance, fused
from ostiary.commands.context import Context
from ostiary.commands.looks import Looks, looks_at
from ostiary.commands.room import Room
from ostiary.errors import AlreadyRegistered, NotAllowed, NotThisPerson, UserExists
from ostiary.messages.commands import (
    AddTemplateAnswer,
    AddTemplateRequest,
    Answer,
    PicturesRequest,
    RegisterAnswer,
    RegisterRequest,
    RemoveTemplateAnswer,
    RemoveTemplateRequest,
    TemplateRecord,
)
from ostiary.store.audit import Audit
from ostiary.store.rules import StoredPerson

Effect = Callable[[], Answer]

LACKING = {
    "look_left": "Nobody turned the head to the left.",
    "look_right": "Nobody turned the head to the right.",
    "second_picture": "Add a picture in other light, with glasses, or turned a little.",
}


def register(room: Room, request: RegisterRequest, context: Context) -> Effect:
    """Raises UserExists before anything costly, and again where somebody was quicker;
    AlreadyRegistered for a face that is somebody else's, unless `allow_twin`; GroupUnknown,
    PeriodInvalid."""
    _check_allowed(room, request)
    allowed = room.rules.changed(StoredPerson(), request)
    if room.people.has(request.username):
        raise UserExists(f"{request.username} is registered already.")
    looks = looks_at(room, request, context)
    _check_twin(room, request, context, looks.kept)

    def effect() -> RegisterAnswer:
        _check_twin(room, request, context, looks.kept)  # another may have been as quick
        user = room.people.register(
            request.username,
            looks.kept,
            room.clock(),
            source=context.source,
            scope=request.scope,
        )
        _note(room, context, "user_registered", user.username, looks)
        if allowed != StoredPerson():
            room.rules.set_person(user.username, request, context.source, confirm=True)
        return RegisterAnswer(
            success=True,
            username=user.username,
            distance=None,
            similarity=None,
            recognizer=room.people.roster.used,
            message=f"{user.username} is registered.{_lacking(looks)}",
            templates=user.templates,
            liveness=looks.liveness,
            missing=looks.missing,
            verified=looks.verified,
        )

    return effect


def add_template(room: Room, request: AddTemplateRequest, context: Context) -> Effect:
    """Raises UserUnknown before anything costly; NotThisPerson for a face that is too far from all
    the person's templates, AlreadyRegistered for somebody else's, unless `allow_twin`."""
    _check_allowed(room, request)
    username = room.people.get(request.username).username
    looks = looks_at(room, request, context)
    look = fused(looks.kept)
    _check_twin(room, request, context, looks.kept, other_than=username)
    apart = _check_this_person(room, username, look)

    def effect() -> AddTemplateAnswer:
        _check_twin(room, request, context, looks.kept, other_than=username)
        now = room.clock()
        template = room.people.add_template(username, look, now, source=context.source)
        _note(room, context, "template_added", username, looks)
        return AddTemplateAnswer(
            username=username,
            template=TemplateRecord(
                id=template.id,
                created_at=template.created_at,
                source=template.source,
                recognizer=template.recognizer,
                quality=template.quality,
            ),
            distance=None if apart is None else round(apart, 2),
            looks_like=_twin(room, looks, username) if context.operator else None,
            liveness=looks.liveness,
            verified=looks.verified,
        )

    return effect


def remove_template(room: Room, request: RemoveTemplateRequest, context: Context) -> Effect:
    def effect() -> RemoveTemplateAnswer:
        username = room.people.remove_template(
            request.username, request.template, room.clock(), source=context.source
        )
        return RemoveTemplateAnswer(username=username, template=request.template)

    return effect


def _lacking(looks: Looks) -> str:
    """What is to be said where one template was kept only."""
    if not looks.missing:
        return ""
    lacks = " ".join(LACKING[each] for each in looks.missing)
    return f" One template only could be kept, and two are the rule: {lacks}"


def _note(room: Room, context: Context, action: str, username: str, looks: Looks) -> None:
    """Who asks over HTTP is noted there, with an address."""
    if context.source != "mqtt":
        return
    Audit(room.people.database).add(
        actor=context.asker.name or "mqtt",
        action=action,
        subject=username,
        address="",
        now=room.clock(),
        detail={"verified": looks.verified},
    )


def _check_allowed(room: Room, request: PicturesRequest) -> None:
    if not request.require_live and not room.settings.commands.allow_unverified_enrolment:
        raise NotAllowed(
            '"require_live": false is not permitted here (commands.allow_unverified_enrolment).'
        )
    if room.people.database.failure is not None:  # before anybody looks into a camera in vain
        raise room.people.database.failure


def _check_twin(
    room: Room,
    request: PicturesRequest,
    context: Context,
    looks: Sequence[Probe],
    other_than: str | None = None,
) -> None:
    for look in looks:
        other = room.people.roster.near(look, other_than)
        if other is None or request.allow_twin:
            continue
        who = f"{other.username}'s" if context.operator else "somebody else's"
        raise AlreadyRegistered(
            f"By the door's threshold this face is {who}. Rename or delete that person, or, for a "
            'twin, say "allow_twin": true.'
        )


def _twin(room: Room, looks: Looks, username: str) -> str | None:
    found = (room.people.roster.near(look, username) for look in looks.kept)
    return next((other.username for other in found if other is not None), None)


def _check_this_person(room: Room, username: str, look: Probe) -> float | None:
    """The distance to the person's nearest template, None where no two can be compared."""
    roster = room.people.roster
    own = room.people.probes_of(username)
    apart = [distance(each, look, roster.used) for each in own]
    known = [each for each in apart if each is not None]
    if known and min(known) > roster.one_person_distance:
        raise NotThisPerson(
            f"This face is {min(known):.2f} from {username}'s nearest template; up to "
            f"{roster.one_person_distance:.2f} is plausible. To replace all templates, delete the "
            "person and register again."
        )
    return min(known, default=None)
