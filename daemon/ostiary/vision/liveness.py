"""Is this a live person, or a photo or a screen? MiniFASNet (minivision-ai, Apache-2.0).

The networks see a square of 80×80 BGR pixels as floats 0–255 (not scaled: the original's own
`ToTensor` does not divide) and give three logits; class 1 is *live*.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal, Self

import cv2
import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from ostiary.errors import ModelInvalid
from ostiary.vision.arrays import BGRImage, FloatArray
from ostiary.vision.detect import YuNetDetector
from ostiary.vision.face import Box
from ostiary.vision.last_layer import VETO, LastLayer
from ostiary.vision.models import YUNET, liveness_files, model_path, models_directory
from ostiary.vision.runtime import open_session, provider_in_use

INPUT_SIZE = 80
LIVE_CLASS = 1
SUREST = 150.0
"""Largest odds that one network among several may give: P(live) of 0.993, or of 0.007."""


def crop_window(width: int, height: int, box: Box, scale: float) -> tuple[int, int, int, int]:
    """The part of an image of `width` × `height` pixels that a network looks at.

    The box grown by `scale` about its centre, the growth capped so that it fits the image, and
    shifted inside. Returns left, top, right, bottom in pixels; right and bottom are included.
    Truncation is the original's, to the pixel. Raises ValueError when `box` has no area.
    """
    if not (box.width > 0 and box.height > 0):
        raise ValueError(f"a face's box needs a positive size, not {box.width} × {box.height}")
    scale = min(scale, (height - 1) / box.height, (width - 1) / box.width)
    left, right = _shifted_inside(box.x + box.width / 2, box.width * scale, width - 1)
    top, bottom = _shifted_inside(box.y + box.height / 2, box.height * scale, height - 1)
    return left, top, right, bottom


def _shifted_inside(centre: float, length: float, limit: int) -> tuple[int, int]:
    low, high = centre - length / 2, centre + length / 2
    if low < 0:
        low, high = 0.0, high - low
    if high > limit:
        low, high = low - (high - limit), float(limit)
    # Capped to the limit, a length may still miss it by the last bit of a float.
    return max(int(low), 0), min(int(high), limit)


def crop(bgr: BGRImage, box: Box, scale: float) -> BGRImage:
    """What a network sees of the face in `box`: (80, 80, 3) BGR uint8."""
    height, width = bgr.shape[:2]
    left, top, right, bottom = crop_window(width, height, box, scale)
    window = bgr[top : bottom + 1, left : right + 1]
    return np.asarray(cv2.resize(window, (INPUT_SIZE, INPUT_SIZE)), dtype=np.uint8)


def network_input(crops: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(N, 80, 80, 3) BGR uint8 to (N, 3, 80, 80) float32 in 0–255."""
    return np.ascontiguousarray(crops.transpose(0, 3, 1, 2), dtype=np.float32)


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """Softmax over the last dimension, in double precision."""
    wide = logits.astype(np.float64)
    powers = np.exp(wide - wide.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


@dataclass(frozen=True, slots=True)
class LivenessNetwork:
    """One MiniFASNet with the crop it was trained on. `weights`: the SHA-256 of what was published,
    whatever file that became."""

    session: ort.InferenceSession
    scale: float
    weights: str = ""

    @classmethod
    def load(cls, path: Path, provider: str = "cpu", threads: int = 1) -> Self:
        """Open the file. Raises ModelMissing, or ModelInvalid when it is not a MiniFASNet."""
        session = open_session(path, provider, threads, batch=1)
        about = session.get_modelmeta().custom_metadata_map
        if about.get("class_order", "").split(",")[LIVE_CLASS : LIVE_CLASS + 1] != ["live"]:
            raise ModelInvalid(f"{path}: not a MiniFASNet written by ostiary-export.")
        return cls(session, float(about["scale"]), about.get("source_sha256", ""))

    def probabilities(self, bgr: BGRImage, box: Box) -> NDArray[np.float64]:
        """The three classes' probabilities, (3,), for the face in `box` of a BGR image."""
        (logits,) = self._run(bgr, box, "logits")
        return softmax(logits[0])

    def look(self, bgr: BGRImage, box: Box) -> tuple[NDArray[np.float64], FloatArray]:
        """The probabilities, (3,), and the features, (512,) float32, that they are made of."""
        logits, features = self._run(bgr, box, "logits", "features")
        return softmax(logits[0]), features[0]

    def _run(self, bgr: BGRImage, box: Box, *outputs: str) -> list[FloatArray]:
        seen = network_input(crop(bgr, box, self.scale)[np.newaxis])
        return list(self.session.run(list(outputs), {"crop": seen}))


@dataclass(frozen=True, slots=True)
class LivenessModel:
    """MiniFASNetV2 alone, or V2 and V1SE together. Safe to share."""

    networks: tuple[LivenessNetwork, ...]

    @classmethod
    def load(
        cls,
        models: Path | None = None,
        kind: Literal["v2", "ensemble"] = "v2",
        provider: str = "cpu",
        threads: int = 1,
    ) -> Self:
        """Load from the folder `models` (None: where `models_directory` finds one)."""
        directory = models_directory(models)
        return cls(
            tuple(
                LivenessNetwork.load(model_path(directory, name), provider, threads)
                for name in liveness_files(kind)
            )
        )

    @property
    def provider(self) -> str:
        """The execution provider in use: "cpu", "openvino", …"""
        return provider_in_use(self.networks[0].session)

    def scores(self, bgr: BGRImage, box: Box) -> tuple[float, ...]:
        """Each network's P(live), 0 to 1; NaN where one answers with no number."""
        return tuple(
            float(network.probabilities(bgr, box)[LIVE_CLASS]) for network in self.networks
        )

    def score(self, bgr: BGRImage, box: Box, layer: LastLayer | None = None) -> float:
        """P(live), 0 to 1, by all networks; by a camera's own last layer, if given, where the
        networks are not sure that it is an attack. A network that gives no number counts as 0."""
        if layer is None:
            return together(self.scores(bgr, box))
        by_default, features = self.look(bgr, box)
        return by_default if by_default <= VETO else layer.probability(features)

    def look(self, bgr: BGRImage, box: Box) -> tuple[float, FloatArray]:
        """P(live) by the networks themselves, and V2's features, (512,), which a last layer reads.
        With V1SE's beside them, a layer judged people who were left out worse."""
        first, *others = self.networks
        probabilities, features = first.look(bgr, box)
        each = (probabilities, *(network.probabilities(bgr, box) for network in others))
        return together([float(one[LIVE_CLASS]) for one in each]), features


def together(scores: Sequence[float]) -> float:
    """P(live), 0 to 1, by several networks' P(live): the mean of their log odds, a logarithmic
    opinion pool (Genest and Zidek, "Combining Probability Distributions", 1986). No network counts
    for more than odds of SUREST, so that none outvotes another that is sure. NaN gives 0."""
    if not all(np.isfinite(scores)):
        return 0.0
    least = 1 / (1 + SUREST)
    sure = np.clip(scores, least, 1 - least) if len(scores) > 1 else np.asarray(scores)
    live, other = (np.prod(each) ** (1 / len(sure)) for each in (sure, 1 - sure))
    return float(live / (live + other))


@cache
def load_model(device_id: int = 0) -> LivenessModel:  # noqa: ARG001
    """MiniFASNetV2, loaded once. `device_id` is the first version's and has no effect."""
    return LivenessModel.load(kind="v2")


@cache
def _detector() -> YuNetDetector:
    return YuNetDetector(model_path(models_directory(), YUNET))


def check_liveness(bgr: BGRImage) -> bool:
    """Whether the largest face of a BGR image is live, by MiniFASNetV2 alone.

    As in the first version: the largest of the three classes is class 1. Without a face: False.
    """
    faces = _detector().detect(bgr)
    if not faces:
        return False
    (network,) = load_model().networks
    return int(np.argmax(network.probabilities(bgr, faces[0].box))) == LIVE_CLASS
