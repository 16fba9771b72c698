"""Keeps what `verify` found beside the models, and says whether it still holds.

A verdict is about the built files and about the code that runs them at the door: when either
changes, it is void.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

import ostiary.vision
from ostiary_export.build import code_of
from ostiary_export.files import sha256_of, written_whole
from ostiary_export.report import Report

RECORD = "verify.json"

_AT_THE_DOOR = ("align", "dlib", "liveness", "runtime", "sface")
_IN_VERIFY = (
    "crops",
    "dlib_landmarks",
    "dlib_resnet",
    "minifasnet",
    "sface",
    "sface_proof",
    "verify",
)


def write_record(reports: Iterable[Report], out: Path) -> Path:
    """Keep the reports, the hash of each file they are about, and that of the code."""
    entries = [
        {**asdict(report), "passed": report.passed, "sha256": sha256_of(out / report.name)}
        for report in reports
    ]
    record = {"code": _code(), "reports": entries}
    with written_whole(out / RECORD) as temporary:
        temporary.write_text(json.dumps(record, indent=2) + "\n", "utf-8")
    return out / RECORD


def is_verified(out: Path, names: Iterable[str]) -> bool:
    """Whether the record is about these files and this code as they are now, and all is equal."""
    try:
        record = json.loads((out / RECORD).read_text("utf-8"))
        if record["code"] != _code() or not all(entry["passed"] for entry in record["reports"]):
            return False
        known = {entry["name"]: entry["sha256"] for entry in record["reports"]}
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return False
    return all(
        (out / name).is_file() and known.get(name) == sha256_of(out / name) for name in names
    )


def _code() -> str:
    door = Path(ostiary.vision.__path__[0])
    return f"{code_of(_AT_THE_DOOR, door)}, {code_of(_IN_VERIFY)}"
