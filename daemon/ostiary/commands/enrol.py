"""A face becomes a person's template: register, and further templates."""

from collections.abc import Callable

import numpy as np

from ostiary.commands.context import Context
from ostiary.commands.examine import is_live, one_face
from ostiary.commands.room import Room
from ostiary.errors import CameraUnavailable, NotAllowed, NotLive, UserExists
from ostiary.messages.commands import (
    AddTemplateAnswer,
    AddTemplateRequest,
    Answer,
    RegisterAnswer,
    RegisterRequest,
    RemoveTemplateAnswer,
    RemoveTemplateRequest,
    TemplateRecord,
)
from ostiary.vision.arrays import BGRImage, Descriptor
from ostiary.vision.image import ImageLimits, decode_image

Effect = Callable[[], Answer]


def register(room: Room, request: RegisterRequest, context: Context) -> Effect:
    """Raises UserExists before anything costly, and again where somebody was quicker."""
    _check_allowed(room, request)
    if room.people.has(request.username):
        raise UserExists(f"{request.username} is registered already.")
    descriptor, liveness = _examined(room, request, context)

    def effect() -> RegisterAnswer:
        user = room.people.register(
            request.username, descriptor, room.clock(), source=context.source
        )
        return RegisterAnswer(
            success=True,
            username=user.username,
            distance=None,
            similarity=None,
            message=f"{user.username} is registered.",
            liveness=liveness,
        )

    return effect


def add_template(room: Room, request: AddTemplateRequest, context: Context) -> Effect:
    """Raises UserUnknown before anything costly."""
    _check_allowed(room, request)
    username = room.people.get(request.username).username
    descriptor, liveness = _examined(room, request, context)
    nearest = room.people.match(descriptor)
    own = room.people.descriptors_of(username)
    distance = min((float(np.linalg.norm(each - descriptor)) for each in own), default=None)
    other = nearest is not None and nearest.username != username

    def effect() -> AddTemplateAnswer:
        template = room.people.add_template(
            username, descriptor, room.clock(), source=context.source
        )
        return AddTemplateAnswer(
            username=username,
            template=TemplateRecord(
                id=template.id, created_at=template.created_at, source=template.source
            ),
            distance=distance,
            looks_like=nearest.username if nearest is not None and other else None,
            liveness=liveness,
        )

    return effect


def remove_template(room: Room, request: RemoveTemplateRequest, context: Context) -> Effect:
    def effect() -> RemoveTemplateAnswer:
        username = room.people.remove_template(
            request.username, request.template, room.clock(), source=context.source
        )
        return RemoveTemplateAnswer(username=username, template=request.template)

    return effect


def decoded(room: Room, data: bytes) -> BGRImage:
    """A sent image, within the limits. Raises ImageInvalid, ImageTooLarge."""
    limits = room.settings.commands
    return decode_image(
        data,
        ImageLimits(
            bytes=limits.payload_limit_bytes,
            pixels=limits.image_pixel_limit,
            side=limits.image_side_limit,
        ),
    )


def _check_allowed(room: Room, request: RegisterRequest) -> None:
    if not request.require_live and not room.settings.commands.allow_unverified_enrolment:
        raise NotAllowed(
            '"require_live": false is not permitted here (commands.allow_unverified_enrolment).'
        )


def _examined(
    room: Room, request: RegisterRequest, context: Context
) -> tuple[Descriptor, float | None]:
    """The descriptor and P(live) of the one face in the picture."""
    image = _picture(room, request)
    context.check_deadline()
    face = one_face(room.engine, image)
    liveness = room.engine.live_score(image, face)
    if request.require_live and not is_live(liveness, room.access):
        raise NotLive("The face is judged to be a photo or a screen; a live person is needed.")
    return room.engine.describe(image, face), liveness if 0.0 <= liveness <= 1.0 else None


def _picture(room: Room, request: RegisterRequest) -> BGRImage:
    if request.image is not None:
        return decoded(room, request.image)
    if room.camera is None:
        raise CameraUnavailable("There is no camera to take the picture with; send an image.")
    return room.camera.capture(room.settings.commands.camera_timeout_s)
