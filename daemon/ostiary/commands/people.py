"""Commands about people: who is registered, their templates and their names."""

from collections.abc import Sequence

from ostiary.commands.pictures import Looks, looks_at
from ostiary.commands.registry import Context, Deed, Effect, command
from ostiary.commands.services import CommandServices
from ostiary.decision.probe import Probe, distance, fused
from ostiary.errors import AlreadyRegistered, NotAllowed, NotThisPerson, UserExists
from ostiary.messages.commands.people import (
    AddTemplateAnswer,
    AddTemplateRequest,
    DeleteAnswer,
    DeleteRequest,
    PicturesRequest,
    RegisterAnswer,
    RegisterRequest,
    RemoveTemplateAnswer,
    RemoveTemplateRequest,
    RenameAnswer,
    RenameRequest,
    ShareAnswer,
    ShareRequest,
    TemplateRecord,
    UserRecord,
    UsersAnswer,
    UsersRequest,
)
from ostiary.store.rules import StoredPerson

LACKING = {
    "look_left": "Nobody turned the head to the left.",
    "look_right": "Nobody turned the head to the right.",
    "second_picture": "Add a picture in other light, with glasses, or turned a little.",
}


@command("register", changes=True, admits=True, audit="user_registered", detail="verified")
def register(
    services: CommandServices, request: RegisterRequest, context: Context
) -> Effect[RegisterAnswer]:
    """Register a person. Raises UserExists before anything costly, and again where somebody was
    quicker; AlreadyRegistered for a face that is somebody else's, unless `allow_twin`;
    GroupUnknown, PeriodInvalid."""
    _check_allowed(services, request)
    allowed = services.rules.changed(StoredPerson(), request)
    if services.people.has(request.username):
        raise UserExists(f"{request.username} is registered already.")
    looks = looks_at(services, request, context)
    _check_twin(services, request, context, looks.kept)

    def effect() -> RegisterAnswer:
        _check_twin(services, request, context, looks.kept)  # another may have been as quick
        user = services.people.register(
            request.username,
            looks.kept,
            services.clock(),
            source=context.source,
            scope=request.scope,
        )
        if allowed != StoredPerson():
            services.rules.set_person(user.username, request, context.source, confirm=True)
        return RegisterAnswer(
            success=True,
            username=user.username,
            distance=None,
            similarity=None,
            recognizer=services.people.roster.used,
            message=f"{user.username} is registered.{_lacking(looks)}",
            templates=user.templates,
            liveness=looks.liveness,
            missing=looks.missing,
            verified=looks.verified,
        )

    return effect


@command("add_template", changes=True, admits=True, audit="template_added", detail="verified")
def add_template(
    services: CommandServices, request: AddTemplateRequest, context: Context
) -> Effect[AddTemplateAnswer]:
    """Give a person one more template. Raises UserUnknown before anything costly; NotThisPerson for
    a face that is too far from all of the person's templates; AlreadyRegistered for somebody
    else's, unless `allow_twin`."""
    _check_allowed(services, request)
    username = services.people.get(request.username).username
    looks = looks_at(services, request, context)
    look = fused(looks.kept)
    _check_twin(services, request, context, looks.kept, other_than=username)
    apart = _check_this_person(services, username, look)

    def effect() -> AddTemplateAnswer:
        _check_twin(services, request, context, looks.kept, other_than=username)
        now = services.clock()
        template = services.people.add_template(username, look, now, source=context.source)
        return AddTemplateAnswer(
            username=username,
            template=TemplateRecord.model_validate(template, from_attributes=True),
            distance=None if apart is None else round(apart, 2),
            looks_like=_twin(services, looks, username) if context.operator else None,
            liveness=looks.liveness,
            verified=looks.verified,
        )

    return effect


@command("remove_template", changes=True, audit="template_removed", detail="template")
def remove_template(
    services: CommandServices, request: RemoveTemplateRequest, context: Context
) -> Effect[RemoveTemplateAnswer]:
    def effect() -> RemoveTemplateAnswer:
        username = services.people.remove_template(
            request.username, request.template, services.clock(), source=context.source
        )
        return RemoveTemplateAnswer(username=username, template=request.template)

    return effect


