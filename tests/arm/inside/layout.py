"""Whether ONNX Runtime runs the networks in its blocked layout here: prints the machine, and the
count of operators that only exist in that layout."""

import platform
import sys
import tempfile
from pathlib import Path

import onnxruntime as ort

from ostiary.vision.models import liveness_files, models_directory


def main() -> None:
    (liveness,) = liveness_files("v2")
    options = ort.SessionOptions()
    options.log_severity_level = 3
    with tempfile.TemporaryDirectory() as folder:
        as_run = Path(folder) / "as_run.onnx"
        options.optimized_model_filepath = str(as_run)
        model = models_directory() / liveness
        ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        sys.stdout.write(f"{platform.machine()} {as_run.read_bytes().count(b'Reorder')}\n")


if __name__ == "__main__":
    main()
