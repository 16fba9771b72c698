"""Pictures as commands look at them: one that was sent, judged as the door judges a person, and
several of one face, to enrol it."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial

from ostiary.commands.registry import Context
from ostiary.commands.services import Camera, CommandServices
from ostiary.decision.policy import policy_of
from ostiary.decision.probe import Probe, differing
from ostiary.decision.vote import Observation, decide_single
from ostiary.errors import (
    FaceCovered,
    LowQuality,
    NoFace,
    NotLive,
    NotThisPerson,
    OstiaryError,
    SeveralFaces,
    TimedOut,
)
from ostiary.messages.commands.people import LOOKS, PicturesRequest
from ostiary.messages.decision import Decision
from ostiary.messages.words import Reason
from ostiary.people.people import People
from ostiary.settings import AccessSettings
from ostiary.vision.arrays import BGRImage
from ostiary.vision.engine import VisionEngine
from ostiary.vision.face import Face
from ostiary.vision.quality import Cover, Flaw, covered

ADVICE = {
    Flaw.TOO_SMALL: "The face is too small. Come nearer.",
    Flaw.CUT_OFF: "The face is cut off. Show all of it.",
    Flaw.TURNED_AWAY: "The face is turned away. Look straight into the camera.",
    Flaw.TOO_DARK: "The face is too dark. Find more light.",
    Flaw.OVER_EXPOSED: "The face is over-exposed. Find softer light.",
    Flaw.BLURRED: "The face is blurred. Keep still, and check the focus.",
    Flaw.TOO_NEAR: "The face fills the picture, so that life cannot be told. Step back a little.",
    Flaw.NO_COLOUR: "The picture is black and white, so that life cannot be told. Find more light.",
}
TURNED = 0.12
"""A yaw (`vision.quality`) from which a look counts as one to the side: about 12°."""

POSES = {0: "look_front", 1: "look_left", -1: "look_right"}
"""How to look for each side, in the person's own left and right."""


def decoded(services: CommandServices, data: bytes) -> BGRImage:
    """Decode a sent image within the limits. Raises ImageInvalid, ImageTooLarge."""
    return services.decode(data, services.limits.images)


def one_face(engine: VisionEngine, image: BGRImage, *, live: bool = True) -> Face:
    """Find the only near face in `image`; small ones behind do not count. It is good enough for
    liveness to be judged, or, without `live`, to be recognised.

    Raises NoFace, SeveralFaces, LowQuality.
    """
    faces = engine.detect(image)
    if not faces:
        raise NoFace("No face in the image. Show one whole face, from the front, in good light.")
    flaws = [(face, engine.quality(image, face).flaw) for face in faces]
    near = [(face, flaw) for face, flaw in flaws if flaw is not Flaw.TOO_SMALL]
    if len(near) > 1:
        raise SeveralFaces(f"{len(near)} faces in the image; exactly one is needed.")
    face, flaw = near[0] if near else flaws[0]
    if flaw is not None and (live or not flaw.hides_only_life):
        raise LowQuality(ADVICE[flaw])
    return face


COVERED = {
    Cover.MOUTH: "The mouth is covered. Take the mask off to enrol.",
    Cover.EYES: "The eyes are covered. Take the dark glasses off to enrol.",
}


def check_uncovered(image: BGRImage, face: Face) -> None:
    """Raises FaceCovered: covered faces resemble each other, and as templates would let strangers
    in."""
    cover = covered(image, face)
    if cover is not None:
        raise FaceCovered(COVERED[cover])


def is_live(score: float, access: AccessSettings) -> bool:
    """Whether P(live), 0 to 1, is that of a live person; NaN is not."""
    return access.live_threshold <= score <= 1.0


def judge(
    engine: VisionEngine,
    people: People,
    access: AccessSettings,
    image: BGRImage,
    claimed: str | None = None,
) -> Decision:
    """Decide who is in `image`, and whether they may pass. `claimed`: only this person may."""
    try:
        face = one_face(engine, image)
    except NoFace:
        return Decision(Reason.NO_FACE)
    except SeveralFaces:
        return Decision(Reason.SEVERAL_FACES)
    except LowQuality:
        return Decision(Reason.LOW_QUALITY)
    _, nearest = people.roster.identify(partial(engine.describe, image, face))
    seen = Observation(engine.live_score(image, face), nearest)
    decision = decide_single(seen, policy_of(access))
    if decision.success and claimed not in (None, decision.username):
        return replace(decision, reason=Reason.UNKNOWN_FACE, username=None)
    return decision


