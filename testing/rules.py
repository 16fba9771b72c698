"""The rules of doors in tests that are about something else than movement."""

from typing import Any

from ostiary.decision.policy import Policy

UNMOVED: dict[str, Any] = {"require_movement": False}
"""A camera's settings before which portraits are shown, which do not move as heads do."""


def policy(**named: Any) -> Policy:
    """The default rules, with those named over them, for faces that stand still."""
    return Policy(**{**UNMOVED, **named})
