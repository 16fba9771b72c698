"""Is there something in the settings that is called otherwise now, or is no setting any more?"""

from collections.abc import Iterator

from ostiary.service.doctor.check import Check, yellow
from ostiary.settings import Settings


def check_settings(settings: Settings) -> Iterator[Check]:
    """Says nothing where there is not."""
    if settings.retired:
        advice = "Take them out, or write the file anew: `ostiary config` says it as it is read."
        yield yellow("settings", "; ".join(settings.retired), advice)
