"""Are the relays' lines there?"""

from collections.abc import Iterator

from ostiary.errors import RelayUnavailable
from ostiary.hardware.relay import line_in_use_by, lines_of
from ostiary.service.doctor.check import Check, green, red
from ostiary.settings import Settings


def check_relay(settings: Settings) -> Iterator[Check]:
    """Says nothing of a door without relay. The lines are only looked at, not taken."""
    for relay in {each.line: each for each in lines_of(settings).values()}.values():
        where = f"line {relay.line} of {relay.chip}"
        try:
            user = line_in_use_by(relay)
        except RelayUnavailable as error:
            advice = "Correct [relay], and see gpio.conf for the permission."
            yield red("relay", error.message, advice)
            continue
        yield green("relay", f"{where}: {'free' if user is None else f'in use by {user}'}")
