"""Confidence intervals by drawing people, not pictures: a difficult person is difficult in every
picture."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ostiary_export.evaluate.identification import Trial
from ostiary_export.evaluate.pairs import Pairs

REPLICATES = 200
LEVEL = 0.95
SEED = 1979

Weights = NDArray[np.float64]
Statistic = Callable[[Weights], float]
"""A figure for people who count so often: (number of people,)."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A measured rate and the interval that holds it with 95 % confidence."""

    value: float
    low: float
    high: float


def figure(people: int, statistic: Statistic) -> Figure:
    """The figure for everybody once, and its percentile interval over people drawn anew with
    replacement (Efron, "Bootstrap methods: another look at the jackknife", 1979)."""
    random = np.random.default_rng(SEED)
    drawn = [
        statistic(np.bincount(random.integers(0, people, people), minlength=people).astype(float))
        for _ in range(REPLICATES)
    ]
    known = [each for each in drawn if not np.isnan(each)]
    edge = (1 - LEVEL) / 2
    low, high = np.quantile(known, (edge, 1 - edge)) if known else (np.nan, np.nan)
    value = statistic(np.ones(people))
    return Figure(value, min(float(low), value), max(float(high), value))


def share_over_draws(wrong: NDArray[np.bool_], there: NDArray[np.bool_]) -> Figure:
    """The mean over draws of the share of people who are `wrong`, (draws, people), of those who are
    `there`, with its interval over people drawn anew."""
    people = wrong.shape[1]
    random = np.random.default_rng(SEED)
    weights = random.multinomial(people, np.full(people, 1 / people), REPLICATES).astype(float)
    counted = np.concatenate([np.ones((1, people)), weights])
    whole = counted @ there.T.astype(float)
    part = counted @ (wrong & there).T.astype(float)
    shares = np.where(whole > 0, part / np.maximum(whole, 1), 0.0).mean(axis=1)
    edge = (1 - LEVEL) / 2
    low, high = np.quantile(shares[1:], (edge, 1 - edge))
    value = float(shares[0])
    return Figure(value, min(float(low), value), max(float(high), value))


def accepted(pairs: Pairs, distance: float) -> Statistic:
    """True accept rate: the share of one person's pairs within a distance."""
    return lambda weights: _share(pairs.genuine <= distance, weights[pairs.genuine_of])


def taken_for_somebody(trials: Sequence[Trial], limits: Sequence[float]) -> Statistic:
    """FPIR, each gallery at its own distance."""
    return lambda weights: _mean(
        [
            _share(trial.stranger_distance <= limit, weights[trial.stranger])
            for trial, limit in zip(trials, limits, strict=True)
        ]
    )


def turned_away(trials: Sequence[Trial], limits: Sequence[float]) -> Statistic:
    """FNIR, each gallery at its own distance."""
    return lambda weights: _mean(
        [
            _share(trial.own_distance > limit, weights[trial.registered])
            for trial, limit in zip(trials, limits, strict=True)
        ]
    )


def turned_away_at_fpir(trials: Sequence[Trial], fpir: float) -> Statistic:
    """FNIR where each gallery's threshold lets just that share of its strangers in."""
    orders = [np.argsort(each.stranger_distance, kind="stable") for each in trials]

    def statistic(weights: Weights) -> float:
        shares = []
        for each, order in zip(trials, orders, strict=True):
            counted = np.cumsum(weights[each.stranger[order]])
            allowed = int(np.searchsorted(counted, fpir * counted[-1], "right"))
            limit = each.stranger_distance[order[allowed]] if allowed < len(order) else np.inf
            # Nearer than the first stranger who must stay outside.
            shares.append(_share(each.own_distance >= limit, weights[each.registered]))
        return _mean(shares)

    return statistic


def _share(wrong: NDArray[np.bool_], weights: Weights) -> float:
    total = weights.sum()
    return float((weights * wrong).sum() / total) if total else float("nan")


def _mean(shares: Sequence[float]) -> float:
    known = [each for each in shares if not np.isnan(each)]
    return float(np.mean(known)) if known else float("nan")
