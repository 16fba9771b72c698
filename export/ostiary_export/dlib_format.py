"""A reader of dlib's serialisation: the part of it that face models use.

The format is one flat stream without lengths or an index, so that a reader has to know what comes
next. Integers are packed (a byte with the sign in bit 7 and the count of bytes in bits 0 to 3, then
that many bytes, little end first). A floating point number is two such integers, `mantissa` and
`exponent`, worth `mantissa * 2**exponent`. A text is its packed length and its bytes, a boolean is
the character `0` or `1`. A tensor is its version (2), four dimensions and then raw little-endian
float32 values.
"""

import hashlib
import math
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from ostiary.errors import ModelInvalid, ModelMissing

FloatArray = NDArray[np.float32]
_T = TypeVar("_T", int, str, bool)

_SIGN = 0x80
_SIZE = 0x0F
_TENSOR_VERSION = 2
_ALIAS_VERSION = 1
# The exponents dlib sets aside for infinity, minus infinity and not-a-number.
_SPECIAL_EXPONENT = 32000


class DlibReader:
    """Reads values in the order in which dlib wrote them.

    Every method raises `ModelInvalid`, naming the file, the byte, what was expected there and what
    was found.
    """

    def __init__(self, data: bytes, name: str) -> None:
        self.name = name
        self.offset = 0
        self._data = data

    @classmethod
    def open(cls, path: Path) -> Self:
        """Read the whole file; raises `ModelMissing` if it cannot be read."""
        try:
            return cls(path.read_bytes(), path.name)
        except OSError as error:
            raise ModelMissing(f"{path} cannot be read: {error.strerror or error}") from error

    @property
    def sha256(self) -> str:
        """The SHA-256 of the whole file, in hexadecimal."""
        return hashlib.sha256(self._data).hexdigest()

    def refuse(self, expected: str, found: object, at: int | None = None) -> NoReturn:
        """Raise `ModelInvalid` for the value at byte `at` (default: the current one)."""
        offset = self.offset if at is None else at
        raise ModelInvalid(f"{self.name}, byte {offset}: expected {expected}, found {found}")

    def raw(self, count: int, what: str) -> bytes:
        """The next `count` bytes as they are."""
        end = self.offset + count
        if end > len(self._data):
            left = len(self._data) - self.offset
            self.refuse(f"{count} bytes of {what}", f"the end of the file after {left} bytes")
        data = self._data[self.offset : end]
        self.offset = end
        return data

    def integer(self, what: str) -> int:
        """A packed integer of at most eight bytes."""
        start = self.offset
        data = self._data
        if start >= len(data):
            self.refuse(f"a packed integer ({what})", "the end of the file")
        head = data[start]
        size = head & _SIZE
        if not 1 <= size <= 8:
            self.refuse(f"a packed integer ({what})", f"the byte 0x{head:02x}")
        end = start + 1 + size
        if end > len(data):
            self.refuse(f"a packed integer ({what})", "the end of the file")
        self.offset = end
        value = int.from_bytes(data[start + 1 : end], "little")
        return -value if head & _SIGN else value

    def number(self, what: str) -> float:
        """A floating point number of dlib's portable form; finite."""
        start = self.offset
        mantissa = self.integer(what)
        exponent = self.integer(what)
        if abs(exponent) >= _SPECIAL_EXPONENT:
            self.refuse(f"a finite number ({what})", f"the exponent {exponent}", start)
        return math.ldexp(mantissa, exponent)

    def boolean(self, what: str) -> bool:
        """A boolean, stored as the character 0 or 1."""
        start = self.offset
        value = self.raw(1, what)
        if value not in (b"0", b"1"):
            self.refuse(f"the character 0 or 1 ({what})", repr(value), start)
        return value == b"1"

    def text(self, what: str) -> str:
        """A length-prefixed ASCII text, such as a layer's name."""
        start = self.offset
        value = self.raw(self.count(what, limit=1 << 10), what)
        if not value.isascii():
            self.refuse(f"an ASCII text ({what})", repr(value), start)
        return value.decode("ascii")

    def count(self, what: str, limit: int) -> int:
        """An integer from 0 to `limit`: a damaged size must not become a huge allocation."""
        start = self.offset
        value = self.integer(what)
        if not 0 <= value <= limit:
            self.refuse(f"a count of at most {limit} ({what})", value, start)
        return value

    def expect(self, read: Callable[[str], _T], what: str, *wanted: _T) -> _T:
        """Read a value that has to be one of `wanted`."""
        start = self.offset
        value = read(what)
        if value not in wanted:
            choices = " or ".join(repr(choice) for choice in wanted)
            self.refuse(f"{what} {choices}", repr(value), start)
        return value

    def tensor(self, what: str) -> FloatArray:
        """A tensor of four dimensions (samples, channels, rows, columns), float32."""
        self.expect(self.integer, f"version of the tensor ({what})", _TENSOR_VERSION)
        shape = self._dimensions(what)
        values = self.raw(4 * math.prod(shape), f"float32 values of {what} {shape}")
        return np.frombuffer(values, "<f4").astype(np.float32).reshape(shape)

    def alias(self, what: str) -> tuple[int, ...]:
        """The shape of an alias tensor: a window on another tensor's values."""
        self.expect(self.integer, f"version of the alias tensor ({what})", _ALIAS_VERSION)
        return self._dimensions(what)

    def end(self) -> None:
        """Nothing may follow."""
        left = len(self._data) - self.offset
        if left:
            self.refuse("the end of the file", f"{left} more bytes")

    def _dimensions(self, what: str) -> tuple[int, ...]:
        return tuple(self.count(f"dimension of {what}", limit=1 << 24) for _ in range(4))
