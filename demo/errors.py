"""What can go wrong before the door has answered anything."""

from pathlib import Path


class DemoError(Exception):
    """The demo cannot go on. The message says what was wrong and what to do."""


class PortraitMissing(DemoError):
    """A portrait that a scene is made from is not there."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"{path}: no such portrait, or not an image. "
            "`.venv/bin/ostiary-export fetch` gets it (make setup does so too)."
        )
