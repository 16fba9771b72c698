"""A camera's own last layer, fitted on a sitting before it and proven on people who were left out.

A sitting is people before the camera, and prints, phones and tablets that show them there. Frames
of one presentation err alike, so all frames of a person are left out together, one person at a
time.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from ostiary.decision.presentation import Rate, share
from ostiary.decision.probe import Probe, distance, fused
from ostiary.errors import CalibrationRefused, SittingIncomplete, SittingMixed
from ostiary.messages.calibration import CalibrationRecord
from ostiary.messages.words import RecognizerName
from ostiary.vision.arrays import Descriptor, FloatArray
from ostiary.vision.last_layer import VETO, Direction, LastLayer, fit
from ostiary.vision.recognizer import ErrorRates

LIVE = "live"
LEAST_PEOPLE, LEAST_KINDS, LEAST_PRESENTATIONS, LEAST_FRAMES = 4, 2, 3, 10
PEOPLE_PASS = 0.97
"""This share of left-out people's frames passes, before a left-out attack's frame is considered."""
PEOPLE_CALLED = 0.005
"""At most this share of left-out people's frames is called an attack."""
SURER = 3.0
"""The layer is `sure` from this many times the odds of the left-out attack that looked most
alive."""
LEAST_APART = 1.0
"""Least difference of the log odds between a frame that is called an attack and one that passes."""
ONE_PERSON, TWO_PEOPLE = 1e-5, 1e-3
"""Shares of pairs of strangers. Two names are of one person where their looks are nearer than all
but the first share; one name is of two people where its looks are farther apart than the second."""

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Presentation:
    """One person, or an attack that shows them, before the camera for a while.

    `kind` is LIVE or the attack's name. `features` (n, 512) and `scores` (n,), the P(live) of the
    networks themselves, are of the good frames. `look` is the face by `recognizer`, (128,), of
    people only.
    """

    kind: str
    person: str
    features: FloatArray
    scores: FloatArray
    look: Descriptor | None = None
    recognizer: RecognizerName | None = None


@dataclass(frozen=True, slots=True)
class Proof:
    """The share of a kind's left-out presentations that were judged wrongly, by the networks
    themselves and by the layer: people not live by most frames, attacks live by most frames."""

    kind: str
    default: Rate
    calibrated: Rate


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """A camera's last layer, on how many people it was proven, and the outcome."""

    layer: LastLayer
    people: int
    proofs: tuple[Proof, ...]


@dataclass(frozen=True, slots=True, eq=False)
class CalibratedCamera:
    """A last layer in force, and what is stored beside it."""

    layer: LastLayer
    record: CalibrationRecord


def calibrated(
    sitting: Sequence[Presentation],
    rates: Mapping[RecognizerName, ErrorRates],
    live_threshold: float,
    attack_threshold: float,
) -> Calibration:
    """The last layer of the camera of this sitting, for these thresholds of P(live).

    `rates` are those of the recognisers of the looks. Raises SittingIncomplete, SittingMixed, and
    CalibrationRefused where it is not better than the networks themselves.
    """
    sitting = [each for each in sitting if len(each.scores)]
    _check_complete(sitting)
    _check_people(sitting, rates)
    frames = _Frames.of(sitting)
    left_out = np.zeros(len(frames.live))
    for person in sorted(set(frames.person)):
        others = frames.person != person
        left_out[~others] = frames.fitted(others).along(frames.features[~others])
    attacks = left_out[~frames.live & (frames.scores > VETO)]
    people = left_out[frames.live]
    highest = float(attacks.max(initial=-np.inf))
    # At 0 people and attacks are as likely; higher only as far as attacks ask and people bear it.
    passes = max(0.0, min(float(np.quantile(people, 1 - PEOPLE_PASS)), highest))
    called = min(float(np.quantile(people, PEOPLE_CALLED)), passes - LEAST_APART)
    default = frames.scores >= live_threshold
    proofs = _proofs(frames, default, (left_out >= passes) & (frames.scores > VETO))
    layer = frames.fitted(np.ones(len(left_out), np.bool_)).layer(
        (called, attack_threshold), (passes, live_threshold), max(passes, highest), SURER
    )
    return Calibration(layer, len(set(frames.person[frames.live])), proofs)


@dataclass(frozen=True, slots=True, eq=False)
class _Frames:
    """All frames of a sitting, (n, …) each; `number` is the presentation's."""

    features: FloatArray
    scores: FloatArray
    live: Mask
    kind: NDArray[np.str_]
    person: NDArray[np.str_]
    number: NDArray[np.intp]

    @classmethod
    def of(cls, sitting: Sequence[Presentation]) -> "_Frames":
        lengths = [len(each.scores) for each in sitting]
        kind = np.repeat([each.kind for each in sitting], lengths)
        return cls(
            np.concatenate([each.features for each in sitting]),
            np.concatenate([each.scores for each in sitting]),
            np.asarray(kind == LIVE),
            kind,
            np.repeat([each.person for each in sitting], lengths),
            np.repeat(np.arange(len(sitting)), lengths),
        )

    def fitted(self, chosen: Mask) -> Direction:
        """The direction fitted on the `chosen` frames. People and attacks count alike, and so do
        the kinds of attack, and all persons within a kind."""
        counts = np.zeros(len(chosen))
        kinds = sorted(set(self.kind[chosen]))
        for kind in kinds:
            of_kind = chosen & (self.kind == kind)
            people = sorted(set(self.person[of_kind]))
            share_of_kind = 0.5 if kind == LIVE else 0.5 / (len(kinds) - 1)
            for person in people:
                theirs = of_kind & (self.person == person)
                counts[theirs] = share_of_kind / len(people) / theirs.sum()
        return fit(self.features[chosen], self.live[chosen], counts[chosen])


