"""Has a camera a last layer of its own, how was that proven, and is it used?"""

from collections.abc import Iterator

from ostiary.camera.address import digest_of
from ostiary.crypto.keyring import seal_of
from ostiary.errors import LastLayerInvalid, OstiaryError
from ostiary.mqtt.security import store_key
from ostiary.service.doctor.check import Check, green, yellow
from ostiary.settings import Settings
from ostiary.store.calibrations import StoredCalibration, stored_calibrations
from ostiary.store.database import read_only
from ostiary.vision.last_layer import LastLayer

AGAIN = (
    "The networks themselves judge. Sit again: `ostiary calibrate --anew`; or say that it is "
    "meant so: `ostiary calibrate --forget`."
)
WHY = {
    "camera": "it was made for another camera",
    "size": "it was made for pictures of another size",
    "networks": "it was made for other networks",
    "damaged": "it does not open, or holds what is no number",
}


def check_calibration(settings: Settings) -> Iterator[Check]:
    """Says nothing where nobody sat, nor of a database that `check_database` finds bad."""
    try:
        with read_only(settings.store.path.absolute()) as connection:
            stored = stored_calibrations(connection, seal_of(connection, store_key(settings)))
    except OstiaryError:
        return
    sources = {camera.name: camera.source for camera in settings.cameras}
    for each in stored:
        name = f"calibration {each.camera}"
        if each.camera not in sources:
            yield yellow(name, "there is no camera of that name", AGAIN)
        elif why := _why_not(each, sources[each.camera]):
            yield yellow(name, f"dropped: {WHY[why]}", AGAIN)
        else:
            yield green(name, _described(each))


def _why_not(stored: StoredCalibration, source: str) -> str | None:
    if stored.dropped is not None:
        return stored.dropped
    if stored.record is None or stored.layer is None:
        return "damaged"
    try:
        LastLayer.from_bytes(stored.layer)
    except LastLayerInvalid:
        return "damaged"
    return None if stored.record.made_for.source == digest_of(source) else "camera"


def _described(stored: StoredCalibration) -> str:
    assert stored.record is not None
    state = stored.record.state
    figures = ", ".join(
        f"{each.kind} {each.wrong} of {each.presentations} (by default {each.wrong_by_default})"
        for each in state.figures
    )
    return (
        f"of {state.made_at:%Y-%m-%d}, {state.sittings} sitting(s) of {state.people} people; "
        f"judged wrongly of those left out: {figures}"
    )