@dataclass(frozen=True, slots=True)
class Looks:
    """Several looks at one face. `kept`: those that become templates, the best first. `liveness`:
    the least P(live) of all looks; None where a network gave no number. `verified`: the door's
    camera saw a live person, as a grant asks it; a picture that was sent proves nothing. `missing`:
    what a second template lacks where only one was kept: `look_left`, `look_right`, or
    `second_picture`."""

    kept: tuple[Probe, ...]
    liveness: float | None
    verified: bool
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Look:
    probe: Probe
    liveness: float
    yaw: float


def looks_at(services: CommandServices, request: PicturesRequest, context: Context) -> Looks:
    """Look at the pictures that were sent, or take them at the camera.

    Each look has to be live, and all of one person; those that differ are kept. Raises NoFace,
    SeveralFaces, LowQuality, FaceCovered, NotLive, ImageInvalid… for any of them, and NotThisPerson
    where they are not all of one face.
    """
    looks: list[_Look] = []
    for image in _pictures(services, request, context, looks):
        context.check_deadline()
        look = _examined(services, request, image)
        if any(not services.people.roster.is_one_person(each.probe, look.probe) for each in looks):
            raise NotThisPerson("The pictures show different faces. Enrol one person at a time.")
        looks.append(look)
    roster = services.people.roster
    kept = differing([each.probe for each in looks], roster.used, roster.looks_differ_distance)
    least = min(each.liveness for each in looks)
    return Looks(
        tuple(kept[:LOOKS]),
        least if 0.0 <= least <= 1.0 else None,
        _verified(services, request),
        _missing(request, looks) if len(kept) == 1 else (),
    )


def _missing(request: PicturesRequest, looks: list[_Look]) -> tuple[str, ...]:
    """The looks that a second template lacks."""
    if request.source is None:
        return ("second_picture",)
    seen = {_side(each.yaw) for each in looks}
    sides = [side for side in POSES if side]
    return tuple(POSES[side] for side in sides if side not in seen or len(seen) == len(POSES))


def _verified(services: CommandServices, request: PicturesRequest) -> bool:
    if request.source is None or not request.require_live:
        return False
    _, camera = services.camera(request.camera)
    return camera.requires_movement


def _examined(services: CommandServices, request: PicturesRequest, image: BGRImage) -> _Look:
    face = one_face(services.engine, image, live=request.require_live)
    check_uncovered(image, face)
    by = services.engine if request.source is None else services.camera(request.camera)[1]
    liveness = by.live_score(image, face)
    if request.require_live and not is_live(liveness, services.access):
        raise NotLive
    quality = services.engine.quality(image, face)
    describe = partial(services.engine.describe, image, face)
    probe, _ = services.people.roster.identify(describe, quality.weight)
    return _Look(probe, liveness, quality.yaw or 0.0)


def _pictures(
    services: CommandServices, request: PicturesRequest, context: Context, looks: list[_Look]
) -> Iterator[BGRImage]:
    """Yield the pictures that were sent; or the camera's, until `looks` has one from the front and
    one from each side, or nobody turned in time."""
    if request.source is None:
        sent = request.images if request.image is None else (request.image,)
        yield from (decoded(services, data) for data in sent or ())
        return
    _, camera = services.camera(request.camera)
    try:
        camera.ask(POSES[0])
        yield _first(services, camera, request, context)
        until = time.monotonic() + services.settings.commands.enrol_s
        yield from _turning(services, camera, until, looks)
    finally:
        camera.ask(None)


def _first(
    services: CommandServices, camera: Camera, request: PicturesRequest, context: Context
) -> BGRImage:
    """Take the first picture whose face is good enough by itself: the camera, which follows a face,
    may have found it slightly less turned away. Raises LowQuality or TimedOut where none was in
    time."""
    until = time.monotonic() + services.limits.camera_s
    poor: LowQuality | None = None
    while True:
        try:
            image = camera.capture(until - time.monotonic(), alive=request.require_live)
        except TimedOut as late:
            raise poor or late from None
        context.check_deadline()
        try:
            one_face(services.engine, image, live=request.require_live)
        except LowQuality as error:
            poor = error
        else:
            return image


def _turning(
    services: CommandServices, camera: Camera, until: float, looks: list[_Look]
) -> Iterator[BGRImage]:
    wanted = set(POSES) - {_side(each.yaw) for each in looks}
    while wanted and (left := until - time.monotonic()) > 0:
        camera.ask(POSES[min(wanted, key=abs)])
        try:
            image = camera.capture(left, alive=False)  # `_examined` demands it of each look
            face = one_face(services.engine, image)
            check_uncovered(image, face)
            quality = services.engine.quality(image, face)
        except TimedOut:
            return
        except OstiaryError:  # a face that is out of view for a moment may go on
            continue
        side = _side(quality.yaw or 0.0)
        if side in wanted:
            wanted.remove(side)
            yield image


def _side(yaw: float) -> int:
    return 0 if abs(yaw) < TURNED else (1 if yaw > 0 else -1)
