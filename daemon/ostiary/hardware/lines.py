"""Input lines of this machine by libgpiod (extra `ostiary[gpio]`): here alone they are read."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, Self

from ostiary.errors import InputUnavailable
from ostiary.settings.entrance import Line, Pull

if TYPE_CHECKING:
    import gpiod

CONSUMER = "ostiary"
_NS = 1e-9


@dataclass(frozen=True, slots=True)
class Edge:
    """A line became active or inactive, `at` in seconds of the kernel's monotonic clock."""

    name: str
    active: bool
    at: float


@dataclass(frozen=True, slots=True)
class InputLine:
    """One line: its offset or name, and which level counts as active."""

    line: Line
    active_low: bool


class Inputs(Protocol):
    """Some lines by name, taken together. All may raise InputUnavailable."""

    def values(self) -> Mapping[str, bool]:
        """Which of them are active now."""
        ...

    def wait(self, timeout_s: float) -> list[Edge]:
        """The edges since the last call, oldest first; empty when time is up."""
        ...

    def close(self) -> None: ...


class GpioInputs:
    """Lines of the kernel's GPIO character device."""

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
        with _explained(what):
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

        with _explained(self._what):
            levels = self._request.get_values(list(self._names))
        return {
            name: level is Value.ACTIVE
            for name, level in zip(self._names.values(), levels, strict=True)
        }

    def wait(self, timeout_s: float) -> list[Edge]:
        import gpiod

        rising = gpiod.EdgeEvent.Type.RISING_EDGE
        with _explained(self._what):
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
def _explained(what: str) -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        raise InputUnavailable(
            f"{what}: {error.name} is missing. The Debian package has it."
        ) from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputUnavailable(
            f"{what}: {reason}. `gpioinfo` lists chips and lines, and who uses them."
        ) from error
