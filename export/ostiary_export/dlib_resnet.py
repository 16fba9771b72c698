"""dlib's face descriptor network as ONNX, and the proof that it is the same network."""

from collections.abc import Mapping
from pathlib import Path

import dlib
import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper

from ostiary.vision.dlib import Embedder
from ostiary.vision.models import DLIB_RESNET
from ostiary_export import __version__
from ostiary_export.dlib_graph import OPSET, graph
from ostiary_export.dlib_models import model_path
from ostiary_export.dlib_network import FILE, read
from ostiary_export.report import Report

SAME_PERSON = 0.6
LIMIT = 1e-5


def build(source: Path, target: Path, rates: Mapping[str, str]) -> None:
    """Write the network in dlib's file `source` as the ONNX file `target`, with the metadata
    `rates` in it.

    Input `chip` (batch, 3, 150, 150) float32 RGB 0–255, output `descriptor` (batch, 128). Raises
    ModelMissing, or ModelInvalid where the file is cut short or holds another network.
    """
    network = read(source)
    model = graph(network)
    helper.set_model_props(
        model,
        {
            "source_sha256": network.sha256,
            "colour_order": "RGB",
            "value_range": "0-255",
            "opset": str(OPSET),
            "exporter": f"ostiary-export {__version__}",
            **rates,
        },
    )
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, target)


def verify(built: Path, chips: NDArray[np.uint8]) -> Report:
    """Compare with dlib on (N, 150, 150, 3) RGB chips.

    A decision is whether two of the chips are one person, at a distance of at most 0.6.
    """
    theirs = dlib.face_recognition_model_v1(str(model_path(FILE)))
    expected = np.array([theirs.compute_face_descriptor(chip) for chip in chips])
    found = Embedder.load(built).embed(chips)
    differing = int((_decisions(found) != _decisions(expected)).sum())
    return Report(DLIB_RESNET, len(chips), float(np.abs(found - expected).max()), LIMIT, differing)


def _decisions(descriptors: NDArray[np.floating]) -> NDArray[np.bool_]:
    apart = np.linalg.norm(descriptors[:, np.newaxis] - descriptors[np.newaxis], axis=2)
    return np.asarray(apart <= SAME_PERSON)
