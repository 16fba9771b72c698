"""Every figure that is reported, each one line of JSON."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from ostiary.decision.likeness import Likeness, likeness_of
from ostiary.decision.risk import Risk, comparison_risk, threshold_at
from ostiary.messages.words import RecognizerName
from ostiary.vision.recognizer import ErrorRates
from ostiary_export.evaluate.bootstrap import (
    Figure,
    accepted,
    figure,
    taken_for_somebody,
    turned_away,
    turned_away_at_fpir,
)
from ostiary_export.evaluate.faces import Collection, Ids
from ostiary_export.evaluate.identification import Trial, trials
from ostiary_export.evaluate.pairs import Pairs, pairs_of, part
from ostiary_export.evaluate.rates import rates_of

FMR = (1e-3, 1e-4, 1e-5)
FPIR = 0.01
GALLERIES = (10, 100, 500, 2000)
SETS = ((1, 1), (1, 2), (2, 1), (3, 1))
"""Templates a person, and pictures that are fused to one probe."""
DOOR_SETS = ((1, 1), (1, 2), (2, 1), (2, 2))
FALSE_ACCEPT = (0.01, 0.001)
FOLDS = 2
DRAWS_A_FOLD = 20
STRANGERS_AT_LEAST = 400
REGISTERED_AT_LEAST = 30
"""With fewer people who come back, a figure says nothing and is left out."""
SEED = 30107


@dataclass(frozen=True, slots=True)
class Line:
    """One figure: its name, what it is for, and its value with its interval."""

    accuracy: str
    recognizer: RecognizerName
    about: Mapping[str, str | float]
    figure: Figure

    def to_json(self) -> str:
        """As the benches print theirs."""
        found = self.figure
        rounded = {key: float(f"{getattr(found, key):.4g}") for key in ("value", "low", "high")}
        head = {"accuracy": self.accuracy, "recognizer": self.recognizer}
        return json.dumps({**head, **self.about, **rounded})


def verification(collection: Collection, name: RecognizerName, pairs: Pairs) -> Iterator[Line]:
    """TAR at fixed false match rates. The interval is that of the people's own pairs; with
    millions of impostor pairs the distance itself hardly moves."""
    people = int(collection.person.max()) + 1
    for rate in FMR:
        if rate * len(pairs.impostor) >= 1:
            found = figure(people, accepted(pairs, pairs.distance_at(rate)))
            yield Line("tar_at_fmr", name, {"fmr": rate}, found)


def identification(collection: Collection, name: RecognizerName) -> Iterator[Line]:
    """FNIR at a fixed FPIR, over sizes of the gallery, templates a person and looks a probe."""
    people = int(collection.person.max()) + 1
    for size in GALLERIES:
        for templates, probes in SETS:
            drawn = list(trials(collection, name, size, templates, probes))
            if len(np.unique(_all_registered(drawn))) >= REGISTERED_AT_LEAST:
                about = {"fpir": FPIR, "people": size, "templates": templates, "probes": probes}
                found = figure(people, turned_away_at_fpir(drawn, FPIR))
                yield Line("fnir_at_fpir", name, about, found)


def _all_registered(drawn: list[Trial]) -> Ids:
    return np.concatenate([np.empty(0, np.intp), *(each.registered for each in drawn)])


def at_default(collection: Collection, name: RecognizerName) -> Iterator[Line]:
    """Strangers let in and registered people turned away by the door's own thresholds, fitted on
    one half of the people and tested on strangers of the other, and the other way round.

    The gallery is drawn from the tested half as far as enough strangers remain in it, and filled up
    from the other: the fitting saw no stranger. Gives nothing where a half has too few pairs to fit
    anything.
    """
    people = int(collection.person.max()) + 1
    halves = _halves(collection)
    if not all(pairs_of(part(collection, half), name).are_enough for half, _ in halves):
        return
    rates = [rates_of(part(collection, fitted), name, "one half") for fitted, _ in halves]
    for size in GALLERIES:
        for templates, probes in DOOR_SETS:
            drawn = [
                list(_default_trials(collection, name, size, (templates, probes), half))
                for half in halves
            ]
            flat = [trial for each in drawn for trial in each]
            few = len(np.unique(_all_registered(flat))) < REGISTERED_AT_LEAST
            if not all(drawn) or (templates > 1 and few):
                continue
            houses = [
                (known, likeness_of(trial.enrolled, known))
                for known, each in zip(rates, drawn, strict=True)
                for trial in each
            ]
            count = size * templates
            for asked in FALSE_ACCEPT:
                limits = [door_limit(asked, name, known, count, alike) for known, alike in houses]
                about = {
                    "false_accept": asked,
                    "people": size,
                    "templates": templates,
                    "probes": probes,
                }
                found = figure(people, taken_for_somebody(flat, limits))
                yield Line("strangers_at_default", name, about, found)
                found = figure(people, turned_away(flat, limits))
                yield Line("turned_away_at_default", name, about, found)


def door_limit(
    asked: float, name: RecognizerName, rates: ErrorRates, templates: int, alike: Likeness | None
) -> float:
    """The distance that the door would take for so many templates, of people so alike."""
    each = comparison_risk(Risk(asked), rates, templates)
    return threshold_at(each, name, rates, templates, likeness=alike).distance


def _default_trials(
    collection: Collection,
    name: RecognizerName,
    size: int,
    pictures: tuple[int, int],
    half: tuple[np.ndarray, np.ndarray],
) -> Iterator[Trial]:
    counts = np.bincount(collection.person)
    tested = half[1]
    able = [people[counts[people] >= pictures[0]] for people in half]
    random = np.random.default_rng(SEED)
    from_tested = min(size, max(0, len(tested) - STRANGERS_AT_LEAST))
    for _ in range(DRAWS_A_FOLD):
        own = random.permutation(able[1])[:from_tested]
        filled = random.permutation(able[0])[: size - len(own)]
        gallery = np.concatenate([own, filled])
        yield from trials(
            collection, name, size, *pictures, draws=1, gallery_from=gallery, strangers_from=tested
        )


def _halves(collection: Collection) -> list[tuple[np.ndarray, np.ndarray]]:
    everybody = np.random.default_rng(SEED).permutation(np.unique(collection.person))
    one, other = np.array_split(everybody, FOLDS)
    return [(one, other), (other, one)]
