"""What the door needs to know of a recogniser's errors, as resources/recognition.toml has it."""

from pathlib import Path

import numpy as np

from ostiary.messages.words import RecognizerName
from ostiary.vision.recognizer import ErrorRates
from ostiary_export.errors import FacesInvalid
from ostiary_export.evaluate.faces import Collection
from ostiary_export.evaluate.identification import LOOKS, fused_rows
from ostiary_export.evaluate.pairs import (
    CARRIED_BY,
    TAIL_FROM,
    Pairs,
    Tail,
    distances,
    pairs_of,
)
from ostiary_export.files import written_whole

LEAST = -8.0
STEP = 0.1
TAIL_STEP = 0.5

HEAD = """\
# How often each recogniser errs at which distance: what the door's thresholds come from.
# Measured, not typed: `ostiary-export evaluate FOLDER --write-rates resources/recognition.toml`.
# The terms, and what the numbers do not say: docs/accuracy.md.
"""


def rates_of(collection: Collection, name: RecognizerName, measured_on: str) -> ErrorRates:
    """Both rates over a grid of distances: counted down to a false match rate of 1e-4, from there
    by the fitted tail. Raises FacesInvalid where there are too few pairs to fit one."""
    pairs = pairs_of(collection, name)
    if not pairs.are_enough:
        raise FacesInvalid(
            f"{len(pairs.impostor):,} pairs of different people are too few to tell how rarely two "
            f"are alike: {CARRIED_BY / TAIL_FROM:,.0f} are needed, some 800 pictures."
        )
    tail = Tail.of(pairs)
    exponents = np.arange(LEAST, np.log10(TAIL_FROM) - TAIL_STEP / 2, TAIL_STEP)
    false_match = [float(10**each) for each in exponents]
    distance = [tail.distance_at(each) for each in false_match]
    for each in np.arange(np.log10(TAIL_FROM), -STEP / 2, STEP):
        rate = float(10**each)
        here = pairs.distance_at(rate)
        if here > distance[-1]:
            false_match.append(rate)
            distance.append(here)
    return ErrorRates(
        tuple(round(each, 5) for each in distance),
        tuple(float(f"{each:.4g}") for each in false_match),
        tuple(round(pairs.false_non_match_at(each), 5) for each in distance),
        len(np.unique(collection.person)),
        len(pairs.impostor),
        float(f"{pairs.carried:.2g}"),
        measured_on,
        several_looks(collection, name, pairs),
        round(float(pairs.impostor.mean()), 5),
        round(float(pairs.impostor.std()), 5),
    )


def several_looks(collection: Collection, name: RecognizerName, pairs: Pairs) -> float:
    """How many times as often several fused pictures of a stranger match somebody as one picture
    does, at the false match rate where the fitted tail begins. 1 where nobody has so many pictures.
    """
    probes, person = fused_rows(collection, name, LOOKS)
    if not len(probes):
        return 1.0
    limit = pairs.distance_at(TAIL_FROM)
    near = total = 0
    for probe, who in zip(probes, person, strict=True):
        apart = distances(probe[np.newaxis], collection.descriptors[name])[0]
        others = apart[collection.person != who]
        near += int((others <= limit).sum())
        total += len(others)
    return max(1.0, float(f"{near / total / TAIL_FROM:.3g}"))


def write_rates(path: Path, rates: dict[RecognizerName, ErrorRates]) -> None:
    """Replace the whole file."""
    tables = [
        "\n".join([f"[{name}]", *(_line(key, getattr(each, key)) for key in ErrorRates.__slots__)])
        for name, each in rates.items()
    ]
    with written_whole(path) as temporary:
        temporary.write_text("\n\n".join([HEAD, *tables]) + "\n", "utf-8")


def _line(key: str, value: object) -> str:
    if isinstance(value, str):
        return f'{key} = "{value}"'
    if isinstance(value, tuple):
        return f"{key} = [{', '.join(map(repr, value))}]"
    return f"{key} = {value!r}"
