"""SFace's descriptor of one aligned face, one thread: ours beside OpenCV's DNN."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
import onnx
from numpy.typing import NDArray

from bench.harness import MODELS, PORTRAITS, Line, compare
from ostiary.vision.detect import YuNetDetector
from ostiary.vision.models import YUNET
from ostiary.vision.sface import SFaceRecognizer
from ostiary_export.catalogue import load_catalogue
from ostiary_export.sface import only_the_picture_as_input

ROUNDS = 60


def run() -> Iterator[Line]:
    """One line; the difference is that of the normalised descriptor."""
    cv2.setNumThreads(1)
    recognizer = SFaceRecognizer.load(MODELS)
    bgr = np.asarray(cv2.imread(str(PORTRAITS / "obama.jpg")), np.uint8)
    (face,) = YuNetDetector(MODELS / YUNET).detect(bgr)
    chip = recognizer.align(bgr, face)
    swapped = np.ascontiguousarray(chip[..., ::-1])
    file = load_catalogue(Path("resources/models.toml")).sources["sface"].file
    with TemporaryDirectory() as folder:
        plain = Path(folder) / file
        onnx.save(only_the_picture_as_input(onnx.load(MODELS / "sources" / file)), plain)
        opencv = cv2.FaceRecognizerSF.create(str(plain), "")

        def ours() -> NDArray[np.float32]:
            return recognizer.embed(chip)

        def reference() -> NDArray[np.float32]:
            row = np.asarray(opencv.feature(swapped)[0], np.float32)
            return np.asarray(row / np.linalg.norm(row), np.float32)

        difference = float(np.abs(ours() - reference()).max())
        yield compare("sface_vs_opencv", ours, reference, ROUNDS, difference)
