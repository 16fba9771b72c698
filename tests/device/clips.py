"""What is shown to a machine's camera."""

from pathlib import Path

from demo.scenes import visitors


def jpegs(portraits: Path) -> bytes:
    """Somebody who is registered, stepping up, as the JPEG files of a USB camera."""
    return b"".join(visitors(portraits)[0].frames)
