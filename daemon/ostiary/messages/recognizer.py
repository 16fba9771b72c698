"""The recognisers' names: in the settings, in every stored template and in every event."""

from typing import Literal, get_args

RecognizerName = Literal["sface", "dlib"]
"""Names a network with its weights and its alignment. Other weights, another name."""

RECOGNIZERS: tuple[RecognizerName, ...] = get_args(RecognizerName)
"""All that this version knows."""

UNIT_LENGTH: frozenset[RecognizerName] = frozenset({"sface"})
"""Whose descriptors have length 1, so that only their direction counts."""

PROMISING: frozenset[RecognizerName] = frozenset({"sface"})
"""Whose risk was tested on groups of people (docs/accuracy.md). dlib's is 70 to 170 times as large
as said for East Asian adults."""

NO_PROMISE = "dlib promises no risk: for some groups of people it is a hundred times as large"
"""Said wherever a risk of one that is not promising is shown."""
