"""Photos made as small as the broker wants them, and no smaller than recognition needs."""

import base64
from pathlib import Path

import cv2
import numpy as np
import pytest

from ostiary.cli.photos import ENVELOPE_BYTES, FACE_WIDTH, USUAL_BYTES, fit, read_photo
from ostiary.errors import ImageInvalid, RequestTooLarge
from ostiary.messages.commands.decisions import LoginRequest
from ostiary.vision.arrays import BGRImage
from ostiary.vision.detect import YuNetDetector
from ostiary.vision.image import ImageLimits, decode_image
from ostiary.vision.models import YUNET

ANY = ImageLimits(bytes=2**28, pixels=250_000_000, side=40_000)


@pytest.fixture(scope="module")
def photo(portraits: Path) -> bytes:
    return phone_photo(portraits)


def phone_photo(portraits: Path, width: int = 3000, *, quality: int = 97) -> bytes:
    """A portrait as a phone's sensor has it: many pixels, noise, no compression to speak of."""
    picture = cv2.imread(str(portraits / "obama.jpg"))
    assert picture is not None
    height = round(picture.shape[0] * width / picture.shape[1])
    large = cv2.resize(picture, (width, height), interpolation=cv2.INTER_CUBIC).astype(np.int16)
    noise = np.random.default_rng(1).integers(-12, 12, large.shape, np.int16)
    noisy = np.clip(large + noise, 0, 255).astype(np.uint8)
    return cv2.imencode(".jpg", noisy, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()


def face_width(models: Path, image: BGRImage) -> float:
    return YuNetDetector(models / YUNET).detect(image, 640)[0].box.width


@pytest.mark.parametrize("most", [1_400_000, 500_000, 96_000])
def test_a_phone_photo_fits_and_its_face_keeps_its_pixels(
    photo: bytes, models: Path, most: int
) -> None:
    assert len(photo) > 1_900_000
    fitted = fit(photo, most)
    assert fitted is not None
    assert len(fitted) <= most
    assert face_width(models, decode_image(fitted)) >= FACE_WIDTH


def test_it_is_made_no_smaller_than_it_has_to_be(photo: bytes) -> None:
    widths = [
        decode_image(fitted).shape[1]
        for most in (1_400_000, 96_000)
        if (fitted := fit(photo, most))
    ]
    assert widths[0] > 1.5 * widths[1]


def test_a_photo_that_fits_is_sent_as_it_is(portraits: Path) -> None:
    photo = (portraits / "obama.jpg").read_bytes()
    assert fit(photo, USUAL_BYTES) == photo
    assert base64.b64decode(read_photo(portraits / "obama.jpg", None)) == photo


@pytest.mark.thorough
def test_a_photo_of_more_pixels_than_the_door_takes_is_made_smaller(portraits: Path) -> None:
    photo = phone_photo(portraits, width=5000, quality=20)
    with pytest.raises(Exception, match="pixels"):
        decode_image(photo)
    fitted = fit(photo, len(photo) * 4)
    assert fitted is not None
    assert decode_image(fitted).shape[1] < 5000


def test_a_small_face_is_not_made_smaller(portraits: Path, models: Path) -> None:
    photo = phone_photo(portraits, width=600, quality=100)
    before = face_width(models, decode_image(photo))
    fitted = fit(photo, 120_000)
    assert fitted is not None
    assert face_width(models, decode_image(fitted)) == pytest.approx(before, rel=0.1)


def test_a_limit_too_small_for_a_face_is_named(photo: bytes, tmp_path: Path) -> None:
    path = tmp_path / "Ann.jpg"
    path.write_bytes(photo)
    with pytest.raises(RequestTooLarge, match=r"Ann\.jpg .* 3,500 at most.*250 pixels"):
        read_photo(path, 3500)


@pytest.mark.parametrize("limit", [128 * 1024, 2_000_000, 268_435_460, None])
def test_the_whole_command_fits_the_brokers_limit(
    photo: bytes, tmp_path: Path, limit: int | None
) -> None:
    path = tmp_path / "Ann.jpg"
    path.write_bytes(photo)
    text = read_photo(path, limit)
    assert len(text) + ENVELOPE_BYTES // 2 <= (limit or 2_000_000)


def test_what_is_no_image_is_sent_for_the_door_to_refuse_or_refused_here(tmp_path: Path) -> None:
    assert fit(b"no image", USUAL_BYTES) == b"no image"
    with pytest.raises(ImageInvalid):
        fit(b"no image" * USUAL_BYTES, USUAL_BYTES)
    path = tmp_path / "empty.jpg"
    path.write_bytes(b"")
    with pytest.raises(ImageInvalid, match="empty"):
        read_photo(path, None)


@pytest.mark.parametrize("line", ["\n", "\r\n", " ", "\t", "\n "])
def test_base64_with_line_breaks_is_taken(line: str) -> None:
    data = bytes(range(256)) * 3
    text = base64.b64encode(data).decode()
    broken = line.join(text[at : at + 76] for at in range(0, len(text), 76)) + line
    assert LoginRequest.model_validate({"image": broken}).image == data
    url = f"data:image/jpeg;base64,{broken}"
    assert LoginRequest.model_validate({"image": url}).image == data


@pytest.mark.parametrize("text", ["", "\n", "no base64!", "QUJ", "QQ==QQ=="])
def test_what_is_no_base64_is_still_refused(text: str) -> None:
    with pytest.raises(ValueError, match="base64"):
        LoginRequest.model_validate({"image": text})
