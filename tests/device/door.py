"""Our package on a machine, as an installer sets it up."""

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from testing.probe import Probe
from tests.device.machine import HOST, Machine

UNIT = "ostiary"
BASE = "ostiary/door"
CAMERA = "/dev/v4l/by-id/usb-Door_Camera-video-index0"
SLOW = """[Service]
# An emulated processor: a picture takes some twenty seconds.
TimeoutStartSec=600
WatchdogSec=900
TimeoutStopSec=60
"""
EMULATED_S = 900.0
"""Everything is done within so long where the processor is emulated, on a machine that is busy."""
PULSE_S = 3.0
RELAY_LINE = 0
DEVICES = f"""#!/bin/sh -e
# The devices of this door, which a real one has without asking.
groupadd --system --force gpio
rule='SUBSYSTEM=="gpio", KERNEL=="gpiochip*", GROUP="gpio", MODE="0660"'
echo "$rule" >/etc/udev/rules.d/60-gpio.rules
for part in gpio keypad; do
    install -D -m 0644 -t /etc/systemd/system/ostiary.service.d /usr/share/doc/ostiary/$part.conf
done
modprobe configfs && modprobe gpio-sim
chip=/sys/kernel/config/gpio-sim/door
[ -d $chip ] || {{ mkdir -p $chip/bank/line0 && echo 8 >$chip/bank/num_lines &&
    echo door >$chip/bank/label && echo relay >$chip/bank/line0/name && echo 1 >$chip/live; }}
udevadm control --reload && udevadm trigger --subsystem-match=gpio
modprobe v4l2loopback video_nr=10 card_label='Door Camera' exclusive_caps=1 max_buffers=16
mkdir -p {CAMERA.rpartition("/")[0]} && ln -sf ../../video10 {CAMERA}
udevadm settle
"""
DEVICES_UNIT = """[Unit]
Before=ostiary.service
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/local/sbin/door-devices
[Install]
WantedBy=multi-user.target
"""
READER = "/dev/input/by-id/usb-Door_Reader-event-kbd"
GUEST = Path(__file__).with_name("guest")


@dataclass
class Door:
    """A running machine and the broker that it is told of."""

    machine: Machine
    port: int

    def set_up(self) -> None:
        """What postinst does on a machine (its disk was made elsewhere), then the settings."""
        # But for the bytecode, which was made when the package was installed into the image.
        postinst = "grep -v compileall /var/lib/dpkg/info/ostiary.postinst | sh -s configure"
        self.machine.run(f"systemctl stop {UNIT}; {postinst}; systemctl stop {UNIT}")
        self.machine.put(settings(self.port), "/etc/ostiary/ostiary.toml")
        folder = "/etc/systemd/system/ostiary.service.d"
        self.machine.run(f"mkdir -p {folder}")
        self.machine.put(SLOW, f"{folder}/emulated.conf")
        self.machine.put(DEVICES, "/usr/local/sbin/door-devices")
        self.machine.put(DEVICES_UNIT, "/etc/systemd/system/door-devices.service")
        self.machine.run(
            "chmod 755 /usr/local/sbin/door-devices; systemctl daemon-reload; "
            "systemctl enable -q --now door-devices; systemctl daemon-reload"
        )
        self.machine.run("mkdir -p /srv/tests/device/guest")
        for script in GUEST.glob("*.py"):
            text = script.read_text(encoding="utf-8")
            self.machine.put(text, f"/srv/tests/device/guest/{script.name}")
        self.machine.run("sync")  # it may be switched off at any moment

    def stop(self) -> None:
        """The daemon, and what an earlier test may have left that has its devices."""
        self.machine.run(f"systemctl stop {UNIT} feeder reader watch", check=False)

    def feed(self, jpegs: bytes) -> None:
        """Show a clip to the camera, until the unit `feeder` is stopped."""
        self.machine.put(jpegs, "/srv/clip.mjpeg")
        self.start("feeder", "feeder", "/srv/clip.mjpeg", "2")

    def ask(self, probe: Probe, command: str, **request: Any) -> Any:
        """What the daemon answers. It is asked again while the process that decodes pictures is
        not up yet, which takes longer here than on any door."""
        since = time.monotonic()
        while True:
            answer = probe.ask(BASE, command, request, timeout_s=EMULATED_S)
            code = answer.get("error", {}).get("code")
            if code != "decoder_unavailable" or time.monotonic() > since + EMULATED_S:
                return answer
            time.sleep(20)

    def run(self, script: str, *arguments: str, timeout_s: float = 300) -> Any:
        """Run a script of guest/ as root; the JSON that it found."""
        said = self.machine.run(f"cd /srv; {_command(script, *arguments)}", timeout_s=timeout_s)
        line = next(line for line in said.splitlines() if line.startswith("JSON "))
        return json.loads(line.removeprefix("JSON "))

    def start(self, unit: str, script: str, *arguments: str) -> None:
        """Run one as a unit. What it prints is in /run/`unit`."""
        how = f"--unit {unit} --working-directory /srv -p StandardOutput=file:/run/{unit}"
        self.machine.run(f"systemd-run {how} {_command(script, *arguments)}")

    def journal(self) -> str:
        return self.machine.run(f"journalctl -u {UNIT} -o cat --no-pager -n 60")


def _command(script: str, *arguments: str) -> str:
    return f"/opt/ostiary/bin/python3 -m tests.device.guest.{script} {' '.join(arguments)}"


def settings(port: int) -> str:
    """Those of a door with a USB camera, a relay and a broker on another machine. The time limits
    are those of an emulated processor."""
    return f"""
[[cameras]]
source = "{CAMERA}"
power_line_hz = 50
exposure_ms = 10.0
stall_after_s = 60.0
require_movement = false
[vision]
models = "/usr/share/ostiary/models"
[access]
votes = 2
window = 2
decide_within_s = 900.0
forget_after_s = 60.0
cooldown_s = 5.0
[store]
path = "/var/lib/ostiary/ostiary.db"
[mqtt]
host = "{HOST}"
port = {port}
allow_anonymous = true
reconnect_at_most_s = 1.0
[relay]
enabled = true
line = "relay"
pulse_s = {PULSE_S}
[[readers]]
device = "{READER}"
kind = "card"
[commands]
allow_unverified_enrolment = true
time_limit_s = 900.0
[service]
metrics_port = 9464
"""
