"""Compares events from their commit to their PUBACK with another commit of this project, in turns.

`python -m bench.beside COMMIT [ROUNDS]` takes the other's code from git and prints one JSON line.
Ours is sealed and chained; the other is as it was, on its own database, at the same broker. It has
to have a door without a camera (`testing.doorway`), and to run with the installed libraries.
"""

import base64
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import asdict
from datetime import UTC, datetime
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from bench.harness import MODELS, Line
from testing.broker import Mosquitto

HOME = Path(__file__).resolve().parent.parent
EVENTS_A_TURN, ROUNDS = 200, 25
PEOPLE = 100


class Side:
    """A door in a process of its own, with the code in `tree`."""

    def __init__(self, name: str, tree: Path, folder: Path, port: int, key: Path | None) -> None:
        path = os.pathsep.join((str(tree / "daemon"), str(tree)))
        arguments = [name, str(folder / name), str(port), str(key or ""), str(MODELS.absolute())]
        self._process = subprocess.Popen(
            [sys.executable, "-P", str(Path(__file__).resolve()), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd=tree,
            env={**os.environ, "PYTHONPATH": path},
        )
        self._answer()

    def turn(self) -> float:
        """Milliseconds an event."""
        assert self._process.stdin is not None
        print(EVENTS_A_TURN, file=self._process.stdin, flush=True)
        return 1000 * self._answer() / EVENTS_A_TURN

    def _answer(self) -> float:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("took "):
                return float(line.removeprefix("took "))
        raise RuntimeError("that side does not run; start it by hand to see why")

    def __enter__(self) -> "Side":
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(10)


def has(commit: str) -> bool:
    """Whether it is at hand; a clone without history has it not."""
    known = ["git", "-C", str(HOME), "cat-file", "-e", f"{commit}^{{commit}}"]
    return subprocess.run(known, check=False, capture_output=True).returncode == 0


def beside(commit: str, rounds: int = ROUNDS) -> Line:
    """Medians of ours and the other's; the ratio is the median of the turns' ratios."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as closing:
        folder = Path(name)
        tree, key = folder / "tree", folder / "store.key"
        tree.mkdir()
        packed = subprocess.run(
            ["git", "-C", str(HOME), "archive", commit], check=True, capture_output=True
        ).stdout
        subprocess.run(["tar", "-x", "-C", str(tree)], input=packed, check=True)
        key.write_bytes(base64.b64encode(b"a key of the bench, 32 bytes or so"))
        key.chmod(0o600)
        broker = closing.enter_context(Mosquitto(folder / "broker", persistent=False))
        ours = closing.enter_context(Side("ours", HOME, folder, broker.port, key))
        other = closing.enter_context(Side("other", tree, folder, broker.port, None))
        taken: list[tuple[float, float]] = []
        for number in range(rounds + 2):
            theirs = None if number % 2 else other.turn()  # who is first has the quieter machine
            mine = ours.turn()
            taken.append((mine, other.turn() if theirs is None else theirs))
        del taken[:2]
    us, them = (statistics.median(each) for each in zip(*taken, strict=True))
    ratio = statistics.median(theirs / mine for mine, theirs in taken)
    return Line(f"event_rate_vs_{commit}", us, them, ratio, None)


def decide(events: Any, number: int) -> None:
    """Record a grant, also by a commit before `messages.decision`."""
    about: dict[str, Any] = {
        "reason": "granted",
        "username": f"person {number % PEOPLE}",
        "distance": 0.31,
        "liveness": 0.99,
        "threshold": 0.5,
        "recognizer": "sface",
    }
    told: dict[str, Any] = {"source": "front", "now": datetime(2026, 11, 24, tzinfo=UTC)}
    if find_spec("ostiary.messages.decision"):
        from ostiary.messages.decision import Decision
        from ostiary.messages.words import Reason

        events.append_login(Decision(**about | {"reason": Reason.GRANTED}), **told)
    else:
        events.append_login(success=True, message="Welcome, somebody.", **about, **told)


def serve(name: str, folder: Path, port: int, key: str, models: Path) -> None:
    """Run one side: for each number that is read, decide so many events, and print how long they
    took, in s."""
    from ostiary.settings import VisionSettings
    from ostiary.vision.engine import VisionEngine

    # Commits before `testing/` have their doors among the tests.
    home = "testing" if find_spec("testing") else "tests.integration"
    doors = import_module(f"{home}.doorway")
    folder.mkdir()
    store = {"path": folder / "ostiary.db"} | ({"key_file": Path(key)} if key else {})
    settings = doors.door_settings(folder, port, device={"id": name}, store=store)
    engine = VisionEngine.load(VisionSettings(models=models))
    with doors.Doorway(settings, engine) as door:
        wake = getattr(door.mqtt, "wake", lambda: None)  # older ones are told of each commit
        print("took 0", flush=True)
        for line in sys.stdin:
            begun = time.perf_counter()
            for number in range(int(line)):
                decide(door.events, number)
                wake()
            while door.events.queue_length():
                time.sleep(0.001)
            print("took", time.perf_counter() - begun, flush=True)


if __name__ == "__main__":
    if len(sys.argv) > 3:
        serve(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4], Path(sys.argv[5]))
    else:
        print(json.dumps(asdict(beside(sys.argv[1], *map(int, sys.argv[2:])))))
