"""What counts as an image, and how it comes out."""

import struct
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ostiary.errors import ImageInvalid, ImageTooLarge
from ostiary.vision.arrays import BGRImage
from ostiary.vision.image import ImageLimits, decode_image, encode_jpeg, jpeg_within

WIDTH, HEIGHT = 48, 32

JPEG, PROGRESSIVE, PNG, WEBP, LOSSLESS_WEBP = "jpeg", "progressive jpeg", "png", "webp", "vp8l"
KINDS: dict[str, tuple[str, list[int]]] = {
    JPEG: (".jpg", [cv2.IMWRITE_JPEG_QUALITY, 95]),
    PROGRESSIVE: (".jpg", [cv2.IMWRITE_JPEG_PROGRESSIVE, 1, cv2.IMWRITE_JPEG_QUALITY, 95]),
    PNG: (".png", []),
    WEBP: (".webp", [cv2.IMWRITE_WEBP_QUALITY, 95]),
    LOSSLESS_WEBP: (".webp", [cv2.IMWRITE_WEBP_QUALITY, 101]),
}


def picture() -> BGRImage:
    """Blue on the left, red on the right, the top half brighter."""
    bgr = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    bgr[:, : WIDTH // 2, 0] = 120
    bgr[:, WIDTH // 2 :, 2] = 120
    bgr[: HEIGHT // 2] *= 2
    return bgr


def encoded(kind: str) -> bytes:
    extension, options = KINDS[kind]
    return cv2.imencode(extension, picture(), options)[1].tobytes()


def with_orientation(jpeg: bytes, orientation: int) -> bytes:
    """The JPEG with an EXIF block that holds only tag 0x0112."""
    tiff = b"II*\0" + struct.pack("<IHHHIHHI", 8, 1, 0x0112, 3, 1, orientation, 0, 0)
    body = b"Exif\0\0" + tiff
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", 2 + len(body)) + body + jpeg[2:]


def png_that_claims(width: int, height: int) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        checked = kind + body
        return struct.pack(">I", len(body)) + checked + struct.pack(">I", zlib.crc32(checked))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b""))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("kind", KINDS)
def test_jpeg_png_and_webp_come_out_as_bgr(kind: str) -> None:
    bgr = decode_image(encoded(kind))
    assert bgr.shape == (HEIGHT, WIDTH, 3)
    assert bgr.dtype == np.uint8
    assert np.abs(bgr[8, 8].astype(int) - [240, 0, 0]).max() < 12
    assert np.abs(bgr[8, 40].astype(int) - [0, 0, 240]).max() < 12


@pytest.mark.parametrize("kind", KINDS)
def test_an_image_cut_short_anywhere_is_refused(kind: str) -> None:
    data = encoded(kind)
    for length in range(len(data)):
        with pytest.raises(ImageInvalid):
            decode_image(data[:length])


@pytest.mark.parametrize(
    ("orientation", "bright_side"),
    [(1, "top"), (3, "bottom"), (6, "right"), (8, "left")],
)
def test_a_photo_taken_on_the_side_is_turned_upright(orientation: int, bright_side: str) -> None:
    bgr = decode_image(with_orientation(encoded(JPEG), orientation))
    upright = bright_side in {"top", "bottom"}
    assert bgr.shape[:2] == ((HEIGHT, WIDTH) if upright else (WIDTH, HEIGHT))
    sides = {
        "top": bgr[:4].mean(),
        "bottom": bgr[-4:].mean(),
        "left": bgr[:, :4].mean(),
        "right": bgr[:, -4:].mean(),
    }
    assert max(sides, key=lambda side: sides[side]) == bright_side


@pytest.mark.parametrize(
    ("made", "name"),
    [
        (cv2.imencode(".png", np.full((8, 8), 7, np.uint8))[1], "grey"),
        (cv2.imencode(".png", np.full((8, 8, 4), 7, np.uint8))[1], "transparent"),
        (cv2.imencode(".png", np.full((8, 8, 3), 7 * 257, np.uint16))[1], "16 bits"),
    ],
)
def test_other_pixel_formats_become_eight_bit_bgr(made: np.ndarray, name: str) -> None:
    bgr = decode_image(made.tobytes())
    assert bgr.shape == (8, 8, 3), name
    assert bgr.dtype == np.uint8
    assert (bgr == 7).all()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"hello",
        b"GIF89a" + bytes(100),
        b"BM" + bytes(100),
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"\xff\xd8\xff",
        b"\x89PNG\r\n\x1a\n",
        b"RIFF\x10\0\0\0WEBPVP8 \x04\0\0\0abcd",
        b"RIFF",
    ],
)
def test_what_is_no_image_is_refused(data: bytes) -> None:
    with pytest.raises(ImageInvalid):
        decode_image(data)


