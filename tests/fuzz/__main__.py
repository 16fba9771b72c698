"""`python -m tests.fuzz --minutes 10`: coverage-guided fuzzing of every target, in turns.

Each target is a process of its own (atheris, libFuzzer underneath) that begins with the corpus. An
input that breaks one is put into the corpus as `found-…`: mend the fault and keep the file.
"""

import argparse
import hashlib
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.fuzz.seeds import write_seeds
from tests.fuzz.targets import TARGETS

CORPUS = Path(__file__).with_name("corpus")
NAMES = tuple(TARGETS)
LARGEST = 20_000
TIMEOUT_S = 10


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--only", choices=NAMES)
    given = parser.parse_args()
    write_seeds(CORPUS)
    names = NAMES if given.only is None else (given.only,)
    found = 0
    for name in names:
        found += fuzz(name, round(given.minutes * 60 / len(names)))
    print(f"{found} of {len(names)} targets broke")  # noqa: T201
    return 1 if found else 0


def fuzz(name: str, seconds: int) -> int:
    """1 where an input broke the target, which is then in the corpus; otherwise 0."""
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        grown = Path(folder) / "corpus"
        grown.mkdir()
        command = [
            *(sys.executable, "-m", "tests.fuzz.one", name),
            *(f"-max_total_time={seconds}", f"-max_len={LARGEST}", f"-timeout={TIMEOUT_S}"),
            *("-rss_limit_mb=2048", f"-artifact_prefix={folder}/found-", "-print_final_stats=1"),
            *(str(grown), str(CORPUS / name)),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        runs = [line for line in done.stderr.splitlines() if "number_of_executed_units" in line]
        executed = runs[0].split()[-1] if runs else "?"
        print(f"{name}: {executed} inputs in {seconds} s, status {done.returncode}")  # noqa: T201
        for artifact in Path(folder).glob("found-*"):
            data = artifact.read_bytes()
            kept = CORPUS / name / f"found-{hashlib.sha256(data).hexdigest()[:12]}"
            kept.write_bytes(data)
            print(f"  {kept}\n{done.stderr[-3000:]}")  # noqa: T201
            return 1
    return 1 if done.returncode else 0


if __name__ == "__main__":
    sys.exit(main())
