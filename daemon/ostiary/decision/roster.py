"""Who a face is among all registered people, and which distance is near enough for so many.

Templates of different recognisers are never compared: each recogniser has its gallery. The gallery
of a former recogniser has only people without a template of the one in use.
"""

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from ostiary.decision.gallery import Gallery
from ostiary.decision.likeness import LookAlikes, Resemblance, pairs_within
from ostiary.decision.probe import Candidate, Probe, distance
from ostiary.decision.risk import Risk, Threshold, comparison_risk, threshold_at
from ostiary.messages.words import RecognizerName
from ostiary.vision.arrays import Descriptor
from ostiary.vision.recognizer import ErrorRates

ONE_PERSON = 1e-3
"""Looks of one track are at most as far apart as this share of pairs of different people."""
LOOKS_DIFFER = 0.25
"""Looks worth keeping beside each other are apart by this share of that distance."""
CLEAR_MARGIN = 0.05
"""Share of the threshold by which the nearest person must be nearer than any other."""
SAFE = 0.01
"""Share of the door's risk that a match may have to earn a template."""

Describe = Callable[[RecognizerName], Descriptor]
Template = tuple[RecognizerName, Descriptor]


@dataclass(frozen=True, slots=True)
class RosterThresholds:
    """Thresholds in force, and the distances up to which a match is safe enough to make templates
    from: by the former recogniser (None without one), and by the one in use."""

    used: Threshold
    former: Threshold | None
    migration_distance: float | None
    learning_distance: float


