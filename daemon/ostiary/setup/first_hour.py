"""`sudo ostiary setup`: from an installed package to the first person who is let in.

Every question has a default and an option. It can be run again: what was set is the default then,
and the settings' comments stay.
"""

import getpass
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import typer
from pydantic import ValidationError
from rich.console import Console

from ostiary.camera.address import redact
from ostiary.camera.onvif import discover
from ostiary.camera.v4l2.device import VideoDevice, device_paths, lasting_name
from ostiary.errors import CameraUnavailable, ConfigError, OstiaryError
from ostiary.hardware.gpio import GpioLine
from ostiary.local.client import LocalDoor, is_served
from ostiary.messages.commands.people import RegisterAnswer, RegisterRequest
from ostiary.service import doctor
from ostiary.service.doctor.cameras import check_camera
from ostiary.service.doctor.check import Check, Level
from ostiary.service.doctor.network import check_broker
from ostiary.service.logging import configure_logging
from ostiary.service.owner import is_so_for_owner_of
from ostiary.settings import CameraSettings, Settings, load_settings
from ostiary.settings.device import DeviceSettings, this_machines_id
from ostiary.settings.file import edited
from ostiary.settings.mqtt import is_loopback
from ostiary.setup.asking import Questions, say, yes
from ostiary.setup.broker import LocalBroker
from ostiary.setup.console import addresses, fingerprint, make_certificate, write_for_the_door
from ostiary.setup.service import Service

INSTALLED = Path("/usr/bin/ostiary")
TRIES = 3
"""Tries to enrol the first person."""
TEST_PULSE_S = 1.0

Given = Mapping[str, str | None]
"""Answers that options gave, by question."""


