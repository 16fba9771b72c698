"""Simulates presentation attacks: a portrait on a phone's screen, and one printed on paper.

They show what the door does with an attack. They do not measure how well it resists real ones.
"""

from collections.abc import Iterator

import cv2
import numpy as np

from demo import room
from demo.portraits import Portrait
from demo.room import Mask
from ostiary.vision.arrays import BGRImage

PHONE = (236, 470)
SCREEN = (216, 410)
PRINT = (300, 380)
PRINT_BORDER = 16


def on_a_phone(portrait: Portrait) -> tuple[BGRImage, Mask]:
    """A phone in a dark case that shows the portrait: bluish, backlit, with fine moiré."""
    picture = portrait.around_head(2.2, SCREEN).astype(np.float32) / 255
    picture = picture**0.7 * np.array([1.0, 0.97, 0.92], dtype=np.float32)
    down, right = np.mgrid[0 : SCREEN[1], 0 : SCREEN[0]].astype(np.float32)
    moire = np.sin(2 * np.pi * (right / 2.7 + down / 9)) + np.sin(2 * np.pi * down / 3.3)
    picture = cv2.GaussianBlur(picture * 255 + 7 * moire[..., np.newaxis], (0, 0), 0.7)

    body = np.full((PHONE[1], PHONE[0], 3), 22, dtype=np.uint8)
    left, top = (PHONE[0] - SCREEN[0]) // 2, (PHONE[1] - SCREEN[1]) // 2
    body[top : top + SCREEN[1], left : left + SCREEN[0]] = np.clip(picture, 0, 255)
    cv2.circle(body, (PHONE[0] // 2, top // 2), 4, (60, 50, 45), -1)
    return body, _rounded(PHONE, 26)


def on_paper(portrait: Portrait) -> tuple[BGRImage, Mask]:
    """A print with a white border: soft, flat, and nothing in it is really black."""
    inside = (PRINT[0] - 2 * PRINT_BORDER, PRINT[1] - 2 * PRINT_BORDER)
    picture = cv2.GaussianBlur(portrait.around_head(2.0, inside), (0, 0), 1.6)
    flat = 60 + 0.65 * picture.astype(np.float32)
    paper = np.full((PRINT[1], PRINT[0], 3), (232, 238, 240), dtype=np.uint8)
    paper[PRINT_BORDER:-PRINT_BORDER, PRINT_BORDER:-PRINT_BORDER] = np.clip(flat, 0, 255)
    return paper, _rounded(PRINT, 2)


def _rounded(size: tuple[int, int], radius: int) -> Mask:
    """A solid rectangle of `size` (width, height) with round corners."""
    mask = np.zeros((size[1], size[0]), dtype=np.float32)
    for corner in [(radius, 0), (0, radius)]:
        opposite = (size[0] - 1 - corner[0], size[1] - 1 - corner[1])
        cv2.rectangle(mask, corner, opposite, 1.0, -1)
    for x in (radius, size[0] - 1 - radius):
        for y in (radius, size[1] - 1 - radius):
            cv2.circle(mask, (x, y), radius, 1.0, -1)
    return mask


def held_up(thing: BGRImage, mask: Mask, frames: int, degrees: float) -> Iterator[BGRImage]:
    """`thing` held into the room, turned by `degrees`, by a hand that is not quite still."""
    for turn in np.linspace(0.0, 2 * np.pi, frames):
        sideways, updown = float(np.sin(turn)), float(np.cos(turn))
        centre = (room.WIDTH * 0.5 + 12 * sideways, room.HEIGHT * 0.47 + 6 * updown)
        yield room.hold_up(thing, mask, centre, degrees + 1.5 * sideways)
