"""Is the relay's line there?"""

from collections.abc import Iterator

from ostiary.config import RelaySettings
from ostiary.errors import RelayUnavailable
from ostiary.service.doctor.check import Check, green, red
from ostiary.service.relay import line_in_use_by


def check_relay(settings: RelaySettings) -> Iterator[Check]:
    """Says nothing of a door without relay. The line is only looked at, not taken."""
    if not settings.enabled:
        return
    where = f"line {settings.line} of {settings.chip}"
    try:
        user = line_in_use_by(settings)
    except RelayUnavailable as error:
        yield red("relay", error.message, "Correct [relay], and see gpio.conf for the permission.")
        return
    yield green("relay", f"{where}: {'free' if user is None else f'in use by {user}'}")
