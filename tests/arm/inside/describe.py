"""What the networks say of given crops: `python describe.py CROPS.npz ANSWERS.npz`.

`CROPS.npz` has `v2` and `v1se`, (N, 80, 80, 3) BGR, `sface`, (N, 112, 112, 3) RGB, and `dlib`,
(N, 150, 150, 3) RGB, all uint8; the answers are P(live), (N,), and descriptors, (N, 128), under the
same names, each by the file that suits this processor. `files` and `machine` say which these were.
"""

import platform
import sys
from pathlib import Path

import numpy as np

from ostiary.vision.dlib import DlibRecognizer
from ostiary.vision.liveness import LIVE_CLASS, LivenessModel, network_input, softmax
from ostiary.vision.models import liveness_files, models_directory, recognizer_files
from ostiary.vision.recognizer import Recognizer
from ostiary.vision.sface import SFaceRecognizer


def main(crops: Path, answers: Path) -> None:
    directory = models_directory()
    given = np.load(crops)
    said: dict[str, np.ndarray] = {}
    networks = LivenessModel.load(directory, "ensemble").networks
    for name, network in zip(("v2", "v1se"), networks, strict=True):
        logits = [
            network.session.run(["logits"], {"crop": network_input(crop[np.newaxis])})[0][0]
            for crop in given[name]
        ]
        said[name] = softmax(np.stack(logits))[:, LIVE_CLASS]
    recognizers: dict[str, Recognizer] = {
        "sface": SFaceRecognizer.load(directory),
        "dlib": DlibRecognizer.load(directory),
    }
    for name, recognizer in recognizers.items():
        said[name] = np.stack([recognizer.embed(chip) for chip in given[name]])
    files = [*liveness_files("ensemble"), *recognizer_files("sface"), *recognizer_files("dlib")]
    said |= {"files": np.array(files), "machine": np.array(platform.machine())}
    np.savez(answers, allow_pickle=False, **said)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
