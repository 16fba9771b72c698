"""How near is near enough for who is registered now, and what does a calibration bring?"""

from collections.abc import Iterator, Mapping

from ostiary.camera.address import digest_of
from ostiary.crypto.keyring import seal_of
from ostiary.decision.likeness import likeness_of
from ostiary.decision.risk import comparison_risk, risk_of, threshold_at
from ostiary.errors import LastLayerInvalid, OstiaryError
from ostiary.messages.words import NO_PROMISE
from ostiary.mqtt.security import store_key
from ostiary.service.doctor.check import Check, green, red, yellow
from ostiary.settings import Settings
from ostiary.store.calibrations import StoredCalibration, stored_calibrations
from ostiary.store.sqlite_file import read_only
from ostiary.store.templates import stored_templates, templates_by_recognizer
from ostiary.vision.arrays import Descriptor
from ostiary.vision.engine import RECOGNIZERS
from ostiary.vision.last_layer import LastLayer
from ostiary.vision.models import models_directory

LAX = 0.01
"""Risk from which a door is called lax: one stranger in a hundred is taken for somebody."""
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


def check_recognition(settings: Settings) -> Iterator[Check]:
    """The threshold in force, its risk, and people without templates of this recogniser."""
    vision, access = settings.vision, settings.access
    try:
        directory = models_directory(vision.models)
        rates = RECOGNIZERS[vision.recognizer].load(directory).rates
        stored = templates_by_recognizer(settings.store.path)
    except OstiaryError as error:
        yield red("recognition", error.message, "Correct the models and the database first.")
        return
    count = sum(stored.values())
    own = _own_templates(settings)
    alike = likeness_of((templates[0] for templates in own.values()), rates)
    each = comparison_risk(risk_of(access), rates, count)
    now = threshold_at(each, vision.recognizer, rates, count, access.distance_threshold, alike)
    found = (
        f"{vision.recognizer}, {count} template(s): near enough is {now.distance:.3f}; "
        f"one stranger in {1 / now.false_accept:,.0f} is taken for somebody"
    )
    if not now.carried:
        found += f" (extrapolated: {rates.pairs:,} pairs carry {rates.carried:.0e} a comparison)"
    if not now.is_promised:
        found += f"; {NO_PROMISE}"
    if now.scale is not None:
        found += f"; {now.scale.in_words(now.distance)}"
    if now.turns_most_away:
        yield yellow(
            "recognition",
            f"{found}; most people are turned away",
            "Enrol more templates a person, or raise access.false_accept.",
        )
    elif access.distance_threshold is not None and now.false_accept > LAX:
        yield yellow(
            "recognition",
            found,
            "Remove access.distance_threshold: access.false_accept keeps the risk with any number "
            "of people.",
        )
    else:
        yield green("recognition", found)
    yield from _single(own)
    yield from _others(settings, stored)


def _own_templates(settings: Settings) -> dict[str, list[Descriptor]]:
    """All templates of the recogniser in use, by person; none where they do not open."""
    own: dict[str, list[Descriptor]] = {}
    try:
        stored = stored_templates(settings.store.path, store_key(settings))
    except OstiaryError:
        return own
    for username, recognizer, descriptor in stored:
        if recognizer == settings.vision.recognizer:
            own.setdefault(username, []).append(descriptor)
    return own


def _single(own: Mapping[str, list[Descriptor]]) -> Iterator[Check]:
    number = sum(len(templates) == 1 for templates in own.values())
    if number:
        yield yellow(
            "one template",
            f"{number} of {len(own)} people have one template only: two are the rule",
            "Enrol them again before the camera, or add a picture; `ostiary users list` names them."
            " With access.learn_second the door takes the second from a visit.",
        )


def _others(settings: Settings, stored: Mapping[str, int]) -> Iterator[Check]:
    others = {name: number for name, number in stored.items() if name != settings.vision.recognizer}
    if not others:
        return
    listed = ", ".join(f"{number} of {name}" for name, number in sorted(others.items()))
    comes_over = settings.vision.recognizer == "sface" and settings.access.migrate
    if comes_over and set(others) == {"dlib"}:
        yield green("templates", f"{listed}: people come over when they are next granted")
    else:
        yield yellow(
            "templates",
            f"{listed} are not compared by {settings.vision.recognizer}",
            "Set vision.recognizer to theirs, or access.migrate = true (dlib to sface), or enrol "
            "those people again.",
        )


def check_calibration(settings: Settings) -> Iterator[Check]:
    """Whether each calibration is in force; nothing without any, or where `check_database` finds
    the database bad."""
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
