"""A door tells nobody what it sees: not even the maker of its libraries."""

import os
import subprocess
import sys
from pathlib import Path

LOAD = """
import sys
from pathlib import Path
from ostiary.settings import VisionSettings
from ostiary.vision.engine import VisionEngine
VisionEngine.load(VisionSettings(models=Path(sys.argv[1])))
"""
SUPPRESSED_IN = ("CI", "TF_BUILD", "GITHUB_ACTIONS", "ORT_DISABLE_TELEMETRY")


def test_loading_the_models_leaves_no_device_id_and_no_queue_of_reports(
    models: Path, tmp_path: Path
) -> None:
    environment = {key: value for key, value in os.environ.items() if key not in SUPPRESSED_IN}
    environment |= {"HOME": str(tmp_path)}
    environment.pop("XDG_CACHE_HOME", None)
    subprocess.run(
        [sys.executable, "-c", LOAD, str(models)], env=environment, check=True, timeout=60
    )
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
