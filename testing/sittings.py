"""Made-up sittings before a camera, for tests that are not about faces."""

from collections.abc import Sequence

import numpy as np

from ostiary.decision.calibration import LIVE, Presentation
from ostiary.messages.calibration import MadeFor
from ostiary.vision.last_layer import FEATURES
from testing.faces import some_descriptor

MADE_FOR = MadeFor(source="a", device=None, width=640, height=480, network="n")
PEOPLE = ("ann", "ben", "cleo", "dan")
KINDS = ("print", "phone", "tablet")


def presentation(
    kind: str,
    person: str,
    number: int = 0,
    *,
    frames: int = 12,
    by_default: float | None = None,
    face: int | None = None,
) -> Presentation:
    """Features in which a person lies on one side and an attack on the other, each with a bent of
    their own. `by_default` is the networks' P(live): unset, they know people, and no attack."""
    random = np.random.default_rng([number, *f"{kind}{person}".encode()])
    features = random.normal(size=(frames, FEATURES))
    features += 0.5 * np.random.default_rng([*person.encode()]).normal(size=FEATURES)
    features[:, :64] += 1.0 if kind == LIVE else -1.0
    scores = np.full(frames, 0.97 if by_default is None else by_default, np.float32)
    face = sum(person.encode()) if face is None else face
    return Presentation(
        kind,
        person,
        features.astype(np.float32),
        scores,
        some_descriptor(face) if kind == LIVE else None,
        "sface" if kind == LIVE else None,
    )


def sitting(
    people: Sequence[str] = PEOPLE, kinds: Sequence[str] = KINDS, times: int = 1
) -> list[Presentation]:
    """Everybody live, and by each kind, so many times."""
    return [
        presentation(kind, person, number)
        for kind in (LIVE, *kinds)
        for person in people
        for number in range(times)
    ]
