"""Run inside the machine: holds a card to the reader, and once that has opened the lock kills the
daemon (SIGKILL). `kill_while_open.py UNIT LINE CARD`; prints one JSON object, in seconds."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.device.guest.keypad import CARDS


def main() -> None:
    unit, number, card = sys.argv[1:]
    value = next(Path("/sys/devices/platform").glob(f"gpio-sim.*/gpiochip*/sim_gpio{number}/value"))

    def after_s(level: str, since: float) -> float:
        while value.read_text().strip() != level:
            assert time.monotonic() < since + 120, f"the line did not become {level}"
            time.sleep(0.001)
        return round(time.monotonic() - since, 4)

    show = ["systemctl", "show", "--value", "--property=MainPID", unit]
    pid = int(subprocess.run(show, capture_output=True, text=True, check=True).stdout)
    shown = time.monotonic()
    CARDS.write_text(f"{card}\n", encoding="ascii")
    opened_s = after_s("1", shown)
    os.kill(pid, signal.SIGKILL)
    released_s = after_s("0", time.monotonic())
    found = {"card_to_open_s": opened_s, "kill_to_released_s": released_s}
    sys.stdout.write(f"JSON {json.dumps(found)}\n")


main()
