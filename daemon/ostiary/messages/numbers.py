"""Numbers as people read them: without digits that say nothing."""

from functools import partial
from typing import Annotated

from pydantic import AfterValidator


def _significant(value: float) -> float:
    return float(f"{value:.3g}")


Tenths = Annotated[float, AfterValidator(partial(round, ndigits=1))]
Thousandths = Annotated[float, AfterValidator(partial(round, ndigits=3))]
Millionths = Annotated[float, AfterValidator(partial(round, ndigits=6))]
Significant = Annotated[float, AfterValidator(_significant)]
"""Three digits, however small it is."""
