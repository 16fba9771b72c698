"""Can pictures of strangers be decoded where they can do no harm?"""

from collections.abc import Iterator

import numpy as np

from ostiary.decoding.decoder import Decoder
from ostiary.errors import OstiaryError
from ostiary.service.doctor.check import Check, green, red
from ostiary.vision.image import ImageLimits, encode_jpeg

SMALL = ImageLimits(bytes=100_000, pixels=10_000, side=100)


def check_decoder() -> Iterator[Check]:
    """Starts the process, and lets it decode one picture."""
    picture = encode_jpeg(np.zeros((64, 64, 3), np.uint8))
    try:
        with Decoder(SMALL) as decoder:
            decoder.decode(picture)
    except OstiaryError as error:
        advice = "apt install libseccomp2. Until then pictures in commands are refused."
        yield red("decoder", error.message, advice)
    else:
        yield green("decoder", "pictures are decoded by a process that can do nothing else")