@given(st.binary(max_size=200), st.sampled_from(sorted(KINDS)), st.integers(0, 400))
def test_damage_is_refused_or_decoded_but_never_anything_else(
    damage: bytes, kind: str, at: int
) -> None:
    data = bytearray(encoded(kind))
    at %= len(data)
    data[at : at + len(damage)] = damage
    try:
        bgr = decode_image(bytes(data), ImageLimits(pixels=10_000))
    except (ImageInvalid, ImageTooLarge):
        return
    assert bgr.ndim == 3
    assert bgr.shape[0] * bgr.shape[1] <= 10_000


def test_a_png_bomb_is_refused_by_its_header_before_decoding() -> None:
    with pytest.raises(ImageTooLarge, match="60000×60000"):
        decode_image(png_that_claims(60_000, 60_000))


def test_a_png_without_pixels_is_invalid() -> None:
    with pytest.raises(ImageInvalid):
        decode_image(png_that_claims(0, 10))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "limits",
    [
        ImageLimits(bytes=20),
        ImageLimits(pixels=WIDTH * HEIGHT - 1),
        ImageLimits(side=WIDTH - 1),
    ],
)
def test_an_image_over_a_limit_is_too_large(kind: str, limits: ImageLimits) -> None:
    with pytest.raises(ImageTooLarge):
        decode_image(encoded(kind), limits)


@pytest.mark.parametrize("kind", KINDS)
def test_an_image_at_the_limits_is_taken(kind: str) -> None:
    data = encoded(kind)
    limits = ImageLimits(bytes=len(data), pixels=WIDTH * HEIGHT, side=WIDTH)
    assert decode_image(data, limits).shape == (HEIGHT, WIDTH, 3)


def test_encode_jpeg_writes_what_decode_image_reads() -> None:
    back = decode_image(encode_jpeg(picture(), quality=95))
    assert np.abs(back.astype(int) - picture()).mean() < 4


def test_an_empty_picture_is_not_written() -> None:
    with pytest.raises(ImageInvalid):
        encode_jpeg(np.zeros((0, 0, 3), np.uint8))


@pytest.mark.parametrize(
    ("start", "kind"),
    [
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC"),
        (b"\0\0\0\x24ftypheix\0\0\0\0mif1MiHEheix", "HEIC"),
        (b"\0\0\0\x1cftypmif1\0\0\0\0mif1heicmiaf", "HEIC"),
        (b"\0\0\0\x1cftypavif\0\0\0\0avifmif1miaf", "AVIF"),
        (b"\0\0\0\x1cftypmif1\0\0\0\0mif1avifmiaf", "AVIF"),
        (b"GIF89a\x01\0\x01\0", "GIF"),
        (b"II*\0\x08\0\0\0", "TIFF"),
        (b"BM\x36\0\0\0", "BMP"),
        (b"%PDF-1.7", "PDF"),
    ],
)
def test_pictures_of_other_kinds_are_named_with_what_to_do(start: bytes, kind: str) -> None:
    with pytest.raises(ImageInvalid, match=rf"{kind} pictures are not read. Export it as JPEG"):
        decode_image(start + bytes(200))


def test_an_avif_picture_is_named_though_the_decoder_could_read_it() -> None:
    done, avif = cv2.imencode(".avif", np.zeros((64, 64, 3), np.uint8))
    assert done
    with pytest.raises(ImageInvalid, match="AVIF pictures"):
        decode_image(avif.tobytes())


def test_what_begins_like_a_film_or_like_nothing_is_no_picture() -> None:
    for data in (b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom", b"", b"\0\0\0\x18ftyp", b"hello"):
        with pytest.raises(ImageInvalid, match="Not an image"):
            decode_image(data)


def test_a_picture_of_fifty_megapixels_is_refused_with_what_to_do() -> None:
    head = bytearray(cv2.imencode(".jpg", np.zeros((16, 16, 3), np.uint8))[1].tobytes())
    frame = head.index(b"\xff\xc0")
    head[frame + 5 : frame + 9] = (6120).to_bytes(2, "big") + (8160).to_bytes(2, "big")
    with pytest.raises(ImageTooLarge, match=r"8160×6120 pixels.*Shrink it"):
        decode_image(bytes(head))


@pytest.mark.parametrize(("height", "width"), [(1080, 1920), (1920, 1080), (480, 640), (40, 30)])
def test_any_picture_fits_into_what_is_allowed(height: int, width: int) -> None:
    """Noise is what a JPEG makes least small."""
    noise = np.random.default_rng(1).integers(0, 256, (height, width, 3), np.uint8)
    jpeg = jpeg_within(noise, 30_000, 640)
    shown = decode_image(jpeg)
    assert len(jpeg) <= 30_000
    assert shown.shape[1] <= min(640, width)
    assert abs(shown.shape[0] / shown.shape[1] - height / width) < 0.02 * height / width


def test_a_picture_that_fits_keeps_its_size() -> None:
    assert decode_image(jpeg_within(picture(), 30_000, 640)).shape == picture().shape


def test_even_one_pixel_fits_into_a_kilobyte() -> None:
    assert len(jpeg_within(picture(), 700, 640)) <= 700