def _proofs(frames: _Frames, default: Mask, by_layer: Mask) -> tuple[Proof, ...]:
    """The proofs of a layer that judges fewer frames wrongly, averaged over the kinds, and errs on
    no kind with more than one person more. Raises CalibrationRefused, with the figures,
    otherwise."""
    proofs, worse, gains = [], [], []
    for kind in [LIVE, *sorted(set(frames.kind) - {LIVE})]:
        of_kind = frames.kind == kind
        wrong = [_wrong(frames, of_kind, passed) for passed in (default, by_layer)]
        proofs.append(Proof(kind, *(share(sum(each.values()), len(each)) for each in wrong)))
        people = [len({person for (person, _), bad in each.items() if bad}) for each in wrong]
        if people[1] > people[0] + 1:
            worse.append(kind)
        is_wrong = [(passed != frames.live)[of_kind].mean() for passed in (default, by_layer)]
        gains.append(float(is_wrong[0] - is_wrong[1]))
    if worse or np.mean(gains) <= 0:
        why = f"worse on {', '.join(worse)}" if worse else "no better"
        raise CalibrationRefused(
            f"On people who were left out, one by one, it is {why} than the networks themselves "
            f"({told(proofs)}), and it is not used. Sit again with more people, in the light of "
            "the door, and with every kind of attack; further sittings are joined."
        )
    return tuple(proofs)


def _wrong(frames: _Frames, of_kind: Mask, passed: Mask) -> dict[tuple[str, int], bool]:
    """Whether each presentation of a kind, by person and number, was judged wrongly by most of its
    frames."""
    found = {}
    for number in sorted(set(frames.number[of_kind])):
        theirs = frames.number == number
        mostly = bool(passed[theirs].mean() > 0.5)
        found[str(frames.person[theirs][0]), int(number)] = mostly != bool(frames.live[theirs][0])
    return found


def told(proofs: Iterable[Proof]) -> str:
    """The figures in words: how many presentations of each kind were judged wrongly."""
    return "; ".join(
        f"{'people turned away' if each.kind == LIVE else f'{each.kind} let through'} "
        f"{round(each.calibrated.value * each.calibrated.of)} of {each.calibrated.of}, by default "
        f"{round(each.default.value * each.default.of)}"
        for each in proofs
    )


def missing(sitting: Sequence[Presentation]) -> tuple[str, ...]:
    """What a sitting lacks before a last layer can be fitted and proven; empty where it is
    whole."""
    frames: dict[str, int] = {}
    for each in sitting:
        if each.kind == LIVE:
            frames[each.person] = frames.get(each.person, 0) + len(each.scores)
    enough = [person for person, count in frames.items() if count >= LEAST_FRAMES]
    kinds: dict[str, list[str]] = {}
    for each in sitting:
        if each.kind != LIVE and len(each.scores):
            kinds.setdefault(each.kind, []).append(each.person)
    found = []
    if len(enough) < LEAST_PEOPLE:
        found.append(
            f"{len(enough)} people with {LEAST_FRAMES} good frames or more; {LEAST_PEOPLE} needed"
        )
    if len(kinds) < LEAST_KINDS:
        named = f" ({', '.join(kinds)})" if kinds else ""
        found.append(f"{len(kinds)} kinds of attack{named}; {LEAST_KINDS} needed, better three")
    for kind, people in sorted(kinds.items()):
        if len(people) < LEAST_PRESENTATIONS or len(set(people)) < 2:
            found.append(
                f"{kind}: {len(people)} presentations of {len(set(people))} people with a good "
                f"face; {LEAST_PRESENTATIONS} of two or more needed"
            )
    return tuple(found)


def _check_complete(sitting: Sequence[Presentation]) -> None:
    if lacking := missing(sitting):
        raise SittingIncomplete(f"The sitting is not enough to calibrate: {'. '.join(lacking)}.")


def _check_people(
    sitting: Sequence[Presentation], rates: Mapping[RecognizerName, ErrorRates]
) -> None:
    """Raise SittingMixed where one person has two names, or two people have one: a person who is
    left out must not be there under another name."""
    looks = [each for each in sitting if each.look is not None and each.recognizer in rates]
    for one, other in combinations(looks, 2):
        name = one.recognizer
        if name is None or name != other.recognizer:
            continue
        apart = distance(_probe(one, name), _probe(other, name), name)
        assert apart is not None
        if one.person != other.person and apart <= rates[name].distance_for(ONE_PERSON):
            raise SittingMixed(
                f"{one.person} and {other.person} are one person, or clips of them are mixed up. "
                "Give everybody one name, the same in all sittings."
            )
        if one.person == other.person and apart > rates[name].distance_for(TWO_PEOPLE):
            raise SittingMixed(
                f"What is called {one.person} shows different people. Give everybody a name of "
                "their own."
            )


def _probe(presentation: Presentation, name: RecognizerName) -> Probe:
    assert presentation.look is not None
    return Probe({name: presentation.look})


def mean_look(looks: Sequence[Descriptor], name: RecognizerName) -> Descriptor:
    """Several looks at one person as one, (128,) float32."""
    return fused([Probe({name: each}) for each in looks]).descriptors[name]
