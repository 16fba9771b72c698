"""The figures that are told of the visits, each with its interval.

Of whole visits: how many were let in (of an attack that is the *impostor attack presentation accept
rate* of ISO/IEC 30107-3:2023), asked for a movement, denied and why. Of single pictures: APCER by
kind, BPCER, and the area under the curve of both. Non-response: visits without a face to judge.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ostiary.camera.clips import LIVE
from ostiary.decision.presentation import Rate, Scores, apcer, bpcer, share
from ostiary.settings import Settings
from ostiary_export.presentation.visits import Visit, scores_of

SPREAD = 0.1, 0.9
"""Quantiles that stand for low and high of a time."""


@dataclass(frozen=True, slots=True)
class Figure:
    """`name` of `kind`, of `rate.of` visits or pictures; `about` are further words on it."""

    name: str
    kind: str
    rate: Rate
    about: Mapping[str, str | float]

    def to_json(self) -> str:
        found = self.rate
        numbers = {key: round(getattr(found, key), 4) for key in ("value", "low", "high")}
        head = {"liveness": self.name, "kind": self.kind, **self.about}
        return json.dumps({**head, **numbers, "n": found.of})


def figures_of(visits: Sequence[Visit], settings: Settings) -> list[Figure]:
    """All figures, people first."""
    kinds = by_kind(visits)
    votes, threshold = settings.access.votes, settings.access.live_threshold
    people = kinds.get(LIVE, [])
    judged = [visit for visit in people if visit.judged >= votes]
    figures = _of_people(people, judged)
    for kind, attacks in kinds.items():
        if kind != LIVE:
            figures += _of_attacks(kind, attacks)
    live = np.array(scores_of(people))
    if len(live):
        figures.append(Figure("bpcer", LIVE, bpcer(live, threshold), {"threshold": threshold}))
    for kind, attacks in kinds.items():
        scores = np.array(scores_of(attacks))
        if kind == LIVE or not len(scores):
            continue
        about = {"threshold": threshold}
        figures.append(Figure("apcer", kind, apcer(scores, threshold), about))
        if len(live):
            figures.append(Figure("auc", kind, _area(live, scores), {}))
    return figures


def by_kind(visits: Sequence[Visit]) -> dict[str, list[Visit]]:
    """Visits by kind, people first; kinds with one first word (phone-photo, phone-video) once more
    together, by that word."""
    kinds: dict[str, list[Visit]] = {LIVE: []}
    families: dict[str, dict[str, list[Visit]]] = {}
    for visit in visits:
        kind = visit.clip.kind
        kinds.setdefault(kind, []).append(visit)
        families.setdefault(kind.split("-")[0], {}).setdefault(kind, []).append(visit)
    for family, members in families.items():
        if len(members) > 1 and family not in kinds:
            kinds[family] = [visit for each in members.values() for visit in each]
    return kinds


def _of_people(people: Sequence[Visit], judged: Sequence[Visit]) -> list[Figure]:
    unasked = [visit for visit in judged if visit.unasked]
    asked = [visit for visit in judged if visit.asked_at is not None and not visit.unasked]
    denied = [visit for visit in judged if visit not in unasked and visit not in asked]
    another = [visit for visit in people if visit.another_at is not None]
    figures = [
        _share("granted", LIVE, unasked, judged),
        _share("asked", LIVE, asked, judged),
        _share("granted_or_asked", LIVE, [*unasked, *asked], judged),
        _share("denied", LIVE, denied, judged),
        _share("granted_as_another", LIVE, another, people),
        _share("bpnrr", LIVE, [visit for visit in people if visit not in judged], people),
        *_reasons(LIVE, denied, judged),
    ]
    for name, times in (
        ("granted_after_s", [visit.granted_at for visit in unasked]),
        ("asked_after_s", [visit.asked_at for visit in asked]),
    ):
        seconds = np.array([each for each in times if each is not None])
        if len(seconds):
            low, high = np.quantile(seconds, SPREAD)
            middle = Rate(float(np.median(seconds)), float(low), float(high), len(seconds))
            figures.append(Figure(name, LIVE, middle, {}))
    return figures


def _of_attacks(kind: str, attacks: Sequence[Visit]) -> list[Figure]:
    answers = {
        answer: [visit for visit in attacks if visit.answer == answer]
        for answer in ("granted", "asked", "denied", "silent")
    }
    another = [visit for visit in attacks if visit.another_at is not None]
    return [
        *(_share(name, kind, some, attacks) for name, some in answers.items()),
        _share("granted_as_another", kind, another, attacks),
        _share("apnrr", kind, [visit for visit in attacks if not visit.scores], attacks),
        *_reasons(kind, answers["denied"], attacks),
    ]


def _reasons(kind: str, denied: Sequence[Visit], of: Sequence[Visit]) -> Iterable[Figure]:
    reasons = [str(visit.reason) for visit in denied]
    for reason in sorted(set(reasons)):
        rate = share(reasons.count(reason), len(of))
        yield Figure("denied", kind, rate, {"reason": reason})


def _share(name: str, kind: str, some: Sequence[Visit], of: Sequence[Visit]) -> Figure:
    return Figure(name, kind, share(len(some), len(of)), {})


def _area(live: Scores, attacks: Scores) -> Rate:
    """Chance that a person's picture scores above an attack's (area under the curve), with the
    interval of Hanley and McNeil ("The Meaning and Use of the Area under a ROC Curve", 1982)."""
    above = np.searchsorted(np.sort(attacks), live, side="left")
    up_to = np.searchsorted(np.sort(attacks), live, side="right")
    area = float((above + up_to).mean() / 2 / len(attacks))
    both, twice = area / (2 - area), 2 * area * area / (1 + area)
    spread = (
        area * (1 - area)
        + (len(live) - 1) * (both - area * area)
        + (len(attacks) - 1) * (twice - area * area)
    ) / (len(live) * len(attacks))
    half = 1.96 * float(np.sqrt(max(0.0, spread)))
    return Rate(area, max(0.0, area - half), min(1.0, area + half), len(live) + len(attacks))
