"""The rules of doors in tests that are about something else than movement or time."""

from typing import Any

from ostiary.decision.policy import Policy
from testing.waiting import PATIENCE_S

UNMOVED: dict[str, Any] = {"require_movement": False}
"""A camera's settings before which portraits are shown, which do not move as heads do."""

PATIENT = Policy(decide_within_s=PATIENCE_S, forget_after_s=10.0)
"""For a slow machine, which sees too few frames in five seconds, and none for more than one."""


def policy(**named: Any) -> Policy:
    """The default rules, with those named over them, for faces that stand still."""
    return Policy(**{**UNMOVED, **named})
