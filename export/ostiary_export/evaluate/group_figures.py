"""Strangers let in within a group of people and between groups, at the door's own threshold."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ostiary.decision.likeness import Likeness, likeness_of
from ostiary.messages.words import RecognizerName
from ostiary.vision.recognizer import ErrorRates
from ostiary_export.evaluate.bootstrap import Figure, share_over_draws
from ostiary_export.evaluate.faces import Ids
from ostiary_export.evaluate.figures import Line, door_limit
from ostiary_export.evaluate.group_faces import Groups, group_of
from ostiary_export.evaluate.pairs import distances

FALSE_ACCEPT = 0.001
PEOPLE = (10, 100, 500)
DRAWS = 60
STRANGERS_AT_LEAST = 30
SEED = 24


@dataclass(frozen=True, slots=True, eq=False)
class _Gallery:
    """The registered people, (people,), and the threshold, with site scale and without."""

    rows: Ids
    limit: dict[bool, float]


def by_group(groups: Groups, name: RecognizerName, rates: ErrorRates) -> Iterator[Line]:
    """For each folder and size of gallery, with site scale and without: strangers of the same
    folder, of every other folder of its group, and of every folder of another group. One look, one
    template. A gallery larger than its folder is filled up from the group's other folders; one that
    leaves fewer than 30 strangers is left out."""
    apart = distances(groups.descriptors, groups.descriptors)
    for folder in groups.names:
        for people in PEOPLE:
            drawn = list(_galleries(groups, folder, people, name, rates))
            if not drawn:
                continue
            near = [apart[:, each.rows].min(axis=1) for each in drawn]
            outside = [~np.isin(np.arange(len(apart)), each.rows) for each in drawn]
            for scaled in (False, True):
                about: dict[str, str | float] = {
                    "group": folder,
                    "people": people,
                    "site_scale": scaled,
                }
                limits = np.array([each.limit[scaled] for each in drawn])
                yield Line("distance_by_group", name, about, _middle(limits))
                wrong = np.stack(near) <= limits[:, np.newaxis]
                there = np.stack(outside)
                for other in groups.names:
                    own = groups.of(other)
                    if there[:, own].sum(axis=1).min() < STRANGERS_AT_LEAST:
                        continue
                    found = share_over_draws(wrong[:, own], there[:, own])
                    also = {} if other == folder else {"strangers": other}
                    yield Line(_kind(folder, other), name, {**about, **also}, found)


def _galleries(
    groups: Groups, folder: str, people: int, name: RecognizerName, rates: ErrorRates
) -> Iterator[_Gallery]:
    own = groups.of(folder)
    others = [each for each in groups.names if each != folder]
    family = [groups.of(each) for each in others if group_of(each) == group_of(folder)]
    from_own = min(people, len(own) - STRANGERS_AT_LEAST)
    rest = np.concatenate([np.empty(0, np.intp), *family])
    if from_own <= 0 or from_own + len(rest) < people:
        return
    random = np.random.default_rng(SEED)
    for _ in range(DRAWS):
        rows = np.concatenate(
            [random.permutation(own)[:from_own], random.permutation(rest)[: people - from_own]]
        )
        alike = likeness_of(groups.descriptors[rows], rates)
        yield _Gallery(rows, _limits(name, rates, people, alike))


def _limits(
    name: RecognizerName, rates: ErrorRates, people: int, alike: Likeness
) -> dict[bool, float]:
    return {
        scaled: door_limit(FALSE_ACCEPT, name, rates, people, alike if scaled else None)
        for scaled in (False, True)
    }


def _kind(folder: str, strangers: str) -> str:
    if folder == strangers:
        return "strangers_by_group"
    if group_of(folder) == group_of(strangers):
        return "strangers_from_another_folder"
    return "strangers_between_groups"


def _middle(limits: NDArray[np.float64]) -> Figure:
    """The mean over galleries, and where 95 % of them lie."""
    low, high = np.quantile(limits, (0.025, 0.975))
    return Figure(float(limits.mean()), float(low), float(high))
