"""One still image, looked at as the door looks at a person."""

from ostiary.access.decision import Decision, Reason
from ostiary.commands.people import People
from ostiary.config import AccessSettings
from ostiary.errors import LowQuality, NoFace, SeveralFaces
from ostiary.vision.arrays import BGRImage
from ostiary.vision.engine import VisionEngine
from ostiary.vision.face import Face


def one_face(engine: VisionEngine, image: BGRImage) -> Face:
    """The only face in `image`, good enough to be judged.

    Raises NoFace, SeveralFaces, LowQuality.
    """
    faces = engine.detect(image)
    if not faces:
        raise NoFace("No face in the image. Show one whole face, from the front, in good light.")
    if len(faces) > 1:
        raise SeveralFaces(f"{len(faces)} faces in the image; exactly one is needed.")
    quality = engine.quality(image, faces[0])
    if not quality.good:
        raise LowQuality(
            "The face is too small, blurred, dark or turned away. Come nearer and look straight on."
        )
    return faces[0]


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
    liveness = engine.live_score(image, face)
    if not is_live(liveness, access):
        measured = liveness if 0.0 <= liveness <= 1.0 else None
        return Decision(Reason.PRESENTATION_ATTACK, liveness=measured)
    candidate = people.match(engine.describe(image, face))
    if candidate is None:
        return Decision(Reason.UNKNOWN_FACE, liveness=liveness)
    near = candidate.distance <= access.distance_threshold
    named = claimed is None or candidate.username == claimed
    return Decision(
        Reason.GRANTED if near and named else Reason.UNKNOWN_FACE,
        username=candidate.username if near and named else None,
        distance=candidate.distance,
        liveness=liveness,
    )
