"""Open-set identification: a gallery of registered people, and strangers who step up too.

FPIR is the share of strangers taken for anybody, FNIR the share of registered people who are turned
away or taken for somebody else (ISO/IEC 19795-1).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ostiary.decision.probe import Probe, fused
from ostiary.messages.words import RecognizerName
from ostiary.vision.arrays import FloatArray
from ostiary_export.evaluate.faces import Collection, Ids
from ostiary_export.evaluate.pairs import distances

LOOKS = 3
DRAWS = 40
SEED = 20261124


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """One gallery with everybody who stepped up before it.

    Of strangers: who, (S,), and the distance to the nearest template, (S,). Of registered people:
    who, (R,), and the distance to their own nearest template, (R,), infinite where somebody else's
    is nearer. `enrolled` is one template of each person of the gallery, (N, 128).
    """

    stranger: Ids
    stranger_distance: NDArray[np.float64]
    registered: Ids
    own_distance: NDArray[np.float64]
    enrolled: FloatArray


def fused_rows(collection: Collection, name: RecognizerName, looks: int) -> tuple[FloatArray, Ids]:
    """One probe of `looks` pictures, fused as the door does it, for everybody who has so many."""
    rows, people = [], []
    for who in np.unique(collection.person):
        pictures = np.flatnonzero(collection.person == who)[:looks]
        if len(pictures) == looks:
            rows.append(_fused(collection, name, pictures))
            people.append(who)
    if not rows:
        return np.empty((0, 128), np.float32), np.empty(0, np.intp)
    return np.stack(rows), np.array(people, np.intp)


def trials(
    collection: Collection,
    name: RecognizerName,
    people: int,
    templates: int = 1,
    probes: int = 1,
    *,
    draws: int = DRAWS,
    gallery_from: Ids | None = None,
    strangers_from: Ids | None = None,
) -> Iterator[Trial]:
    """Draw galleries at random. Gives nothing where too few people have enough pictures, and leaves
    out galleries without anybody to step up, inside or outside.

    `gallery_from` is who may be registered, first come first taken, and `strangers_from` who may be
    a stranger (all, unless said).
    """
    random = np.random.default_rng(SEED)
    by_person = _by_person(collection)
    rows = collection.descriptors[name]
    everybody = np.array(sorted(by_person), np.intp)
    for _ in range(draws):
        order = random.permutation(everybody if gallery_from is None else gallery_from)
        able = [who for who in order if len(by_person[who]) >= templates]
        if len(able) < people:
            return
        chosen = able[:people]
        left = {who: random.permutation(by_person[who]) for who in everybody}
        enrolled = np.concatenate([left[who][:templates] for who in chosen])
        owner = np.repeat(chosen, templates)
        strangers = [
            who
            for who in (everybody if strangers_from is None else strangers_from)
            if who not in set(chosen) and len(left[who]) >= probes
        ]
        registered = [who for who in chosen if len(left[who]) >= templates + probes]
        if not strangers or not registered:
            continue
        outside = np.stack([_fused(collection, name, left[who][:probes]) for who in strangers])
        inside = np.stack(
            [
                _fused(collection, name, left[who][templates : templates + probes])
                for who in registered
            ]
        )
        apart = distances(inside, rows[enrolled])
        own = np.where(owner == np.array(registered)[:, np.newaxis], apart, np.inf).min(axis=1)
        yield Trial(
            np.array(strangers, np.intp),
            distances(outside, rows[enrolled]).min(axis=1),
            np.array(registered, np.intp),
            np.where(own <= apart.min(axis=1), own, np.inf),
            rows[enrolled[::templates]],
        )


def _by_person(collection: Collection) -> dict[int, Ids]:
    order = np.argsort(collection.person, kind="stable")
    people, starts = np.unique(collection.person[order], return_index=True)
    return dict(zip(people.tolist(), np.split(order, starts[1:]), strict=True))


def _fused(collection: Collection, name: RecognizerName, pictures: Ids) -> FloatArray:
    rows = collection.descriptors[name]
    if len(pictures) == 1:
        return np.asarray(rows[pictures[0]])
    looks = [Probe({name: rows[at]}, float(collection.quality[at])) for at in pictures]
    return fused(looks).descriptors[name]
