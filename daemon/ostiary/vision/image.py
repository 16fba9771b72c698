"""Bytes in, BGR out: only whole JPEG, PNG and WebP images of a bounded size.

The kind is told by the content, never by a name, and the dimensions are read from the header,
so that a small file cannot make the decoder allocate gigabytes.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from struct import Struct

import cv2
import numpy as np

from ostiary.errors import ImageInvalid, ImageTooLarge
from ostiary.vision.arrays import BGRImage

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
PNG_HEAD = b"\0\0\0\x0dIHDR"
PNG_DEPTHS = (1, 2, 4, 8, 16)
BIG_32 = Struct(">I")
LITTLE_32 = Struct("<I")

# Start-of-frame markers: C0 to CF without DHT (C4), JPG (C8) and DAC (CC). ITU T.81, table B.1.
JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
# Markers that stand alone, with no length after them: TEM, RST0 to RST7, SOI.
JPEG_BARE = frozenset({0x01, *range(0xD0, 0xD9)})
JPEG_SCAN = 0xDA
JPEG_END = b"\xff\xd9"
JPEG_MOST_SCANS = 100
"""A progressive JPEG has about ten. Each further one costs a pass over the whole picture, and
hardly a byte."""

BRANDS = {
    "AVIF": frozenset({b"avif", b"avis"}),
    "HEIC": frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}),
}
OTHER_KINDS = {
    b"GIF8": "GIF",
    b"BM": "BMP",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"\xff\x0a": "JPEG XL",
    b"\0\0\0\x0cJXL ": "JPEG XL",
    b"\0\0\0\x0cjP  ": "JPEG 2000",
    b"%PDF": "PDF",
    b"8BPS": "Photoshop",
}
"""First bytes of other kinds of pictures that people send."""


@dataclass(frozen=True, slots=True)
class ImageLimits:
    """The largest accepted image: bytes of the file, width × height, and either side in pixels."""

    bytes: int = 8 * 1024 * 1024
    pixels: int = 25_000_000
    side: int = 10_000


def decode_image(data: bytes, limits: ImageLimits | None = None) -> BGRImage:
    """Decode to (height, width, 3) uint8, BGR, turned upright by the file's EXIF orientation.

    Raises ImageTooLarge before anything is decoded, and ImageInvalid for whatever is not a whole
    still JPEG, PNG or WebP image (cut short, animated, damaged).
    """
    limits = limits or ImageLimits()
    if len(data) > limits.bytes:
        raise ImageTooLarge(
            f"The image has {len(data)} bytes; at most {limits.bytes} are taken. Shrink it."
        )
    width, height = _dimensions(data)
    if width > limits.side or height > limits.side or width * height > limits.pixels:
        raise ImageTooLarge(
            f"The image is {width}×{height} pixels; at most {limits.pixels} pixels and "
            f"{limits.side} a side are taken. Shrink it: a face of 250 pixels is enough."
        )
    try:
        bgr = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:
        bgr = None
    if bgr is None or bgr.shape[:2] not in {(height, width), (width, height)}:
        raise ImageInvalid("The image is damaged. Send a whole JPEG, PNG or WebP file.")
    return np.asarray(bgr, np.uint8)


def encode_jpeg(bgr: BGRImage, quality: int = 85) -> bytes:
    """A BGR image as JPEG; `quality` is 1 to 100. Raises ImageInvalid for an empty image."""
    try:
        done, encoded = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
    except cv2.error:
        done = False
    if not done:
        raise ImageInvalid(f"An image of shape {bgr.shape} cannot be written as JPEG.")
    return encoded.tobytes()


def jpeg_within(bgr: BGRImage, size: int, width: int) -> bytes:
    """A BGR image as a JPEG of at most `size` bytes (1000 or more) and `width` columns: with less
    quality, then smaller, until it fits. Raises ImageInvalid for an empty image."""
    while True:
        bgr = at_most_wide(bgr, width)
        for quality in (80, 65, 50):
            if len(jpeg := encode_jpeg(bgr, quality)) <= size:
                return jpeg
        width = bgr.shape[1] * 3 // 4


def at_most_wide(bgr: BGRImage, width: int) -> BGRImage:
    """The image [H, W, 3], made smaller where it has more than `width` columns."""
    height, before = bgr.shape[:2]
    if before <= width:
        return bgr
    size = width, max(1, round(height * width / before))
    return np.asarray(cv2.resize(bgr, size, interpolation=cv2.INTER_AREA), np.uint8)


def _dimensions(data: bytes) -> tuple[int, int]:
    """Width and height, each at least 1, by the header of a whole file."""
    if data.startswith(b"\xff\xd8\xff"):
        size = _jpeg_size(data)
    elif data.startswith(PNG_SIGNATURE):
        size = _png_size(data)
    elif data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        size = _webp_size(data)
    else:
        kind = _other_kind(data)
        if kind is None:
            raise ImageInvalid("Not an image. Send a JPEG, PNG or WebP file.")
        raise ImageInvalid(f"{kind} pictures are not read. Export it as JPEG, and send that.")
    if size is None or min(size) < 1:
        raise ImageInvalid("The image is cut short or its header is damaged. Send a whole file.")
    return size


def _other_kind(data: bytes) -> str | None:
    """The kind of a picture that is not read here; None where it is unknown."""
    if data[4:8] == b"ftyp":  # ISO/IEC 23008-12 (HEIF): the brand, and those it is compatible with
        length = min(int.from_bytes(data[:4], "big"), 256)
        brands = {data[at : at + 4] for at in (8, *range(16, length, 4))}
        return next((kind for kind, named in BRANDS.items() if brands & named), None)
    return next((kind for start, kind in OTHER_KINDS.items() if data.startswith(start)), None)


def _jpeg_size(data: bytes) -> tuple[int, int] | None:
    """From the first frame header. None unless a scan and the end marker follow it."""
    size = None
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # fill byte
            at += 1
        elif marker in JPEG_BARE:
            at += 2
        elif marker == JPEG_SCAN:
            # In the data of a scan 0xFF is followed by 0: what looks like a marker is one.
            scans = data.count(bytes((0xFF, JPEG_SCAN)), at)
            if scans > JPEG_MOST_SCANS:
                raise ImageTooLarge(
                    f"The image has {scans} scans; at most {JPEG_MOST_SCANS} are taken. Save it "
                    "as a baseline JPEG."
                )
            return size if data.find(JPEG_END, at) >= 0 else None
        else:
            length = int.from_bytes(data[at + 2 : at + 4], "big")
            if marker in JPEG_FRAMES:
                if size is not None or length < 8 or at + 9 > len(data):
                    return None
                height = int.from_bytes(data[at + 5 : at + 7], "big")
                width = int.from_bytes(data[at + 7 : at + 9], "big")
                size = width, height
            at += 2 + length
    return None


def _png_size(data: bytes) -> tuple[int, int] | None:
    """From IHDR. None unless whole chunks lead up to IEND: OpenCV allocates what a chunk says it
    holds before it looks whether there is so much (3 GB for a file of 45 bytes)."""
    at = len(PNG_SIGNATURE)
    if data[at : at + 8] != PNG_HEAD or len(data) < at + 25 or data[at + 16] not in PNG_DEPTHS:
        return None
    size = BIG_32.unpack_from(data, at + 8)[0], BIG_32.unpack_from(data, at + 12)[0]
    while at + 12 <= len(data):
        length = int(BIG_32.unpack_from(data, at)[0])
        if at + 12 + length > len(data):
            return None
        if data[at + 4 : at + 8] == b"IEND":
            return size
        at += 12 + length
    return None


def _webp_size(data: bytes) -> tuple[int, int] | None:
    """From VP8X, VP8L or VP8 (RFC 9649). None for a file cut short and for an animation."""
    if len(data) < 8 + LITTLE_32.unpack_from(data, 4)[0]:
        return None
    size = None
    for kind, body in _webp_chunks(data):
        if kind in {b"ANIM", b"ANMF"}:
            return None
        if kind == b"VP8X" and len(body) >= 10:
            size = size or (
                1 + int.from_bytes(body[4:7], "little"),
                1 + int.from_bytes(body[7:10], "little"),
            )
        elif kind == b"VP8L" and len(body) >= 5:
            bits = LITTLE_32.unpack_from(body, 1)[0]
            return size or (1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF))
        elif kind == b"VP8 " and len(body) >= 10:
            width = int.from_bytes(body[6:8], "little") & 0x3FFF
            height = int.from_bytes(body[8:10], "little") & 0x3FFF
            return size or (width, height)
    return None


def _webp_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 12
    while at + 8 <= len(data):
        length = LITTLE_32.unpack_from(data, at + 4)[0]
        yield data[at : at + 4], data[at + 8 : at + 8 + min(length, 16)]
        at += 8 + length + length % 2