class Roster:
    """All registered people, to be matched. Every method may be called from any thread, and none
    waits for a disk."""

    def __init__(
        self,
        used: RecognizerName,
        rates: Mapping[RecognizerName, ErrorRates],
        risk: Risk,
        people: Iterable[tuple[str, Iterable[Template]]] = (),
    ) -> None:
        """`rates` are those of the recognisers that are loaded: the one in use, and a former one
        where people are to come over from it."""
        self.used = used
        self.former = next((name for name in rates if name != used), None)
        self._rates = dict(rates)
        self._risk = risk
        self._lock = threading.RLock()
        self._galleries = {name: Gallery() for name in sorted(rates, key=lambda name: name != used)}
        self._resemblances = {name: Resemblance(each) for name, each in rates.items()}
        self._unmatched: set[str] = set()
        self._single: set[str] = set()
        self._look_alikes: LookAlikes | None = None
        for username, templates in people:
            self._put(username, templates)
        self._thresholds = self._fitted()

    @property
    def thresholds(self) -> RosterThresholds:
        """The thresholds as they are now; they follow every change of the roster."""
        return self._thresholds

    @property
    def one_person_distance(self) -> float:
        """Largest distance between two looks that may be of one person: in one track, and between a
        further template and the others."""
        return self._rates[self.used].distance_for(ONE_PERSON)

    @property
    def looks_differ_distance(self) -> float:
        """Distance below which two looks count as the same."""
        return LOOKS_DIFFER * self.one_person_distance

    @property
    def templates(self) -> int:
        """The number of templates with which a stranger is compared."""
        return sum(len(gallery) for gallery in self._galleries.values())

    def waiting(self) -> tuple[str, ...]:
        """People who are known by the former recogniser only."""
        return () if self.former is None else self._galleries[self.former].users()

    def unmatched(self) -> tuple[str, ...]:
        """People with templates of no loaded recogniser, who cannot pass."""
        with self._lock:
            return tuple(sorted(self._unmatched))

    @property
    def with_one_template(self) -> int:
        """The number of people with exactly one template of the recogniser in use."""
        return len(self._single)

    def has_one_template(self, username: str) -> bool:
        """Whether the person has exactly one template of the recogniser in use."""
        return username in self._single

    def apply(self, risk: Risk) -> None:
        """Fit the thresholds to another risk."""
        with self._lock:
            self._risk = risk
            self._changed()

    def thresholds_for(self, risk: Risk) -> RosterThresholds:
        """The thresholds of another risk with today's roster."""
        with self._lock:
            return self._fitted(risk)

    def put(self, username: str, templates: Iterable[Template]) -> None:
        """Replace a person's templates; none: the person is removed."""
        with self._lock:
            for gallery in self._galleries.values():
                gallery.remove(username)
            self._unmatched.discard(username)
            self._single.discard(username)
            kept = self._put(username, templates)
            for name in self._resemblances.keys() - kept:
                self._resemblances[name].remove(username)
            self._changed()

    def identify(self, describe: Describe, quality: float = 1.0) -> tuple[Probe, Candidate | None]:
        """The probe of a face by `describe`, and the nearest person. The former recogniser is asked
        only where the one in use finds nobody near enough and somebody is to come over."""
        probe = Probe({self.used: describe(self.used)}, quality)
        found = self.match(probe)
        if self.former is None or not len(self._galleries[self.former]):
            return probe, found
        if found is not None and found.is_near:
            return probe, found
        probe = Probe({**probe.descriptors, self.former: describe(self.former)}, quality)
        return probe, self.match(probe)

    def match(self, probe: Probe) -> Candidate | None:
        """The nearest person, near enough or not; None where nobody is registered."""
        thresholds = self._thresholds
        found = [
            self._candidate(threshold, probe)
            for threshold in (thresholds.used, thresholds.former)
            if threshold is not None
        ]
        candidates = [candidate for candidate in found if candidate is not None]
        near = [candidate for candidate in candidates if candidate.is_near]
        return next(iter(near or candidates), None)

    def near(self, probe: Probe, other_than: str | None = None) -> Candidate | None:
        """The nearest person within the threshold, other than `other_than`; None for nobody."""
        for threshold in (self._thresholds.used, self._thresholds.former):
            if threshold is None or threshold.recognizer not in probe.descriptors:
                continue
            gallery = self._galleries[threshold.recognizer]
            nearest = gallery.best_match(probe.descriptors[threshold.recognizer], 2.0)
            if nearest is not None and nearest.username == other_than:
                nearest = nearest.rival
            if nearest is not None and nearest.distance <= threshold.distance:
                return Candidate(
                    nearest.username, nearest.distance, threshold.distance, threshold.recognizer
                )
        return None

    def is_one_person(self, one: Probe, other: Probe) -> bool:
        """Whether two looks, of one track or one enrolment, may be of the same face."""
        apart = distance(one, other, self.used)
        return apart is not None and apart <= self.one_person_distance

    def look_alikes(self) -> LookAlikes:
        """Pairs of people who are nearer to each other than the threshold."""
        with self._lock:
            if self._look_alikes is None:
                names, matrix = self._galleries[self.used].snapshot()
                self._look_alikes = pairs_within(names, matrix, self._thresholds.used.distance)
            return self._look_alikes

    def _candidate(self, threshold: Threshold, probe: Probe) -> Candidate | None:
        descriptor = probe.descriptors.get(threshold.recognizer)
        if descriptor is None:
            return None
        gallery = self._galleries[threshold.recognizer]
        nearest = gallery.best_match(descriptor, CLEAR_MARGIN * threshold.distance)
        if nearest is None:
            return None
        rival = nearest.rival is not None and nearest.rival.distance <= threshold.distance
        return Candidate(
            nearest.username, nearest.distance, threshold.distance, threshold.recognizer, rival
        )

    def _put(self, username: str, templates: Iterable[Template]) -> frozenset[RecognizerName]:
        """Add a person; the recognisers of their templates."""
        by_name: dict[RecognizerName, list[Descriptor]] = {}
        for name, descriptor in templates:
            by_name.setdefault(name, []).append(descriptor)
        kept = next((name for name in self._galleries if name in by_name), None)
        if kept is not None:
            for descriptor in by_name[kept]:
                self._galleries[kept].add(username, descriptor)
        elif by_name:
            self._unmatched.add(username)
        if len(by_name.get(self.used, ())) == 1:
            self._single.add(username)
        for name in self._resemblances.keys() & by_name.keys():
            self._resemblances[name].put(username, by_name[name][0])
        return frozenset(by_name)

    def _changed(self) -> None:
        self._look_alikes = None
        self._thresholds = self._fitted()

    def _fitted(self, risk: Risk | None = None) -> RosterThresholds:
        """The thresholds of `risk` (None: the one in force). Every template is taken to err alike,
        whatever its recogniser, so that all together keep to the risk."""
        risk = risk or self._risk
        rates, count = self._rates[self.used], self.templates
        each = comparison_risk(risk, rates, count)
        alike = {name: each.measured() for name, each in self._resemblances.items()}
        used = threshold_at(each, self.used, rates, count, risk.distance, alike[self.used])
        learning = threshold_at(SAFE * each, self.used, rates, count, likeness=alike[self.used])
        if self.former is None:
            return RosterThresholds(used, None, None, learning.distance)
        old = self._rates[self.former]
        its = alike[self.former]
        former = threshold_at(each, self.former, old, count, likeness=its)
        safe = threshold_at(SAFE * each, self.former, old, count, likeness=its)
        return RosterThresholds(used, former, safe.distance, learning.distance)
