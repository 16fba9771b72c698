"""`ostiary doctor`: one page that says whether this door is well, and if not, what to do."""

from collections.abc import Iterator

from ostiary.service.doctor.cameras import check_camera
from ostiary.service.doctor.check import Check, Level, as_json, exit_status, render
from ostiary.service.doctor.database import check_database, check_rules
from ostiary.service.doctor.hardware import check_devices, check_inputs, check_relay
from ostiary.service.doctor.machine import check_clock, check_secrets, check_settings
from ostiary.service.doctor.network import check_broker, check_console
from ostiary.service.doctor.recognition import check_calibration, check_recognition
from ostiary.service.doctor.vision import check_budget, check_decoder, check_models
from ostiary.settings import Settings

__all__ = ["Check", "Level", "as_json", "exit_status", "render", "run_checks"]


def run_checks(settings: Settings) -> Iterator[Check]:
    """Every check, one after another, each as soon as it is known. Nothing is changed."""
    yield from check_settings(settings)
    yield from check_models(settings.vision)
    yield from check_devices(settings)
    for camera in settings.cameras:
        yield from check_camera(camera, settings.vision)
    yield from check_budget(settings.vision, settings.cameras)
    yield from check_decoder()
    yield from check_database(settings)
    yield from check_calibration(settings)
    yield from check_rules(settings)
    yield from check_recognition(settings)
    yield from check_broker(settings)
    yield from check_console(settings.http)
    yield from check_secrets(settings)
    yield from check_relay(settings)
    yield from check_inputs(settings)
    yield from check_clock()
