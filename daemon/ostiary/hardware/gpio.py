"""GPIO lines of this machine by libgpiod (extra `ostiary[gpio]`): relays and alarms out, inputs in.

An output is inactive from the moment it is taken, and again when it is let go. When the daemon dies
the kernel closes the line, systemd's drop-in `gpio.conf` then sets it inactive with
`ostiary release`, and the restarted daemon takes it inactive.
"""

import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, Self

import structlog

from ostiary.errors import InputUnavailable, RelayUnavailable
from ostiary.hardware.controller import Output
from ostiary.settings import RelaySettings, Settings
from ostiary.settings.doors import Line, Pull

if TYPE_CHECKING:
    import gpiod

log = structlog.get_logger(__name__)

CONSUMER = "ostiary"
RETRY_S = 0.05
LONGEST_WAIT_S = 60.0

Lines = frozenset[tuple[str, int | str]]
"""Chips with their lines."""
_NS = 1e-9


class NoLine:
    """Stands for an output that a running door holds."""

    def set_active(self, active: bool) -> None:
        """Nothing is there to be set."""

    def release(self) -> None:
        """Nothing is held."""


class GpioLine:
    """A line of the kernel's GPIO character device."""

    def __init__(self, request: "gpiod.LineRequest", offset: int) -> None:
        self._request = request
        self._offset = offset

    @classmethod
    def take(cls, settings: RelaySettings) -> Self:
        """Take the line as an inactive output. Raises RelayUnavailable."""
        with _of_relay(settings):
            import gpiod
            from gpiod.line import Direction, Value

            line = gpiod.LineSettings(
                direction=Direction.OUTPUT,
                active_low=settings.active_low,
                output_value=Value.INACTIVE,
            )
            request = gpiod.request_lines(
                str(settings.chip), consumer=CONSUMER, config={settings.line: line}
            )
        return cls(request, request.offsets[0])

    def set_active(self, active: bool) -> None:
        from gpiod.line import Value

        self._request.set_value(self._offset, Value.ACTIVE if active else Value.INACTIVE)

    def release(self) -> None:
        self._request.release()


class Relay:
    """Releases the lock for as long as any of the doors that share it asks, from a thread of its
    own: it locks in time, whatever became of the caller."""

    def __init__(self, line: Output, pulse_s: float) -> None:
        self._line = line
        self._pulse_s = pulse_s
        self._changed = threading.Condition()
        self._held: dict[str, float] = {}
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="relay", daemon=True)
        self._thread.start()

    @classmethod
    def open(cls, settings: RelaySettings, held: Lines = frozenset()) -> Self:
        """Raises RelayUnavailable."""
        return cls(_take(settings, held), settings.pulse_s)

    def pulse(self) -> None:
        """Open for `pulse_s`, or hold open longer. Returns at once and never raises."""
        self.hold("", time.monotonic() + self._pulse_s)

    def hold(self, door: str, until: float) -> None:
        """Release for `door` until then, in seconds of `time.monotonic()`; a moment that is past
        locks. Returns at once and never raises."""
        with self._changed:
            if self._held.get(door, 0.0) != until:
                self._held[door] = until
                self._changed.notify()

    def close(self) -> None:
        """Lock, and let go of the line. May be called twice."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        active = False
        with self._changed:
            while not self._stopping:
                left = max(self._held.values(), default=0.0) - time.monotonic()
                if active != (left > 0) and self._set(left > 0):
                    active = not active
                # A lock that could not be closed is tried again; one not opened waits for a pulse.
                self._changed.wait(min(max(left, RETRY_S), LONGEST_WAIT_S) if active else None)
        self._set(False)
        self._line.release()

    def _set(self, active: bool) -> bool:
        try:
            self._line.set_active(active)
        except OSError as error:
            log.error("relay_failed", active=active, error=error.strerror)
            return False
        return True


def lines_of(settings: Settings) -> dict[str, RelaySettings]:
    """The relay of each camera; cameras of one line share it. Empty for a door without relay."""
    if not settings.relay.enabled:
        return {}
    return {
        camera.name: settings.relay
        if camera.relay_line is None
        else settings.relay.model_copy(update={"line": camera.relay_line})
        for camera in settings.cameras
    }


def lines_in(settings: Settings) -> Lines:
    """All GPIO lines that the settings name."""
    relays = [(each.chip, each.line) for each in lines_of(settings).values()]
    doors = [
        (door.chip, line)
        for door in settings.doors
        for line in (door.contact_line, door.exit_line, door.alarm_line)
    ]
    readers = [(each.chip, line) for each in settings.readers for line in (each.d0, each.d1)]
    named = [*relays, *doors, *readers]
    return frozenset((str(chip), line) for chip, line in named if line is not None)


def _take(settings: RelaySettings, held: Lines) -> Output:
    is_held = (str(settings.chip), settings.line) in held
    return NoLine() if is_held else GpioLine.take(settings)


def open_relays(settings: Settings, held: Lines = frozenset()) -> dict[str, Relay]:
    """The relays of all cameras, by their names, with their lines taken unless they are `held`.
    Raises RelayUnavailable, and then holds none."""
    opened: dict[int | str, Relay] = {}
    try:
        wanted = lines_of(settings)
        for each in wanted.values():
            if each.line not in opened:
                opened[each.line] = Relay.open(each, held)
    except RelayUnavailable:
        for relay in opened.values():
            relay.close()
        raise
    return {camera: opened[each.line] for camera, each in wanted.items()}


def open_alarms(settings: Settings, held: Lines = frozenset()) -> dict[str, Output]:
    """The alarms' lines of the doors that have one, by their cameras' names, taken and inactive
    unless they are `held`. Raises RelayUnavailable, and then holds none."""
    opened: dict[str, Output] = {}
    try:
        for door in settings.doors:
            if door.alarm_line is not None:
                line = RelaySettings(
                    chip=door.chip, line=door.alarm_line, active_low=door.alarm_active_low
                )
                opened[door.camera] = _take(line, held)
    except RelayUnavailable:
        for each in opened.values():
            each.release()
        raise
    return opened


def line_in_use_by(settings: RelaySettings) -> str | None:
    """The user of a line; None where it is free. It is not taken. Raises RelayUnavailable."""
    with _of_relay(settings):
        import gpiod

        with gpiod.Chip(str(settings.chip)) as chip:
            line = chip.get_line_info(settings.line)
    return line.consumer or "the kernel" if line.used else None


def release(settings: Settings) -> None:
    """Set all relays' lines inactive and let go of them, for `ostiary release`. Raises
    RelayUnavailable."""
    for each in {each.line: each for each in lines_of(settings).values()}.values():
        GpioLine.take(each).release()


@dataclass(frozen=True, slots=True)
class Edge:
    """A line became active or inactive, `at` in seconds of the kernel's monotonic clock."""

    name: str
    active: bool
    at: float


