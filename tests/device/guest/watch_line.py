"""Run inside the machine: prints when a simulated GPIO line changes, `seconds level`, for as long
as asked. `watch_line.py LINE SECONDS`; seconds of time.monotonic()."""

import sys
import time
from pathlib import Path


def main() -> None:
    level = next(
        Path("/sys/devices/platform").glob(f"gpio-sim.*/gpiochip*/sim_gpio{sys.argv[1]}/value")
    )
    end = time.monotonic() + float(sys.argv[2])
    before = ""
    while (now := time.monotonic()) < end:
        value = level.read_text().strip()
        if value != before:
            sys.stdout.write(f"{now:.4f} {value}\n")
            sys.stdout.flush()
            before = value
        time.sleep(0.02)


main()
