"""dlib's 5-point shape predictor, read from dlib's own file and written as plain arrays.

The file is `shape_predictor_5_face_landmarks.dat` by Davis King (public domain), in the package
`face_recognition_models`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import dlib
import numpy as np
from numpy.typing import NDArray

from ostiary.vision.align import POINTS, VERSION, LandmarkPredictor, face_chip
from ostiary.vision.arrays import RGBImage
from ostiary.vision.face import Box
from ostiary.vision.models import LANDMARKS5
from ostiary_export.dlib_format import DlibReader
from ostiary_export.dlib_models import model_path
from ostiary_export.report import Report

FILE = "shape_predictor_5_face_landmarks.dat"
MOST = 1 << 16
CHIP_LIMIT = 1.0


@dataclass(frozen=True, slots=True)
class Tree:
    """`splits` are (first pixel, second pixel, threshold); `leaves` is (splits + 1, 10)."""

    splits: list[tuple[int, int, float]]
    leaves: NDArray[np.float32]


def read(path: Path) -> dict[str, NDArray[np.generic]]:
    """The arrays of `ostiary.vision.align`, by name.

    Raises ModelMissing, or ModelInvalid if the file is cut short or holds another predictor.
    """
    reader = DlibReader.open(path)
    reader.expect(reader.integer, "version of the shape predictor", 1)
    initial = _column(reader, "initial shape")
    forests = [
        [_tree(reader) for _ in range(reader.count("trees of a forest", MOST))]
        for _ in range(reader.count("forests", MOST))
    ]
    stages = range(len(forests))
    _count(reader, "lists of anchors", len(stages))
    anchors = [
        [reader.count("anchor", POINTS - 1) for _ in range(reader.count("anchors", MOST))]
        for _ in stages
    ]
    _count(reader, "lists of offsets", len(stages))
    deltas = [
        [
            (reader.number("offset"), reader.number("offset"))
            for _ in range(reader.count("offsets", MOST))
        ]
        for _ in stages
    ]
    reader.end()
    splits = np.array([[tree.splits for tree in forest] for forest in forests])
    return {
        "version": np.array(VERSION),
        "source_sha256": np.array(reader.sha256),
        "initial": initial.reshape(POINTS, 2),
        "first": splits[..., 0].astype(np.uint16),
        "second": splits[..., 1].astype(np.uint16),
        "threshold": splits[..., 2].astype(np.float32),
        "leaves": np.array([[tree.leaves for tree in forest] for forest in forests]),
        "anchors": np.array(anchors, np.uint8),
        "deltas": np.array(deltas, np.float32),
    }


def build(source: Path, target: Path) -> None:
    """Write the forest in `source` as the NumPy file `target`."""
    arrays = read(source)
    with target.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]


def verify(built: Path, faces: Iterable[tuple[RGBImage, Box]]) -> tuple[Report, Report]:
    """Compare points and chips with dlib's, for faces in the squares of its HOG detector.

    The first report is about the points (in pixels; none may differ), the second about the chips
    (in grey levels; at most one).
    """
    ours = LandmarkPredictor.load(built)
    theirs = dlib.shape_predictor(str(model_path(FILE)))
    points_apart, chips_apart, count = 0.0, 0.0, 0
    for rgb, box in faces:
        left, top = round(box.x), round(box.y)
        square = dlib.rectangle(left, top, round(box.right) - 1, round(box.bottom) - 1)
        shape = theirs(rgb, square)
        expected = np.array([[point.x, point.y] for point in shape.parts()], np.float32)
        found = ours.predict(rgb, box)
        chip = dlib.get_face_chip(rgb, shape, 150, 0.25).astype(np.int16)
        points_apart = max(points_apart, float(np.abs(found - expected).max()))
        chips_apart = max(chips_apart, float(np.abs(face_chip(rgb, found) - chip).max()))
        count += 1
    return (
        Report(LANDMARKS5, count, points_apart, 0.0, 0),
        Report(LANDMARKS5, count, chips_apart, CHIP_LIMIT, 0),
    )


def _tree(reader: DlibReader) -> Tree:
    splits = [
        (
            reader.count("first pixel", MOST),
            reader.count("second pixel", MOST),
            reader.number("threshold"),
        )
        for _ in range(reader.count("splits", MOST))
    ]
    _count(reader, "leaves", len(splits) + 1)
    return Tree(splits, np.array([_column(reader, "leaf") for _ in range(len(splits) + 1)]))


def _column(reader: DlibReader, what: str) -> NDArray[np.float32]:
    """A matrix of one column: dlib writes its sizes negative, to tell a newer format."""
    reader.expect(reader.integer, f"rows of the {what}", -2 * POINTS)
    reader.expect(reader.integer, f"columns of the {what}", -1)
    return np.array([reader.number(what) for _ in range(2 * POINTS)], np.float32)


def _count(reader: DlibReader, what: str, wanted: int) -> None:
    reader.expect(reader.integer, f"number of {what}", wanted)
