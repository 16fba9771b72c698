"""One still image, looked at as the door looks at a person."""

from dataclasses import replace
from functools import partial

from ostiary.commands.services import CommandServices
from ostiary.decision.policy import policy_of
from ostiary.decision.vote import Observation, decide_single
from ostiary.errors import FaceCovered, LowQuality, NoFace, SeveralFaces
from ostiary.messages.decision import Decision
from ostiary.messages.reason import Reason
from ostiary.people.people import People
from ostiary.settings import AccessSettings
from ostiary.vision.arrays import BGRImage
from ostiary.vision.covering import Cover, covered
from ostiary.vision.engine import VisionEngine
from ostiary.vision.face import Face
from ostiary.vision.quality import Flaw

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


def decoded(services: CommandServices, data: bytes) -> BGRImage:
    """A sent image, within the limits. Raises ImageInvalid, ImageTooLarge."""
    return services.decode(data, services.limits.images)


def one_face(engine: VisionEngine, image: BGRImage, *, live: bool = True) -> Face:
    """The only near face in `image`, good enough to be judged, or, where it need not be `live`, to
    be recognised. Small ones behind do not count.

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
    """Faces that are covered resemble each other: as templates they would let strangers in. Raises
    FaceCovered."""
    cover = covered(image, face)
    if cover is not None:
        raise FaceCovered(COVERED[cover])


def is_live(score: float, access: AccessSettings) -> bool:
    """Whether P(live) is that of a live person. A score that is not a number is not."""
    return access.live_threshold <= score <= 1.0


def judge(
    engine: VisionEngine,
    people: People,
    access: AccessSettings,
    image: BGRImage,
    claimed: str | None = None,
) -> Decision:
    """Who it is and whether they may pass. `claimed`: only this person may."""
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
