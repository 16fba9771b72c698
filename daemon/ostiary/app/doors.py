"""The doors themselves: their lines, locks, alarms, keypads and readers."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from types import MappingProxyType

from ostiary.app.core import Core
from ostiary.hardware.doors import Doors, Hardware
from ostiary.hardware.gpio import Lines, open_alarms, open_relays
from ostiary.hardware.physical_door import PhysicalDoor

BEAT_S = 10.0


@contextmanager
def opened_doors(
    core: Core,
    before: Mapping[str, PhysicalDoor] = MappingProxyType({}),
    held: Lines = frozenset(),
) -> Iterator[Doors]:
    """Take the lines of locks and alarms until the block ends, but for those that are `held` by a
    door that still runs. `before`: how the doors were at a reload, by their cameras' names. Raises
    RelayUnavailable."""
    settings = core.settings
    with ExitStack() as closing:
        relays = open_relays(settings, held)
        for relay in relays.values():
            closing.callback(relay.close)
        alarms = open_alarms(settings, held)
        for alarm in alarms.values():
            closing.callback(alarm.release)
        modes = {each.name: core.door_modes.get(each.name) for each in settings.cameras}
        yield Doors(
            settings,
            Hardware(relays, alarms),
            core.recording.at_door,
            core.signals.door_changed,
            before=before,
            modes={name: (each.mode, each.at) for name, each in modes.items() if each is not None},
            clock=core.clock,
            beat=core.heartbeats.expect("doors", BEAT_S),
        )
