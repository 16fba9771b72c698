"""What a comparison of an exported model with its original found."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Report:
    """The outcome of `verify` for one file.

    `max_abs_diff` is the largest absolute difference over all `crops`, in the unit of the model's
    output (logits, descriptor values, grey levels, pixels); `limit` is the largest one allowed.
    `differing_decisions` counts the crops on which the two would decide differently.
    """

    name: str
    crops: int
    max_abs_diff: float
    limit: float
    differing_decisions: int

    @property
    def passed(self) -> bool:
        """Whether the exported model may ship. A NaN difference does not pass."""
        return self.max_abs_diff <= self.limit and self.differing_decisions == 0