@command("users")
def users(
    services: CommandServices, request: UsersRequest, context: Context
) -> Effect[UsersAnswer]:
    def effect() -> UsersAnswer:
        roster = services.people.roster
        now = roster.thresholds.used
        alike = roster.look_alikes()
        shared = services.people.site_usernames()
        people = [each for each in services.people.list() if each.username > (request.cursor or "")]
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
                for person in [services.rules.person(user.username)]
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


def _renamed(request: RenameRequest, answer: RenameAnswer) -> Deed:
    return Deed("user_renamed", request.username, {"new_username": answer.username})


@command("rename", changes=True, audit=_renamed)
def rename(
    services: CommandServices, request: RenameRequest, context: Context
) -> Effect[RenameAnswer]:
    def effect() -> RenameAnswer:
        old = services.people.get(request.username).username
        user = services.people.rename(
            old, request.new_username, services.clock(), source=context.source
        )
        return RenameAnswer(username=user.username, previous_username=old)

    return effect


def _shared(request: ShareRequest, answer: ShareAnswer) -> Deed:
    if request.username is None:
        return Deed("users_shared", f"{len(answer.shared)} people")
    return Deed("user_shared", request.username)


@command("share", changes=True, admits=True, audit=_shared)
def share(
    services: CommandServices, request: ShareRequest, _context: Context
) -> Effect[ShareAnswer]:
    def effect() -> ShareAnswer:
        people = services.people
        known = people.site_usernames()
        asked = (
            [request.username] if request.username else [each.username for each in people.list()]
        )
        names = [people.get(name).username for name in asked]
        new = tuple(name for name in names if name not in known)
        for name in new or names[:1]:
            people.share(name, services.clock())
        return ShareAnswer(shared=new)

    return effect


@command("delete", changes=True, audit="user_deleted")
def delete(
    services: CommandServices, request: DeleteRequest, context: Context
) -> Effect[DeleteAnswer]:
    return lambda: DeleteAnswer(
        username=services.people.delete(request.username, services.clock(), source=context.source)
    )


def _lacking(looks: Looks) -> str:
    """Say what a second template lacks, where only one was kept; empty otherwise."""
    if not looks.missing:
        return ""
    lacks = " ".join(LACKING[each] for each in looks.missing)
    return f" One template only could be kept, and two are the rule: {lacks}"


def _check_allowed(services: CommandServices, request: PicturesRequest) -> None:
    if not request.require_live and not services.settings.commands.allow_unverified_enrolment:
        raise NotAllowed(
            '"require_live": false is not permitted here (commands.allow_unverified_enrolment).'
        )
    if services.people.database.failure is not None:  # before anybody looks into a camera in vain
        raise services.people.database.failure


def _check_twin(
    services: CommandServices,
    request: PicturesRequest,
    context: Context,
    looks: Sequence[Probe],
    other_than: str | None = None,
) -> None:
    for look in looks:
        other = services.people.roster.near(look, other_than)
        if other is None or request.allow_twin:
            continue
        who = f"{other.username}'s" if context.operator else "somebody else's"
        raise AlreadyRegistered(
            f"By the door's threshold this face is {who}. Rename or delete that person, or allow a "
            "twin."
        )


def _twin(services: CommandServices, looks: Looks, username: str) -> str | None:
    found = (services.people.roster.near(look, username) for look in looks.kept)
    return next((other.username for other in found if other is not None), None)


def _check_this_person(services: CommandServices, username: str, look: Probe) -> float | None:
    """The distance to the person's nearest template, None where no two can be compared."""
    roster = services.people.roster
    own = services.people.probes_of(username)
    apart = [distance(each, look, roster.used) for each in own]
    known = [each for each in apart if each is not None]
    if known and min(known) > roster.one_person_distance:
        raise NotThisPerson(
            f"This face is {min(known):.2f} from {username}'s nearest template; up to "
            f"{roster.one_person_distance:.2f} is plausible. To replace all templates, delete the "
            "person and register again."
        )
    return min(known, default=None)
