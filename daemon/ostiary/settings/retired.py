"""Keys of earlier settings: where each has gone, or what holds instead.

A file or an environment with such keys is still read. The doctor and the journal name them.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Moved:
    """A key that is read as the key `to`."""

    to: str

    def __str__(self) -> str:
        return f"is {self.to} now"


@dataclass(frozen=True, slots=True)
class Fixed:
    """A key that is not read: the value is `at`, the former default."""

    at: float

    def __str__(self) -> str:
        return f"is {self.at} now, whatever is set"


RETIRED: Mapping[str, Moved | Fixed] = {
    "cameras.refuse_stills": Moved("cameras.require_movement"),
    "site.timezone": Moved("rules.timezone"),
    "site.without_group": Moved("rules.without_group"),
    "site.remove_ended_after_days": Moved("rules.remove_ended_after_days"),
    "site.second_person_s": Moved("rules.second_person_s"),
    "site.shown_within_s": Moved("rules.shown_within_s"),
    "doors.debounce_ms": Fixed(30),
    "credentials.forget_after_s": Fixed(5.0),
    "vision.whole_frame_every_s": Fixed(1.0),
    "vision.min_inside": Fixed(0.9),
    "vision.max_yaw": Fixed(0.5),
    "vision.min_brightness": Fixed(30.0),
    "vision.max_over_exposed": Fixed(0.4),
    "vision.max_filled": Fixed(0.77),
    "vision.min_colour": Fixed(0.06),
    "vision.min_sharpness": Fixed(0.015),
    "site.confirm_within_s": Fixed(3600.0),
    "store.keep_answers_hours": Fixed(24.0),
    "store.keep_answers": Fixed(50_000),
    "mqtt.keepalive_s": Fixed(15),
    "mqtt.session_expiry_s": Fixed(3600),
    "mqtt.window": Fixed(16),
    "mqtt.resend_s": Fixed(30.0),
    "commands.payload_limit_bytes": Fixed(8 * 1024 * 1024),
    "commands.image_pixel_limit": Fixed(25_000_000),
    "commands.image_side_limit": Fixed(10_000),
    "commands.camera_timeout_s": Fixed(8.0),
    "commands.queue_limit": Fixed(16),
    "commands.signature_age_s": Fixed(60.0),
    "http.sign_in_tries": Fixed(5),
    "http.viewers": Fixed(8),
    "http.live_fps": Fixed(8.0),
    "http.live_width": Fixed(640),
    "http.connections": Fixed(200),
    "http.request_timeout_s": Fixed(15.0),
}


def renewed(data: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The tables of one file or environment with today's keys, and a sentence for each earlier key.
    Where the new key is set, too, that counts."""
    tables = {name: _copied(table) for name, table in data.items()}
    said = [
        f"{key} {became}"
        for key, what in RETIRED.items()
        for table in tuple(_tables(tables, key))
        if (became := _take(tables, table, key, what)) is not None
    ]
    return tables, tuple(dict.fromkeys(said))


def _copied(table: Any) -> Any:
    if isinstance(table, list):
        return [_copied(each) for each in table]
    return dict(table) if isinstance(table, dict) else table


def _tables(tables: Mapping[str, Any], key: str) -> Iterator[dict[str, Any]]:
    """The tables in which the key may stand; several where a table is repeated."""
    table = tables.get(key.partition(".")[0])
    for each in table if isinstance(table, list) else [table]:
        if isinstance(each, dict):
            yield each


def _take(
    tables: dict[str, Any], table: dict[str, Any], key: str, what: Moved | Fixed
) -> str | None:
    """Move the key to where it is read, or drop it; what became of it. None where it is not set."""
    old = key.partition(".")[2]
    if old not in table:
        return None
    value = table.pop(old)
    if isinstance(what, Moved) and value is not None:
        name, _, new = what.to.partition(".")
        place = table if name == key.partition(".")[0] else tables.setdefault(name, {})
        if isinstance(place, dict) and place.setdefault(new, value) != value:
            return f"is not read: {what.to} is set, too"
    return str(what)
