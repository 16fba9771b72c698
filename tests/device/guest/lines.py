"""Run inside the machine: our relay, input lines and keypads on the kernel's own drivers. Prints
one JSON object, by scenario; one that failed has its error instead."""

import contextlib
import json
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ostiary.errors import InputUnavailable
from ostiary.hardware.gpio import GpioInputs, InputLine, Relay
from ostiary.hardware.input_device import InputDevice
from ostiary.settings import RelaySettings
from tests.device.guest.keypad import keypad, press

CHIP = Path("/dev/gpiochip0")
RELAY, CONTACT, BUTTON = 0, 3, 4
PULSE_S = 1.5
DEBOUNCE_S = 0.5
PATIENCE_S = 60.0
"""What has not happened after so long, in however slow a machine, is not going to happen."""
HOLDER = f"""
import time
from pathlib import Path
from ostiary.settings import RelaySettings
from ostiary.hardware.gpio import Relay
relay = Relay.open(RelaySettings(enabled=True, chip=Path("{CHIP}"), line={RELAY}, pulse_s=60))
relay.pulse()
print("held", flush=True)
time.sleep(60)
"""


def line(number: int) -> Path:
    return next(Path("/sys/devices/platform").glob(f"gpio-sim.*/gpiochip*/sim_gpio{number}"))


def level(number: int) -> str:
    return (line(number) / "value").read_text().strip()


def pull(number: int, high: bool) -> None:
    (line(number) / "pull").write_text("pull-up" if high else "pull-down")


class Watch:
    """When a line changed, as (seconds, level), and for how long at most nobody looked."""

    def __init__(self, number: int) -> None:
        self._value = line(number) / "value"
        self.changes: list[tuple[float, str]] = []
        self.blind_s = 0.0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        looked = time.monotonic()
        while not self._stopping.is_set():
            now = self._value.read_text().strip()
            at = time.monotonic()
            self.blind_s, looked = max(self.blind_s, at - looked), at
            if not self.changes or self.changes[-1][1] != now:
                self.changes.append((at, now))
            time.sleep(0.002)

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()


def wait_until(happened: Callable[[], bool]) -> None:
    """Or until that is hopeless: whoever reads what was found sees it."""
    give_up = time.monotonic() + PATIENCE_S
    while not happened() and time.monotonic() < give_up:
        time.sleep(0.002)


def pulse() -> Any:
    relay = Relay.open(RelaySettings(enabled=True, chip=CHIP, line="relay", pulse_s=PULSE_S))
    try:
        with Watch(RELAY) as watch:
            wait_until(lambda: len(watch.changes) == 1)
            asked = time.monotonic()
            relay.pulse()
            wait_until(lambda: len(watch.changes) == 3)
            time.sleep(0.7)  # and nothing more
        user = subprocess.run(["gpioinfo"], capture_output=True, text=True, check=True).stdout
    finally:
        relay.close()
    (_, _), (opened, _), (closed, _) = watch.changes
    return {
        "levels": [level for _, level in watch.changes],
        "wanted_s": PULSE_S,
        "length_s": round(closed - opened, 3),
        "blind_s": round(watch.blind_s, 3),
        "after_ms": round((opened - asked) * 1000, 1),
        "held by us": any("relay" in each and "ostiary" in each for each in user.splitlines()),
    }


def killed() -> Any:
    """kill -9 while the line is active; then what gpio.conf does: `ostiary release`."""
    with subprocess.Popen(
        ["/opt/ostiary/bin/python3", "-c", HOLDER], stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        wait_until(lambda: level(RELAY) == "1")
        held = level(RELAY)
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    killed_at = time.monotonic()
    wait_until(lambda: level(RELAY) == "0")
    after = level(RELAY)
    took = time.monotonic() - killed_at
    with contextlib.closing(
        Relay.open(RelaySettings(enabled=True, chip=CHIP, line=RELAY, pulse_s=1))
    ):
        taken_again = level(RELAY)
    return {"held": held, "after": after, "after_s": round(took, 3), "taken again": taken_again}


def debounce() -> Any:
    """A contact that bounces ten times and then stays is one edge; a touch too short is none."""
    pull(CONTACT, True)
    pull(BUTTON, True)
    lines = {"contact": InputLine(CONTACT, True), "button": InputLine(BUTTON, True)}
    inputs = GpioInputs.take(CHIP, lines, pull="none", debounce_s=DEBOUNCE_S)
    try:
        before = dict(inputs.values())
        for number in range(10):
            pull(CONTACT, bool(number % 2))
        pull(CONTACT, False)
        bounced = edges(inputs, 1)
        pull(BUTTON, False)
        pull(BUTTON, True)
        short = edges(inputs, 0)
        pull(BUTTON, False)
        pressed = edges(inputs, 1)
        pull(BUTTON, True)
        let_go = edges(inputs, 1)
        pull(CONTACT, True)
        opened = edges(inputs, 1)
    finally:
        inputs.close()
    return {
        "before": before,
        "bounced": bounced,
        "short": short,
        "pressed": pressed,
        "let go": let_go,
        "opened": opened,
    }


def edges(inputs: GpioInputs, expected: int) -> list[list[Any]]:
    """So many, however late, and those that come soon after them."""
    found: list[list[Any]] = []

    def took(within_s: float) -> bool:
        came = [[edge.name, edge.active] for edge in inputs.wait(within_s)]
        found.extend(came)
        return bool(came)

    give_up = time.monotonic() + PATIENCE_S
    while len(found) < expected and time.monotonic() < give_up:
        took(1.0)
    while took(3 * DEBOUNCE_S):
        pass
    return found


def line_in_use() -> Any:
    with contextlib.closing(GpioInputs.take(CHIP, {"contact": InputLine(CONTACT, True)})):
        try:
            GpioInputs.take(CHIP, {"button": InputLine(CONTACT, True)})
        except InputUnavailable as error:
            return error.message
    return None


def keys() -> Any:
    """1 2 3 4 enter; nobody else hears them; and what is said when it is pulled out."""
    with keypad("Door Keypad") as (fd, path):
        device = InputDevice.open(path)
        press(fd, 2, 3, 4, 5, 28)
        typed = ""
        end = time.monotonic() + PATIENCE_S
        while len(typed) < 5 and time.monotonic() < end:
            typed += "".join(key or "?" for _, key in device.read(1.0))
        try:
            InputDevice.open(path)
        except InputUnavailable as error:
            second = error.message
        else:
            second = "was let in"
    try:
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            device.read(0.5)
    except InputUnavailable as error:
        gone = error.message
    else:
        gone = "nothing was said"
    device.close()
    return {"typed": typed, "second": second, "gone": gone}


def main() -> None:
    found: dict[str, Any] = {}
    for scenario in (pulse, killed, debounce, line_in_use, keys):
        try:
            found[scenario.__name__] = scenario()
        except Exception as error:  # noqa: BLE001  # told, not lost: the others are run, too
            result = f"{error!r} {traceback.format_exc()[-1500:]}"
            found[scenario.__name__] = {"error": result}
    sys.stdout.write(f"JSON {json.dumps(found)}\n")


main()