@dataclass(frozen=True, slots=True)
class InputLine:
    """One input line: its offset or name, and which level counts as active."""

    line: Line
    active_low: bool


class Inputs(Protocol):
    """Input lines by name, taken together. All methods may raise InputUnavailable."""

    def values(self) -> Mapping[str, bool]:
        """Which of them are active now."""

    def wait(self, timeout_s: float) -> list[Edge]:
        """The edges since the last call, oldest first; empty when time is up."""

    def close(self) -> None: ...


class GpioInputs:
    """Input lines of the kernel's GPIO character device."""

    def __init__(self, request: "gpiod.LineRequest", names: Mapping[int, str], what: str) -> None:
        self._request = request
        self._names = names
        self._what = what

    @classmethod
    def take(
        cls,
        chip: Path,
        lines: Mapping[str, InputLine],
        *,
        pull: Pull = "up",
        debounce_s: float = 0.0,
    ) -> Self:
        """Take the lines as inputs that tell both edges. Raises InputUnavailable."""
        named = ", ".join(f"{name} (line {each.line})" for name, each in lines.items())
        what = f"{named} of {chip}"
        with _explained(InputUnavailable, what):
            import gpiod
            from gpiod.line import Bias, Direction
            from gpiod.line import Edge as Detected

            bias = {"up": Bias.PULL_UP, "down": Bias.PULL_DOWN, "none": Bias.AS_IS}[pull]
            config: dict[Iterable[int | str] | int | str, gpiod.LineSettings | None] = {
                each.line: gpiod.LineSettings(
                    direction=Direction.INPUT,
                    edge_detection=Detected.BOTH,
                    bias=bias,
                    active_low=each.active_low,
                    debounce_period=timedelta(seconds=debounce_s),
                )
                for each in lines.values()
            }
            request = gpiod.request_lines(str(chip), consumer=CONSUMER, config=config)
            names = dict(zip(request.offsets, lines, strict=True))
        return cls(request, names, what)

    def values(self) -> Mapping[str, bool]:
        from gpiod.line import Value

        with _explained(InputUnavailable, self._what):
            levels = self._request.get_values(list(self._names))
        return {
            name: level is Value.ACTIVE
            for name, level in zip(self._names.values(), levels, strict=True)
        }

    def wait(self, timeout_s: float) -> list[Edge]:
        import gpiod

        rising = gpiod.EdgeEvent.Type.RISING_EDGE
        with _explained(InputUnavailable, self._what):
            if not self._request.wait_edge_events(timedelta(seconds=timeout_s)):
                return []
            return [
                Edge(
                    self._names[event.line_offset],
                    event.event_type is rising,
                    event.timestamp_ns * _NS,
                )
                for event in self._request.read_edge_events()
            ]

    def close(self) -> None:
        self._request.release()


@contextmanager
def _explained(
    kind: type[RelayUnavailable | InputUnavailable], what: str, needed_by: str | None = None
) -> Iterator[None]:
    """Whatever libgpiod raises becomes an error that names the lines and says what to do."""
    try:
        yield
    except ImportError as error:
        raise kind(
            f"{needed_by or what}: {error.name} is missing. The Debian package has it."
        ) from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise kind(
            f"{what}: {reason}. `gpioinfo` lists chips and lines, and who uses them."
        ) from error


def _of_relay(settings: RelaySettings) -> AbstractContextManager[None]:
    where = f"relay: line {settings.line} of {settings.chip}"
    return _explained(RelayUnavailable, where, "relay.enabled")
