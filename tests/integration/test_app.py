"""A whole door in this process: what is left of it once it has ended."""

import gc
import threading
import weakref
from pathlib import Path

import requests

from ostiary.app.app import App
from ostiary.service.systemd import Notifier
from ostiary.settings import CameraSettings, Settings
from ostiary.vision.engine import VisionEngine
from testing.console import console_settings
from testing.ports import free_port
from testing.recognizing import written
from testing.rules import UNMOVED
from testing.waiting import PATIENCE_S, wait_until


def settings_of(folder: Path, portraits: Path) -> Settings:
    camera = written(folder / "camera", [(portraits / "obama.jpg").read_bytes()])
    settings = console_settings(
        folder, mqtt={"port": free_port()}, commands={"socket": folder / "commands.sock"}
    )
    front = CameraSettings(source=str(camera), loop=True, **UNMOVED)
    return settings.model_copy(update={"cameras": (front,)})


def living(app: App) -> list[weakref.ref[object]]:
    """Ends of what is large, and of what leads to it."""
    core, pipeline = app.core, app._pipeline
    large = (app, pipeline, *pipeline.recognitions, core.people, core.rules, app._building)
    return [weakref.ref(each) for each in large]


def alive(ends: list[weakref.ref[object]]) -> list[object]:
    gc.collect()
    return [each for end in ends if (each := end()) is not None]


def test_nothing_of_a_door_that_has_ended_is_kept(
    tmp_path: Path, engine: VisionEngine, portraits: Path
) -> None:
    """FastAPI keeps every endpoint for the life of the process."""
    settings = settings_of(tmp_path, portraits)
    app = App(settings, lambda: settings, Notifier(), engine=engine)
    ends = living(app)
    running = threading.Thread(target=app.run)
    running.start()
    page = f"http://127.0.0.1:{settings.http.port}/sign-in"
    wait_until(lambda: answers(page), "the console to answer")
    app.control.stop()
    running.join()
    del app, running
    assert alive(ends) == []


def test_nothing_of_a_door_that_was_only_made_is_kept(
    tmp_path: Path, engine: VisionEngine, portraits: Path
) -> None:
    """As at a reload, before the door that runs ends."""
    settings = settings_of(tmp_path, portraits)
    app = App(settings, lambda: settings, Notifier(), engine=engine)
    ends = living(app)
    app.dismiss()
    del app
    assert alive(ends) == []


def answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=PATIENCE_S).ok
    except requests.ConnectionError:
        return False
