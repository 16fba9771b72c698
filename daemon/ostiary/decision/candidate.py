"""The person whom a face is nearest to."""

from dataclasses import dataclass

from ostiary.messages.words import RecognizerName


@dataclass(frozen=True, slots=True)
class Candidate:
    """The nearest registered person.

    `distance` is Euclidean, 0 or more, between descriptors of `recognizer`; `threshold` is the
    largest that was near enough when it was looked up. `ambiguous`: somebody else is as good as
    equally near, and near enough.
    """

    username: str
    distance: float
    threshold: float
    recognizer: RecognizerName
    ambiguous: bool = False

    @property
    def is_near(self) -> bool:
        """Whether this is taken for the same person."""
        return self.distance <= self.threshold and not self.ambiguous