class FirstHour:
    """One run of the setup. `_changes` are the settings to write. They are written after the last
    question; only files that they name are written before."""

    def __init__(self, config: Path, questions: Questions, given: Given, service: Service) -> None:
        self._config = config
        self._questions = questions
        self._given = given
        self._service = service
        self._before = load_settings(config)
        self._local = LocalBroker(password_file=config.parent / "mqtt-password-local")
        self._changes: dict[str, dict[str, Any]] = {}
        self._terminal = Console()
        configure_logging(self._before.log.model_copy(update={"level": "critical"}))

    def run(self) -> None:
        """Ask, write, check, start and enrol. Raises ConfigError."""
        if not (os.access(self._config, os.W_OK) and os.access(self._config.parent, os.W_OK)):
            raise ConfigError(f"{self._config} is not yours to write: put `sudo` before it.")
        with _ended_in_order():
            try:
                self._service.stop()
                self._name()
                self._camera()
                self._broker()
                self._console()
                self._lock()
                settings = self._write()
                self._doctor(settings)
            finally:
                is_ready = self._service.start()
        if self._service.managed and not is_ready:
            raise ConfigError("The door does not start: `systemctl status ostiary` says why.")
        self._tell_console(settings)
        self._enrol(settings)
        _tell_rest(settings)

    def _set(self, table: str, **values: Any) -> None:
        self._changes.setdefault(table, {}).update(values)

    def _ask(self, question: str, default: str, key: str, check: Callable[[str], Any] = str) -> Any:
        return self._questions.ask(question, default, self._given[key], check)

    def _as_it_will_be(self) -> Settings:
        """The settings with all changes. Raises ConfigError where the answers do not fit
        together."""
        text = edited(self._config.read_text(encoding="utf-8"), self._changes)
        trial = self._config.with_name(f".{self._config.name}.trial")
        try:
            write_for_the_door(trial, text.encode())
            return load_settings(trial)
        finally:
            trial.unlink(missing_ok=True)

    def _show(self, checks: Iterable[Check]) -> bool:
        """Print checks; whether none of them is red."""
        shown = doctor.render(checks, self._terminal)
        return all(each.level is not Level.RED for each in shown)

    # the questions

    def _name(self) -> None:
        say("The door")
        device = self._before.device
        self._set("device", name=self._ask("Name", device.name, "name"))
        proposed = device.id if device.id != "door" else this_machines_id()
        self._set("device", id=self._ask("Id, of its own at the broker", proposed, "id", _id))

    def _camera(self) -> None:
        say("The camera")
        sources = [*_devices()]
        for source in sources:
            self._look(source)
        for found in discover():
            typer.echo(
                f"On the network: {found.name or 'a camera'} at {found.host}: {found.source}"
            )
        before = self._before.cameras[0].source
        default = before if before != "0" or not sources else sources[0]
        given = self._given["camera"]
        if given == "-":
            given = self._questions.hidden("Source")
        while True:
            source = str(self._questions.ask("Source", default, given, shown=redact))
            if source in sources or given is not None or self._look(source):
                break
            if self._questions.take_defaults:  # nobody is there to name another
                break
            if yes(str(self._questions.ask("Take it all the same", "no"))):
                break
        self._set("cameras", source=source)

    def _look(self, source: str) -> bool:
        """Check a camera as the door's own user; whether it can be used."""

        def look() -> bool:
            try:
                wanted = self._before.cameras[0].model_copy(update={"source": source})
                camera = CameraSettings(**wanted.model_dump())
                return self._show(check_camera(camera, self._before.vision))
            except (OstiaryError, ValueError) as error:
                typer.echo(f"  {error}")
                return False

        return is_so_for_owner_of(self._before.store.path.parent, look)

    def _broker(self) -> None:
        say("The broker (MQTT), by which the building hears of the door; it works without one, too")
        here, mqtt = self._local, self._before.mqtt
        default = "local" if here.is_installed and here.of_others() is None else "none"
        is_ours = mqtt.username is None or mqtt.password_file == here.password_file
        if (mqtt.host, mqtt.port) != ("127.0.0.1", 1883) or not is_ours:
            default = f"{mqtt.host}:{mqtt.port}"
        answer = str(self._ask("local, none, or HOST:PORT of another", default, "broker"))
        if answer in ("none", "local"):
            self._set("mqtt", host="127.0.0.1", port=1883, cluster=None, tls=False)
            self._set("mqtt", username=None, password_file=None, allow_anonymous=False)
        if answer == "none":
            return
        if answer == "local":
            self._local_broker()
        else:
            self._other_broker(answer)
        wants = self._ask(
            "Show the door in Home Assistant", _no_or_yes(mqtt.discovery), "home_assistant", yes
        )
        self._set("mqtt", discovery=wants)
        settings = self._as_it_will_be()
        self._show(check_broker(settings))

    def _local_broker(self) -> None:
        device = self._changes["device"]["id"]
        restart = partial(self._service.restart, "mosquitto.service")
        new = self._local.set_up(device, restart, former=self._before.device.id)
        for user, password in new.items():
            typer.echo(f"  Password of {user} at this broker, shown once: {password}")
        self._set("mqtt", username=device, password_file=str(self._local.password_file))

    def _other_broker(self, answer: str) -> None:
        host, _, port = answer.rpartition(":") if ":" in answer else (answer, "", "1883")
        if not (host and port.isdecimal()) or "/" in host:
            raise ConfigError(f"{answer}: a broker is HOST or HOST:PORT.")
        host, mqtt = host.strip("[]"), self._before.mqtt
        is_same, is_afar = host == mqtt.host, not is_loopback(host)
        proposed = mqtt.username if is_same else None
        user = str(self._ask("User name there; empty: none", proposed or "", "user"))
        self._set("mqtt", host=host, port=int(port), username=user or None)
        if not is_same:
            self._set("mqtt", cluster=None)
        if not user:
            is_known = mqtt.tls and mqtt.tls_certificate is not None
            if is_afar and not is_known:
                self._permit_anonymous(host, is_permitted=is_same and mqtt.allow_anonymous)
            self._set("mqtt", allow_anonymous=is_afar and not is_known, password_file=None)
            return
        self._set("mqtt", allow_anonymous=False)
        if is_afar and not mqtt.tls:
            typer.echo("  Without TLS ([mqtt] tls, tls_ca) anybody on the way reads the password")
            typer.echo("  and who passes. Where that network is not yours: Ctrl-C, and set it.")
        file = self._config.parent / f"mqtt-password-{host}"  # one broker's word is for no other
        if is_same and mqtt.password_file not in (None, self._local.password_file):
            file = mqtt.password_file
        kept = " (empty: as it is)" if file.exists() else ""
        password = self._questions.ask(f"Password{kept}", "", secret=True)
        if password:
            write_for_the_door(file, str(password).encode())
        self._set("mqtt", password_file=str(file) if file.exists() else None)

    def _permit_anonymous(self, host: str, *, is_permitted: bool) -> None:
        """Ask whether anybody there may command the door. Raises ConfigError where not."""
        question = f"Anybody at {host} could open this door. Take it without a user all the same"
        if not self._questions.ask(question, _no_or_yes(is_permitted), check=yes):
            raise ConfigError(
                f"The door needs a user of its own at {host}: make one there, and give its name, "
                "or set mqtt.tls, tls_certificate and tls_key."
            )

    def _console(self) -> None:
        say("The console, in a browser")
        http = self._before.http
        default = "off" if not http.enabled else "local" if http.tls_key is None else "network"
        choice = self._questions.choose(
            "Where", ("off", "local", "network"), default, self._given["console"]
        )
        self._set("http", enabled=choice != "off")
        if choice == "local":
            self._set("http", host="127.0.0.1", tls_certificate=None, tls_key=None)
        elif choice == "network" and http.tls_key in (None, self._config.parent / "console.key"):
            certificate, key = make_certificate(self._config.parent, addresses())
            host = "0.0.0.0" if http.tls_key is None else http.host
            self._set("http", host=host, tls_certificate=str(certificate), tls_key=str(key))

    def _lock(self) -> None:
        say("The lock's relay, at a GPIO line of this machine")
        relay = self._before.relay
        default = f"{relay.chip}:{relay.line}" if relay.enabled else "none"
        answer = str(self._ask("none, or CHIP:LINE", default, "lock"))
        self._set("relay", enabled=answer != "none")
        if answer == "none":
            return
        chip, _, line = answer.rpartition(":")
        number: int | str = int(line) if line.isdecimal() else line
        self._set("relay", chip=chip or str(relay.chip), line=number)
        if yes(str(self._questions.ask("Open it for a second now", "no"))):
            self._pulse()

    def _pulse(self) -> None:
        try:
            line = GpioLine.take(self._as_it_will_be().relay)
        except OstiaryError as error:
            typer.echo(f"  {error}")
            return
        try:
            line.set_active(True)
            time.sleep(TEST_PULSE_S)
        finally:
            line.set_active(False)
            line.release()

    # and what becomes of them

    def _write(self) -> Settings:
        settings = self._as_it_will_be()
        if settings.relay.enabled:
            self._service.permit_lines()
        text = edited(self._config.read_text(encoding="utf-8"), self._changes)
        write_for_the_door(self._config, text.encode())
        say(f"Written: {self._config}")
        return settings

    def _doctor(self, settings: Settings) -> None:
        say("The doctor")
        if self._service.managed and INSTALLED.exists():  # which opens the store's key for it
            subprocess.run([INSTALLED, "doctor"], check=False)
            return
        is_so_for_owner_of(
            settings.store.path.parent, lambda: self._show(doctor.run_checks(settings))
        )

    def _tell_console(self, settings: Settings) -> None:
        http = settings.http
        if not http.enabled:
            return
        scheme = "http" if http.tls_key is None else "https"
        if http.tls_certificate is None:
            user, host = getpass.getuser(), addresses()[0]
            typer.echo(
                f"From another machine: ssh -L {http.port}:127.0.0.1:{http.port} {user}@{host}"
            )
            typer.echo(f"The console: {scheme}://127.0.0.1:{http.port}/")
        else:
            typer.echo(f"The console: {scheme}://{addresses()[0]}:{http.port}/")
            typer.echo(
                "The browser warns of its certificate, which no authority signed. Compare its"
            )
            typer.echo(f"SHA-256: {fingerprint(http.tls_certificate)}")
        if (code := self._service.set_up_code()) is not None:
            typer.echo(f"The code for its first account: {code}")

    def _enrol(self, settings: Settings) -> None:
        if not is_served(settings.commands.socket):
            return
        say("The first person: before the camera, frontal, half a metre away, in good light")
        name = str(self._ask("Name; empty: nobody now", "", "person"))
        for _ in range(TRIES if name else 0):
            typer.echo("Look into the camera, then a little to the left and to the right …")
            try:
                request = RegisterRequest.model_validate({"username": name, "source": "camera"})
                with LocalDoor(settings.commands.socket) as door:
                    answer = door.ask("register", request, RegisterAnswer)
            except (OstiaryError, ValueError) as error:
                typer.echo(f"  {error}")
                if not yes(str(self._questions.ask("Once more", "yes"))):
                    return
            else:
                typer.echo(f"  {answer.message} Step away and up again: `sudo ostiary events -f`")
                return


