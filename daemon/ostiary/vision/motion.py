"""The motion gate: whether a frame is worth searching for faces.

A frame is reduced to 80×60 grey cells and compared with a slowly following background. Each row
of the background is first brought to the brightness of the frame's row, so that neither a lamp's
flicker nor the bands it leaves in a rolling shutter count as motion, and the threshold follows
the camera's own noise.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from ostiary.vision.arrays import BGRImage, FloatArray

COLUMNS, ROWS = 80, 60
FOLLOW_S = 3.0
"""Time constant of the background: what stands still fades into it."""
NOISES = 6.0
"""A cell has changed when it differs by so many standard deviations of the noise…"""
LEAST_CHANGE = 4.0
"""…and by at least so many grey levels (of 255)."""
FIRST_NOISE, MOST_NOISE = 2.0, 4.0
"""Standard deviation of a cell in grey levels, before it is known and at the most."""
LEAST_CELLS = 16
"""Changed cells that make a motion: 0.33 % of the picture. A face of 80 pixels covers 130."""
HOLD_S = 1.0
"""How long after the last motion frames are still let through."""
LOOK_EVERY_S = 2.0
"""One frame in so long is let through also without motion, for what moves too slowly to count."""


@dataclass(frozen=True, slots=True, eq=False)
class Motion:
    """What the gate remembers; times are monotonic seconds.

    `background` is (60, 80) float32 grey levels, `noise` their standard deviation.
    """

    background: FloatArray
    noise: float
    at: float
    moved_at: float
    passed_at: float


def step(state: Motion | None, bgr: BGRImage, now: float) -> tuple[Motion, bool]:
    """The next state, and whether to search this frame for faces. The first counts as motion."""
    cells = _cells(bgr)
    if state is None:
        return Motion(cells, FIRST_NOISE, now, now, now), True
    gain = _median((cells + 1) / (state.background + 1))
    change = cells - gain * state.background
    changed = np.abs(change) > max(LEAST_CHANGE, NOISES * state.noise)
    moved = _blob_size(changed) >= LEAST_CELLS
    moved_at = now if moved else state.moved_at
    passes = now - moved_at <= HOLD_S or now - state.passed_at >= LOOK_EVERY_S

    follow = 1.0 - float(np.exp(-max(0.0, now - state.at) / FOLLOW_S))
    background = state.background + np.float32(follow) * (cells - state.background)
    # The median absolute deviation of a normal distribution is 0.6745 standard deviations. What
    # moves covers less than half of the cells as a rule, and where it does not, the cap holds.
    spread = _median(np.abs(change).ravel()).item() / 0.6745
    noise = state.noise + follow * (min(spread, MOST_NOISE) - state.noise)
    return Motion(background, noise, now, moved_at, now if passes else state.passed_at), passes


def _cells(bgr: BGRImage) -> FloatArray:
    # A quarter of the rows is enough to average the noise away, and costs a quarter.
    stride = max(1, bgr.shape[0] // (2 * ROWS))
    small = cv2.resize(bgr[::stride], (COLUMNS, ROWS), interpolation=cv2.INTER_AREA)
    return cv2.cvtColor(small, cv2.COLOR_BGR2GRAY).astype(np.float32)


def _median(values: FloatArray) -> FloatArray:
    """Along the last axis, (…, 1). NumPy sorts a few thousand floats with the processor's widest
    instructions, in a quarter of the time that its own median takes."""
    middle = values.shape[-1] // 2
    both = np.sort(values, axis=-1)[..., middle - 1 : middle + 1]
    return np.asarray(both.mean(axis=-1, keepdims=True))


def _blob_size(changed: np.ndarray) -> int:
    """Changed cells most of whose 3×3 neighbours changed too: single noisy cells fall out."""
    return int(np.count_nonzero(cv2.medianBlur(changed.astype(np.uint8), 3)))
