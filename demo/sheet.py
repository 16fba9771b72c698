"""The contact sheet: every scene once, with the face's box, the name and the verdict."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import cv2
import numpy as np

from demo.errors import DemoError
from demo.room import HEIGHT, WIDTH
from demo.verdict import Outcome, measured
from ostiary.vision.arrays import BGRImage
from ostiary.vision.detect import Detector

COLUMNS = 4
TILE = (360, 480)
CAPTION_HEIGHT = 110
GAP = 6
GREEN, RED, GREY = (80, 160, 40), (50, 50, 205), (120, 120, 120)
PAPER = 250
INK = (40, 40, 40)
FONT = cv2.FONT_HERSHEY_SIMPLEX
CAPTION_SIZE = 0.55


def write_sheet(path: Path, outcomes: Sequence[Outcome], detector: Detector) -> None:
    """Draw the outcomes as a PNG file. Raises DemoError when it cannot be written."""
    tiles = [_tile(outcome, detector) for outcome in outcomes]
    blank = np.full_like(tiles[0], PAPER)
    tiles += [blank] * (-len(tiles) % COLUMNS)
    rows = [np.hstack(tiles[start : start + COLUMNS]) for start in range(0, len(tiles), COLUMNS)]
    if not cv2.imwrite(str(path), np.vstack(rows)):
        raise DemoError(f"{path}: the contact sheet cannot be written there.")


def _tile(outcome: Outcome, detector: Detector) -> BGRImage:
    picture = outcome.scene.picture(len(outcome.scene.frames) // 2)
    event = next(iter(outcome.events), None)
    colour = GREY if event is None else GREEN if event.success else RED
    for face in detector.detect(picture):
        box = face.box
        corner = (round(box.x), round(box.y))
        opposite = (round(box.x + box.width), round(box.y + box.height))
        cv2.rectangle(picture, corner, opposite, colour, 4)
        name = (event.username if event else None) or "unknown"
        _label(picture, name, (corner[0], corner[1] - 12), colour)

    tile = np.full((TILE[1] + CAPTION_HEIGHT, TILE[0], 3), PAPER, dtype=np.uint8)
    tile[: TILE[1]] = cv2.resize(picture, TILE, interpolation=cv2.INTER_AREA)
    tile[TILE[1] : TILE[1] + 6] = colour
    verdict = "as it should be" if outcome.as_expected else f"EXPECTED {outcome.expected}"
    lines: Iterable[tuple[str, tuple[int, int, int]]] = (
        (outcome.scene.title, INK),
        (outcome.answer, colour),
        (measured(event, outcome.risk) if event else "no event", INK),
        (verdict, INK if outcome.as_expected else RED),
    )
    for number, (line, ink) in enumerate(lines):
        (width, _), _ = cv2.getTextSize(line, FONT, CAPTION_SIZE, 1)
        size = CAPTION_SIZE * min(1.0, (TILE[0] - 8) / max(width, 1))
        _write(tile, line, (4, TILE[1] + 30 + 26 * number), ink, size)
    return np.pad(tile, ((GAP, GAP), (GAP, GAP), (0, 0)), constant_values=PAPER)


def _label(picture: BGRImage, text: str, at: tuple[int, int], colour: tuple[int, int, int]) -> None:
    """White letters on a patch of `colour`, inside the picture."""
    (width, height), _ = cv2.getTextSize(text, FONT, 0.8, 2)
    x = min(max(at[0], 4), WIDTH - width - 8)
    y = min(max(at[1], height + 8), HEIGHT - 8)
    cv2.rectangle(picture, (x - 4, y - height - 6), (x + width + 4, y + 6), colour, -1)
    _write(picture, text, (x, y), (255, 255, 255), 0.8, 2)


def _write(
    picture: BGRImage,
    text: str,
    at: tuple[int, int],
    colour: tuple[int, int, int],
    size: float,
    weight: int = 1,
) -> None:
    cv2.putText(picture, text, at, FONT, size, colour, weight, cv2.LINE_AA)
