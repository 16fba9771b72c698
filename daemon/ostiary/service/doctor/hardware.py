"""Which devices this machine has, which of them the door uses, and are the doors' lines there?"""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from ostiary.camera.address import SourceKind, kind_of
from ostiary.camera.v4l2.device import VideoDevice, device_paths, lasting_name
from ostiary.camera.v4l2.source import chosen_mode, path_of, plan
from ostiary.errors import CameraUnavailable, RelayUnavailable
from ostiary.hardware.gpio import line_in_use_by, lines_of
from ostiary.service.doctor.check import Check, green, red, yellow
from ostiary.settings import CameraSettings, RelaySettings, Settings

TPM = Path("/sys/class/tpm/tpm0/tpm_version_major")
INPUTS = Path("/sys/class/input")


def check_devices(settings: Settings) -> Iterator[Check]:
    """Cameras with what they offer and what is asked of them, GPIO chips, keypads and the TPM.
    Nothing is changed."""
    cameras = {_device(each): each for each in settings.cameras if _is_device(each)}
    for path in device_paths():
        yield from _camera(path, cameras.get(path.resolve()))
    relays = {str(each.chip.resolve()) for each in lines_of(settings).values()}
    for chip in sorted(Path("/dev").glob("gpiochip*")):
        yield green("device gpio", f"{chip}{_used('the relay', str(chip) in relays)}")
    yield from _inputs(settings)
    yield _tpm()


def _camera(path: Path, used: CameraSettings | None) -> Iterator[Check]:
    name = lasting_name(path)
    try:
        with VideoDevice.open(path) as device:
            if not device.captures:
                return
            wanted = used or CameraSettings(source=str(path))
            offered = ", ".join(dict.fromkeys(device.formats())) or "no format"
            about = f"{name}: {device.name} ({device.bus}), offers {offered}"
            try:
                mode = chosen_mode(device, wanted)
            except CameraUnavailable as error:
                advice = f"{error.message} Set cameras.pixel_format to one that it offers, or auto."
                yield yellow("device camera", about, advice)
                return
            rate = f"{mode.rate_for(wanted.fps):g} a second"
            remarks = plan(device, wanted).remarks if used else ()
    except CameraUnavailable as error:
        yield yellow("device camera", error.message, "The daemon could not open it, either.")
        return
    whom = f"camera {used.name} takes" if used else "unused; would give"
    found = f"{about}; {whom} {mode}, {rate}"
    if remarks:
        yield yellow("device camera", found, "; ".join(remarks))
    else:
        yield green("device camera", found)


def _inputs(settings: Settings) -> Iterator[Check]:
    """Keyboards, which keypads and card readers are, and whether a reader of the settings uses
    them."""
    named = {str(reader.device.resolve()) for reader in settings.readers if reader.device}
    for each in sorted(INPUTS.glob("event*")):
        try:
            about = (each / "device/name").read_text(encoding="utf-8").strip()
            keys = (each / "device/capabilities/key").read_text(encoding="ascii").split()
        except OSError:
            continue
        if len(keys) > 1 or keys != ["0"]:
            path = f"/dev/input/{each.name}"
            yield green("device input", f"{path}: {about}{_used('a reader', path in named)}")


def _tpm() -> Check:
    # Whether there is a key cannot be seen: the folder of sealed credentials is root's.
    if TPM.exists() and TPM.read_text(encoding="ascii").strip() == "2":
        return green("device tpm", "TPM 2.0; a store key that the package makes is bound to it")
    return green("device tpm", "no TPM 2.0; a store key is bound to a file on this disk")


def _used(by: str, is_used: bool) -> str:
    return f", used by {by}" if is_used else ", unused"


def _is_device(settings: CameraSettings) -> bool:
    try:
        return kind_of(settings.source) is SourceKind.V4L2
    except CameraUnavailable:
        return False


def _device(settings: CameraSettings) -> Path:
    return path_of(settings.source).resolve()


def check_relay(settings: Settings) -> Iterator[Check]:
    """Whether the relays' lines are there; nothing for a door without. They are only looked at."""
    advice = "Correct [relay], and see gpio.conf for the permission."
    for relay in {each.line: each for each in lines_of(settings).values()}.values():
        yield _line("relay", relay, advice)


def check_inputs(settings: Settings) -> Iterator[Check]:
    """Whether contacts, buttons, keypads and readers are there; nothing for a door without any.
    They are only looked at, not taken."""
    advice = "Correct [[doors]] or [[readers]]; permission: gpio.conf."
    for door in settings.doors:
        lines = {
            "contact": door.contact_line,
            "exit button": door.exit_line,
            "alarm": door.alarm_line,
        }
        for what, line in lines.items():
            if line is not None:
                wired = RelaySettings(chip=door.chip, line=line)
                yield _line(f"{what} of {door.camera}", wired, advice)
    for reader in settings.readers:
        if reader.device is not None:
            yield _reader(f"reader of {reader.door}", reader.device)
        for wire, line in (("D0", reader.d0), ("D1", reader.d1)):
            if line is not None:
                wired = RelaySettings(chip=reader.chip, line=line)
                yield _line(f"reader of {reader.door}, {wire}", wired, advice)


def _line(name: str, line: RelaySettings, advice: str) -> Check:
    try:
        user = line_in_use_by(line)
    except RelayUnavailable as error:
        return red(name, error.message.removeprefix("relay: "), advice)
    state = "free" if user is None else f"in use by {user}"
    return green(name, f"line {line.line} of {line.chip}: {state}")


def _reader(name: str, device: Path) -> Check:
    advice = (
        "`ls -l /dev/input/by-id` lists what is plugged in; see keypad.conf for the permission."
    )
    try:
        mode = device.stat().st_mode
    except OSError as error:
        return red(name, f"{device}: {error.strerror}", advice)
    if not stat.S_ISCHR(mode):
        return red(name, f"{device} is no device", advice)
    if not os.access(device, os.R_OK):
        return red(name, f"{device} is not for this user to read", advice)
    return green(name, f"{device} is there")
