"""From an aligned chip to dlib's face descriptor."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from ostiary.errors import ModelInvalid
from ostiary.vision.align import CHIP_SIZE
from ostiary.vision.arrays import FloatArray
from ostiary.vision.runtime import open_session, provider_in_use

DIMENSIONS = 128


@dataclass(frozen=True, slots=True)
class Embedder:
    """dlib's ResNet of 29 convolutions in ONNX Runtime. Safe to share between threads.

    Chips run one by one: at a door there is rarely more than one, and a batch saves no time.
    """

    session: ort.InferenceSession

    @classmethod
    def load(cls, path: Path, provider: str = "cpu", threads: int = 1) -> Self:
        """Open the file. Raises ModelMissing, or ModelInvalid when it is another network."""
        session = open_session(path, provider, threads, batch=1)
        if [each.shape for each in session.get_outputs()] != [[1, DIMENSIONS]]:
            raise ModelInvalid(f"{path}: not the descriptor network written by ostiary-export.")
        return cls(session)

    @property
    def provider(self) -> str:
        """The execution provider in use: "cpu", "openvino", …"""
        return provider_in_use(self.session)

    def embed(self, chips: NDArray[np.uint8]) -> FloatArray:
        """(N, 150, 150, 3) RGB uint8 to (N, 128) float32 descriptors."""
        if chips.shape[1:] != (CHIP_SIZE, CHIP_SIZE, 3):
            raise ValueError(f"chips are (N, 150, 150, 3), not {chips.shape}")
        planes = np.ascontiguousarray(chips.transpose(0, 3, 1, 2), np.float32)
        rows = [
            self.session.run(["descriptor"], {"chip": plane[np.newaxis]})[0] for plane in planes
        ]
        return np.concatenate(rows) if rows else np.empty((0, DIMENSIONS), np.float32)
