"""dlib's face descriptor of one aligned chip, one thread: ours beside the wheel `dlib-bin`."""

from collections.abc import Iterator

import cv2
import dlib
import numpy as np
from numpy.typing import NDArray

from bench.harness import MODELS, PORTRAITS, Line, compare
from ostiary.vision.align import LandmarkPredictor, face_chip
from ostiary.vision.detect import YuNetDetector
from ostiary.vision.dlib import Embedder
from ostiary.vision.face import square_of
from ostiary.vision.models import DLIB_RESNET, LANDMARKS5, YUNET
from ostiary_export.dlib_models import model_path
from ostiary_export.dlib_network import FILE

ROUNDS = 40


def chip() -> NDArray[np.uint8]:
    """(150, 150, 3) RGB: a real face, aligned."""
    bgr = np.asarray(cv2.imread(str(PORTRAITS / "obama.jpg")), np.uint8)
    (face,) = YuNetDetector(MODELS / YUNET).detect(bgr)
    rgb = np.ascontiguousarray(bgr[..., ::-1])
    points = LandmarkPredictor.load(MODELS / LANDMARKS5).predict(rgb, square_of(face.box))
    return face_chip(rgb, points)


def run() -> Iterator[Line]:
    """One line. The wheel computes on one thread, too: it is built without BLAS."""
    seen = chip()
    embedder = Embedder.load(MODELS / DLIB_RESNET)
    network = dlib.face_recognition_model_v1(str(model_path(FILE)))

    def ours() -> NDArray[np.float32]:
        return np.asarray(embedder.embed(seen[np.newaxis])[0], np.float32)

    def reference() -> NDArray[np.float64]:
        return np.array(network.compute_face_descriptor(seen))

    difference = float(np.abs(ours() - reference()).max())
    yield compare("descriptor_vs_dlib_wheel", ours, reference, ROUNDS, difference)
