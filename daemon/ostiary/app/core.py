"""What every other part stands on: settings, database, networks, and who is known."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from ostiary.app.signals import DoorSignals
from ostiary.clock import always, utc_now
from ostiary.decision.risk import risk_of
from ostiary.messages.words import RecognizerName
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
from ostiary.vision.recognizer import ErrorRates


@dataclass(frozen=True, slots=True)
class Records:
    """What is on the disk, opened. It needs no network, and nobody is matched by it yet.

    `settings` are those in force, `configured` those without what was set in the console.
    `failures` keep everybody out since the start, as stable words.
    """

    settings: Settings
    configured: Settings
    clock: Callable[[], datetime]
    database: Database
    failures: tuple[str, ...]
    events: Events
    door_modes: DoorModes
    users: Users


@dataclass(frozen=True, slots=True)
class Core(Records):
    """`models`: the SHA-256 of each network's file, by its name."""

    models: Mapping[str, str]
    engine: VisionEngine
    people: People
    rules: RuleService
    recording: Recording
    metrics: Metrics
    heartbeats: Heartbeats
    signals: DoorSignals


@contextmanager
def opened_records(
    configured: Settings, *, clock: Callable[[], datetime] = utc_now
) -> Iterator[Records]:
    """Open the database until the block ends. Raises ConfigError, StoreLocked, DatabaseVersion…"""
    settings = with_overrides(configured)
    database, failures = open_database(settings)
    with database:
        yield Records(
            settings=settings,
            configured=configured,
            clock=clock,
            database=database,
            failures=failures,
            events=Events(database),
            door_modes=DoorModes(database),
            users=Users(database),
        )


def people_of(records: Records, rates: Mapping[RecognizerName, ErrorRates]) -> People:
    """Everybody who is registered. `rates` are those of the recognisers that match them."""
    settings, users = records.settings, records.users
    roster = roster_of(users, settings.vision.recognizer, rates, risk_of(settings.access))
    return People(users, records.events, roster)


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
    with opened_records(configured, clock=clock) as records:
        settings, database = records.settings, records.database
        models, engine = _networks(records, engine)
        people = people_of(records, engine.rates)
        yield Core(
            settings=settings,
            configured=configured,
            clock=clock,
            database=database,
            failures=records.failures,
            events=records.events,
            door_modes=records.door_modes,
            users=records.users,
            models=models,
            engine=engine,
            people=people,
            rules=RuleService(people, settings, clock, clock_trusted),
            recording=Recording(database, records.events, records.door_modes, people),
            metrics=Metrics(),
            heartbeats=Heartbeats(),
            signals=DoorSignals(),
        )


def _networks(
    records: Records, engine: VisionEngine | None
) -> tuple[Mapping[str, str], VisionEngine]:
    """The SHA-256 of each network's file, and the networks: `engine` if it has those that are
    needed."""
    vision = records.settings.vision
    migrate = records.settings.access.migrate
    former = former_needed(records.users, vision.recognizer, migrate=migrate)
    needed = needed_files(vision.recognizer, vision.liveness, former)
    models = checked_models(models_directory(vision.models), needed)
    if engine is None or (engine.former and engine.former.name) != former:
        engine = VisionEngine.load(vision, former)
    return models, engine
