"""From the risk that a house takes to the distance that is near enough.

One stranger is compared with every template. If one comparison errs with the false match rate p
(ISO/IEC 19795-1), and the N comparisons were independent, the stranger is taken for somebody with
the probability 1 - (1 - p)^N. They are not quite independent: a face that is near one template of a
person is near the others, too. So this is an upper bound. A visit is judged by several looks at
once, which match strangers more often than one look by a measured factor. People of one house may
resemble each other more than those measured; `likeness.py` measures by how much, and the distance
is made smaller by that.
"""

import math
from dataclasses import dataclass

from ostiary.decision.likeness import Likeness, at_this_site
from ostiary.messages.state import SiteScale
from ostiary.messages.words import PROMISING, RecognizerName
from ostiary.settings import AccessSettings
from ostiary.vision.recognizer import ErrorRates

MOSTLY_TURNED_AWAY = 0.5
NOTICEABLE = 1.05
"""From this factor on it is told that people here are more alike."""


@dataclass(frozen=True, slots=True)
class Risk:
    """The risk that the house takes: the probability that one stranger is taken for anybody, or,
    where `distance` is set, a distance with the risk that follows from it."""

    false_accept: float = 0.001
    distance: float | None = None


def risk_of(access: AccessSettings) -> Risk:
    """The risk that the settings ask for."""
    return Risk(access.false_accept, access.distance_threshold)


@dataclass(frozen=True, slots=True)
class Threshold:
    """The distance in force for one recogniser and the templates that are registered now.

    `reference` is the distance for people who resemble each other no more than those measured, and
    `alike` how many times as near to each other these are (1: no more). `false_match`: its rate for
    one comparison, with several looks. `false_accept`: the chance that one stranger is taken for
    anybody. `false_non_match`: the share of single pictures of registered people that are farther
    from their template; `reference_non_match`: at `reference`. `carried`: whether the measured
    pairs show rates so small, or the distance is extrapolated.
    """

    recognizer: RecognizerName
    distance: float
    false_match: float
    false_accept: float
    false_non_match: float
    carried: bool
    reference: float
    reference_non_match: float
    alike: float = 1.0

    @property
    def is_promised(self) -> bool:
        """Whether the risk also holds for people other than those measured."""
        return self.recognizer in PROMISING

    @property
    def scale(self) -> SiteScale | None:
        """What is told of the likeness; None where people are hardly more alike than those
        measured."""
        if self.alike < NOTICEABLE:
            return None
        return SiteScale(
            reference=self.reference,
            alike=self.alike,
            turned_away=self.false_non_match,
            turned_away_at_reference=self.reference_non_match,
        )

    @property
    def turns_most_away(self) -> bool:
        """Whether most people are turned away with one template and one look."""
        return self.false_non_match > MOSTLY_TURNED_AWAY


def comparison_risk(risk: Risk, rates: ErrorRates, templates: int) -> float:
    """The false match rate that one comparison with several looks may have, 0 to 1.

    `rates` are those of the recogniser in use, whose metric `risk.distance` is in; `templates` is
    how many a stranger is compared with.
    """
    if risk.distance is not None:
        return min(1.0, rates.several_looks * rates.false_match_at(risk.distance))
    return -math.expm1(math.log1p(-risk.false_accept) / max(1, templates))


def threshold_at(
    false_match: float,
    name: RecognizerName,
    rates: ErrorRates,
    templates: int,
    distance: float | None = None,
    likeness: Likeness | None = None,
) -> Threshold:
    """The threshold at which one comparison with several looks errs with `false_match` among people
    of this `likeness`; at `distance` where that is given."""
    one_look = false_match / rates.several_looks
    reference = rates.distance_for(one_look) if distance is None else distance
    near, alike = reference, 1.0
    if distance is None and likeness is not None and rates.mean is not None:
        near = at_this_site(reference, rates, likeness)
        if near < reference < rates.mean:
            alike = (rates.mean - near) / (rates.mean - reference)
    return Threshold(
        name,
        near,
        false_match,
        -math.expm1(max(1, templates) * math.log1p(-min(false_match, 1 - 1e-12))),
        rates.false_non_match_at(near),
        one_look >= rates.carried,
        reference,
        rates.false_non_match_at(reference),
        alike,
    )
