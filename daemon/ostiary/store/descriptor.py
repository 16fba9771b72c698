"""Descriptors: checked, and as bytes of 128 little-endian floats."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ostiary.errors import DescriptorInvalid
from ostiary.messages.words import UNIT_LENGTH, RecognizerName

Descriptor = NDArray[np.float32]
"""Shape (128,)."""

LENGTH = 128
UNIT_TOLERANCE = 1e-3
"""How far a length may be from 1."""


def checked_descriptor(values: ArrayLike, recognizer: RecognizerName | None = None) -> Descriptor:
    """Give `values` as float32 of shape (128,). Raises DescriptorInvalid for another shape, a
    number that is not finite, or a length other than 1 where the recogniser's have length 1."""
    with np.errstate(over="ignore"):  # a float64 beyond float32 becomes inf, refused below
        descriptor = np.asarray(values).astype(np.float32)
    if descriptor.shape != (LENGTH,):
        raise DescriptorInvalid(f"A descriptor has {LENGTH} numbers, not {descriptor.shape}.")
    if not np.isfinite(descriptor).all():
        raise DescriptorInvalid("The descriptor has a number that is not finite.")
    if recognizer in UNIT_LENGTH:
        length = float(np.linalg.norm(descriptor.astype(np.float64)))
        if abs(length - 1) > UNIT_TOLERANCE:
            raise DescriptorInvalid(
                f"A descriptor of {recognizer} has length 1, not {length:.3g}: it is another "
                "recogniser's. Enrol the person again, or import it as what it is."
            )
    return descriptor


def to_float32_bytes(descriptor: Descriptor) -> bytes:
    """Give a descriptor as 512 bytes, as `templates.descriptor` has it (sealed)."""
    return descriptor.astype("<f4").tobytes()


def to_float64_bytes(descriptor: Descriptor) -> bytes:
    """Give a descriptor as 1024 bytes, as the first version wrote `users.encoding`."""
    return descriptor.astype("<f8").tobytes()


def from_bytes(data: object) -> Descriptor:
    """Read 128 float64 (1024 bytes) or 128 float32 (512 bytes). Raises DescriptorInvalid."""
    if not isinstance(data, bytes):
        raise DescriptorInvalid("The descriptor is not stored as bytes.")
    kinds = {LENGTH * 8: "<f8", LENGTH * 4: "<f4"}
    if len(data) not in kinds:
        raise DescriptorInvalid(
            f"The descriptor has {len(data)} bytes; 1024 (float64) or 512 (float32) are right."
        )
    return checked_descriptor(np.frombuffer(data, dtype=kinds[len(data)]))


def all_from_bytes(stored: Sequence[object]) -> list[Descriptor]:
    """Read many descriptors in a fraction of the time of `from_bytes`. Raises DescriptorInvalid."""
    short = [data for data in stored if isinstance(data, bytes) and len(data) == LENGTH * 4]
    if len(short) == len(stored):
        together = np.frombuffer(b"".join(short), dtype="<f4").astype(np.float32)
        if np.isfinite(together).all():
            return [each.copy() for each in together.reshape(-1, LENGTH)]
    return [from_bytes(data) for data in stored]
