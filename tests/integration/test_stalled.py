"""A camera that freezes or goes away never lets anybody in."""

import base64
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from testing.broker import Mosquitto
from testing.daemon import BASE, DaemonProcess, write_config
from testing.ports import free_port
from testing.probe import Probe
from testing.rtsp import RtspServer

LOGIN = f"{BASE}/event/login"
STATE = f"{BASE}/state"
PICTURES = 45
PATIENT = "[access]\ndecide_within_s = 60\n"
"""A slow machine may take seconds for the frames that a decision needs."""


@pytest.fixture
def obama_in_view(tmp_path: Path, portraits: Path) -> Iterator[RtspServer]:
    """An RTSP camera before which a person stands and moves a little."""
    frames = tmp_path / "frames"
    frames.mkdir()
    portrait = cv2.imread(str(portraits / "obama2.jpg"))
    assert portrait is not None
    random = np.random.default_rng(0)
    for number in range(PICTURES):
        shift = 12 * np.sin(2 * np.pi * number / PICTURES)
        move = np.array([[1, 0, shift], [0, 1, shift / 2]], np.float32)
        moved = cv2.warpAffine(portrait, move, portrait.shape[1::-1], borderMode=cv2.BORDER_REFLECT)
        small = cv2.resize(moved, (480, 640), interpolation=cv2.INTER_AREA)
        noisy = np.clip(small + random.normal(0, 2, small.shape), 0, 255).astype(np.uint8)
        cv2.imwrite(str(frames / f"{number:05d}.jpg"), noisy)
    with RtspServer(free_port(), frames=frames) as server:
        yield server


def test_nobody_is_granted_while_the_camera_is_frozen_and_everybody_again_after(
    tmp_path: Path, models: Path, portraits: Path, obama_in_view: RtspServer
) -> None:
    image = base64.b64encode((portraits / "obama.jpg").read_bytes()).decode("ascii")
    with (
        Mosquitto(tmp_path / "broker") as broker,
        Probe(broker.port, f"{BASE}/#") as probe,
        DaemonProcess(write_config(tmp_path, broker.port, models, obama_in_view.url, PATIENT)),
    ):
        probe.first_login(BASE, "unknown_face")  # a stream may begin with a spoilt picture
        obama_in_view.freeze()
        wait_for_problem(probe, "camera_stalled", "camera_reconnecting", "camera_absent")
        told = len(probe.of(LOGIN))
        answer = probe.ask(BASE, "register", {"username": "obama", "image": image})
        assert answer["status"] == "ok"
        time.sleep(4)
        assert len(probe.of(LOGIN)) == told
        obama_in_view.thaw()
        event = probe.first_login(BASE, "granted")
    assert (event["success"], event["username"]) == (True, "obama")


def wait_for_problem(probe: Probe, *words: str) -> None:
    probe.wait(STATE)
    probe.wait_until(lambda: bool(set(words) & set(probe.of(STATE)[-1].json["problems"])))
