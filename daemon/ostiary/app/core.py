"""What every other part stands on: settings, database, networks, and who is known."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from ostiary.app.signals import DoorSignals
from ostiary.clock import always, utc_now
from ostiary.decision.risk import risk_of
from ostiary.opening import open_database
from ostiary.people.people import People, former_needed, roster_of
from ostiary.people.rulebook import RuleService
from ostiary.pipeline.recording import Recording
from ostiary.service.metrics import Metrics
from ostiary.service.systemd import Heartbeats
from ostiary.settings import Settings
from ostiary.settings.overrides import with_overrides
from ostiary.store.database import Database
from ostiary.store.door_modes import DoorModes
from ostiary.store.events import Events
from ostiary.store.users import Users
from ostiary.vision.engine import VisionEngine
from ostiary.vision.models import checked_models, models_directory, needed_files


@dataclass(frozen=True, slots=True)
class Core:
    """`settings` are those in force, `configured` those without what was set in the console.
    `failures` keep everybody out since the start, as stable words. `models`: the SHA-256 of each
    network's file, by its name."""

    settings: Settings
    configured: Settings
    clock: Callable[[], datetime]
    database: Database
    failures: tuple[str, ...]
    events: Events
    door_modes: DoorModes
    users: Users
    models: Mapping[str, str]
    engine: VisionEngine
    people: People
    rules: RuleService
    recording: Recording
    metrics: Metrics
    heartbeats: Heartbeats
    signals: DoorSignals


@contextmanager
def opened_core(
    configured: Settings,
    engine: VisionEngine | None = None,
    *,
    clock: Callable[[], datetime] = utc_now,
    clock_trusted: Callable[[], bool] = always,
) -> Iterator[Core]:
    """Open the database until the block ends. `engine`: networks that were loaded before; they are
    used if they are those that are needed.

    Raises ConfigError, ModelMissing, ModelInvalid, StoreLocked, DatabaseVersion…
    """
    settings = with_overrides(configured)
    database, failures = open_database(settings)
    with database:
        events, door_modes, users = Events(database), DoorModes(database), Users(database)
        former = former_needed(users, settings.vision.recognizer, migrate=settings.access.migrate)
        models = checked_models(
            models_directory(settings.vision.models),
            needed_files(settings.vision.recognizer, settings.vision.liveness, former),
        )
        if engine is None or (engine.former and engine.former.name) != former:
            engine = VisionEngine.load(settings.vision, former)
        people = People(users, events, roster_of(users, engine, risk_of(settings.access)))
        yield Core(
            settings=settings,
            configured=configured,
            clock=clock,
            database=database,
            failures=failures,
            events=events,
            door_modes=door_modes,
            users=users,
            models=models,
            engine=engine,
            people=people,
            rules=RuleService(people, settings, clock, clock_trusted),
            recording=Recording(database, events, door_modes, people),
            metrics=Metrics(),
            heartbeats=Heartbeats(),
            signals=DoorSignals(),
        )