@contextmanager
def _ended_in_order() -> Iterator[None]:
    """Let SIGHUP (an SSH session that drops) and SIGTERM go through each `finally`, so that the
    door is started and the lock let go. A second signal, by the terminal and `sudo`, does not
    disturb that."""
    ends = (signal.SIGHUP, signal.SIGTERM)

    def end(number: int, _: object) -> None:
        for each in ends:
            signal.signal(each, signal.SIG_IGN)
        sys.exit(128 + number)

    before = {each: signal.signal(each, end) for each in ends}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def _id(answer: str) -> str:
    """The id. Raises ValueError where it cannot stand in a topic."""
    try:
        return DeviceSettings(id=answer).id
    except ValidationError:
        raise ValueError(f"{answer}: an id has no /, +, # or space.") from None


def _devices() -> list[str]:
    """Cameras of this machine, by their lasting names."""
    found = []
    for path in device_paths():
        try:
            with VideoDevice.open(path) as device:
                if device.captures:
                    found.append(str(lasting_name(path)))
        except CameraUnavailable:
            continue
    return found


def _tell_rest(settings: Settings) -> None:
    say("Next")
    typer.echo("Who comes: sudo ostiary events --follow")
    typer.echo("More people: sudo ostiary users add NAME        Hours: sudo ostiary rules --help")
    if settings.store.path.exists():
        typer.echo("Against a stolen disk, once: sudo ostiary store recovery")
    typer.echo(
        "This camera's own liveness, with four people and twelve minutes: sudo systemctl stop"
    )
    typer.echo("ostiary; sudo ostiary calibrate --people ANN,BEN,CLEO,DAN")


def _no_or_yes(value: bool) -> str:
    return "yes" if value else "no"
