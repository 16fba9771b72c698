"""The proof that the built SFace describes faces as the published file does."""

from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray

from ostiary.vision.runtime import open_session
from ostiary_export.report import Report
from ostiary_export.sface import only_the_picture_as_input

LIMIT = 1e-5
SAME_PERSON = 1.128
"""Euclidean, between unit vectors: what OpenCV's sample for `FaceRecognizerSF` uses."""

Rows = NDArray[np.float64]


def verify(published: Path, built: Iterable[Path], chips: NDArray[np.uint8]) -> list[Report]:
    """Compare each of the `built` files on (N, 112, 112, 3) RGB chips, one by one as the daemon
    runs them.

    Held against the published file twice: as OpenCV's DNN computes it, and as ONNX Runtime does
    with every optimisation off. The difference is the largest of a number of the normalised
    descriptor; a decision is whether two of the chips are one person, at a distance of at most
    1.128.
    """
    with TemporaryDirectory() as folder:
        plain = Path(folder) / "sface.onnx"
        onnx.save(only_the_picture_as_input(onnx.load(published)), plain)
        expected = (_by_opencv(plain, chips), _by_plain_graph(plain, chips))
    return [_report(file, chips, expected) for file in built]


def _report(built: Path, chips: NDArray[np.uint8], expected: Iterable[Rows]) -> Report:
    session = open_session(built, batch=1)
    found = unit([session.run(["descriptor"], {"chip": _planes(chip)})[0][0] for chip in chips])
    difference = max(float(np.abs(found - each).max()) for each in expected)
    differing = max(int((_decisions(found) != _decisions(each)).sum()) for each in expected)
    return Report(built.name, len(chips), difference, LIMIT, differing)


def unit(rows: list[NDArray[np.float32]]) -> Rows:
    """(N, 128), each of length 1."""
    matrix = np.stack(rows).astype(np.float64)
    return np.asarray(matrix / np.linalg.norm(matrix, axis=1, keepdims=True))


def _by_opencv(plain: Path, chips: NDArray[np.uint8]) -> Rows:
    recognizer = cv2.FaceRecognizerSF.create(str(plain), "")
    # It takes BGR, and swaps to the RGB that the network was trained with.
    rows = [recognizer.feature(np.ascontiguousarray(chip[..., ::-1])) for chip in chips]
    return unit([np.array(row[0], np.float32) for row in rows])


def _by_plain_graph(plain: Path, chips: NDArray[np.uint8]) -> Rows:
    options = ort.SessionOptions()
    options.log_severity_level = 3  # it warns of what the unoptimised graph has too much
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(plain, options, providers=["CPUExecutionProvider"])
    return unit([session.run(["fc1"], {"data": _planes(chip)})[0][0] for chip in chips])


def _planes(chip: NDArray[np.uint8]) -> NDArray[np.float32]:
    return np.ascontiguousarray(chip.transpose(2, 0, 1), np.float32)[np.newaxis]


def _decisions(rows: Rows) -> NDArray[np.bool_]:
    apart = np.linalg.norm(rows[:, np.newaxis] - rows[np.newaxis], axis=2)
    return np.asarray(apart <= SAME_PERSON)
