"""Measures how often a mask or dark glasses, drawn on faces, are found: `python -m bench.covered
FOLDER`.

Takes pictures of FOLDER's sub-folders whose face is good enough to be enrolled: as they are, with a
mask, and with dark glasses. One JSON line each.
"""

import json
import sys
from pathlib import Path

import cv2
import numpy as np

from ostiary.settings import VisionSettings
from ostiary.vision.arrays import BGRImage
from ostiary.vision.detect import YuNetDetector
from ostiary.vision.face import Face
from ostiary.vision.models import YUNET, model_path, models_directory
from ostiary.vision.quality import Cover, assess, covered
from ostiary_export.evaluate.faces import IMAGES, central, enlarged
from testing.covering import with_dark_glasses, with_mask

MOST = 500
SEED = 19


def main(root: Path) -> None:
    """Measure on up to 500 pictures, drawn at random."""
    settings = VisionSettings()
    detector = YuNetDetector(model_path(models_directory(settings.models), YUNET))
    found = sorted(each for each in root.glob("*/*") if each.suffix.lower() in IMAGES)
    chosen = np.random.default_rng(SEED).permutation(len(found))[:MOST]
    counts = {"plain": [0, 0], "mask": [0, 0], "dark_glasses": [0, 0]}

    def good(bgr: BGRImage) -> Face | None:
        face = central(detector.detect(bgr, max(bgr.shape[:2])), bgr)
        return None if face is None or assess(bgr, face, settings.min_face_px).flaw else face

    for number, at in enumerate(chosen):
        picture = cv2.imread(str(found[at]), cv2.IMREAD_COLOR)
        bgr = enlarged(np.asarray(picture, np.uint8))
        face = good(bgr)
        if face is None or face.landmarks is None:
            continue
        shown = {
            "plain": bgr,
            "mask": with_mask(bgr, face.landmarks, number),
            "dark_glasses": with_dark_glasses(bgr, face.landmarks, number),
        }
        wanted = {"plain": tuple(Cover), "mask": (Cover.MOUTH,), "dark_glasses": (Cover.EYES,)}
        for kind, image in shown.items():
            seen = good(image)
            if seen is not None:
                counts[kind][1] += 1
                counts[kind][0] += covered(image, seen) in wanted[kind]
    for kind, (hidden, judged) in counts.items():
        line = {"bench": "covered", "kind": kind, "judged": judged, "found": hidden}
        print(json.dumps({**line, "share": round(hidden / max(1, judged), 4)}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
