"""The door's health, pure: readings of the other rooms in, `messages.state.State` out."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from ostiary import __version__
from ostiary.camera.frame import CameraReport, CameraStatus, ViewCondition
from ostiary.decision.risk import Threshold
from ostiary.messages.calibration import CalibrationState
from ostiary.messages.state import (
    BrokerState,
    CameraState,
    ModelState,
    RecognitionState,
    SiteState,
    State,
)


@dataclass(frozen=True, slots=True)
class Readings:
    """Readings of the rooms at one moment.

    `hanging`: threads whose heartbeat is overdue. `failures`: stable words for failures by which
    everybody is denied (`pipeline_error`, `database_unwritable`). `events_dropped_now`: events were
    removed undelivered since the daemon started. `topics_refused`: topics that the broker refuses.
    `waiting`: people who are known by a former recogniser only; `unmatched`: by none that is
    loaded; `one_template`: people with one template only. `attacked`: a camera saw an attack a
    moment ago. `too_slow`: cameras whose frames are too rare to decide. `doors`, `broker_problems`:
    stable words for what is wrong there. `calibrations` in force, by camera; `calibration_dropped`:
    a camera had one that does not fit any more. `console_served`: the console answers, or is off.
    """

    cameras: tuple[CameraReport, ...]
    users: int
    queue_length: int
    events_dropped: int
    uptime_s: float
    broker_connected: bool = True
    broker: BrokerState | None = None
    broker_problems: tuple[str, ...] = ()
    topics_refused: tuple[str, ...] = ()
    events_dropped_now: bool = False
    hanging: tuple[str, ...] = ()
    failures: tuple[str, ...] = ()
    thresholds: Threshold | None = None
    waiting: int = 0
    unmatched: int = 0
    one_template: int = 0
    attacked: bool = False
    too_slow: tuple[str, ...] = ()
    doors: tuple[str, ...] = ()
    models: tuple[ModelState, ...] = ()
    calibrations: Mapping[str, CalibrationState] = field(default_factory=dict)
    calibration_dropped: bool = False
    site: SiteState | None = None
    site_problems: tuple[str, ...] = ()
    console_served: bool = True


def state_of(readings: Readings, now: datetime) -> State:
    """The report that goes out under `…/state`."""
    problems = tuple(dict.fromkeys(_problems(readings)))
    return State(
        timestamp=now,
        version=__version__,
        health=_health(readings, problems),
        problems=problems,
        uptime_s=readings.uptime_s,
        cameras=tuple(
            CameraState(
                name=camera.camera,
                status=camera.status.value,
                fps=camera.fps,
                calibration=readings.calibrations.get(camera.camera),
            )
            for camera in readings.cameras
        ),
        users=readings.users,
        queue_length=readings.queue_length,
        events_dropped=readings.events_dropped,
        recognition=_recognition(readings),
        models=readings.models,
        site=readings.site,
        broker=readings.broker,
    )


def status_text(state: State) -> str:
    """One line for `systemctl status`: `camera ok, 12 users, queue 0`."""
    alone = len(state.cameras) == 1
    cameras = [f"{'camera' if alone else camera.name} {camera.status}" for camera in state.cameras]
    people = "1 user" if state.users == 1 else f"{state.users} users"
    others = [problem for problem in state.problems if not problem.startswith("camera_")]
    return ", ".join([*cameras, people, f"queue {state.queue_length}", *others])


def _recognition(readings: Readings) -> RecognitionState | None:
    now = readings.thresholds
    if now is None:
        return None
    return RecognitionState(
        recognizer=now.recognizer,
        threshold=now.distance,
        false_accept=now.false_accept,
        extrapolated=not now.carried,
        waiting=readings.waiting,
        scale=now.scale,
        one_template=readings.one_template,
        promised=now.is_promised,
    )


def _health(readings: Readings, problems: tuple[str, ...]) -> Literal["ok", "degraded", "failed"]:
    nobody_passes = not any(
        _sees(camera) and camera.camera not in readings.too_slow for camera in readings.cameras
    )
    if readings.failures or readings.hanging or nobody_passes:
        return "failed"
    return "degraded" if problems else "ok"


def _sees(camera: CameraReport) -> bool:
    return camera.status is CameraStatus.OK and camera.view is ViewCondition.CLEAR


def _problems(readings: Readings) -> Iterable[str]:
    yield from readings.failures
    if readings.hanging:
        yield "thread_hangs"
    for camera in readings.cameras:
        if camera.status is not CameraStatus.OK:
            yield f"camera_{camera.status.value}"
        if camera.view is not ViewCondition.CLEAR:
            yield f"camera_{camera.view.value}"
        elif camera.camera in readings.too_slow and camera.status is CameraStatus.OK:
            yield "frames_too_rare"
    yield from readings.doors
    if readings.attacked:
        yield "under_attack"
    if readings.calibration_dropped:
        yield "calibration_dropped"
    if not readings.broker_connected:
        yield "broker_unavailable"
    elif readings.topics_refused:
        yield "broker_refuses_topics"
    yield from readings.broker_problems
    if not readings.console_served:
        yield "console_not_served"
    if readings.events_dropped_now:
        yield "events_dropped"
    if readings.thresholds is not None and readings.thresholds.turns_most_away:
        yield "threshold_turns_most_away"
    if readings.unmatched:
        yield "templates_of_another_recognizer"
    yield from readings.site_problems
