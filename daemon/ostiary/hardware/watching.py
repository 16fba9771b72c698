"""Threads that read a door's lines and readers, and open them again when a device comes back."""

import threading
from collections.abc import Callable
from typing import Protocol

import structlog

from ostiary.errors import InputUnavailable
from ostiary.hardware.controller import DoorController
from ostiary.hardware.gpio import GpioInputs, InputLine, Inputs
from ostiary.hardware.input_device import InputDevice
from ostiary.hardware.keypad import PAUSE_S, WORD_ENDS_AFTER_S, Entry, Keypad, Pulse, Word, meaning
from ostiary.hardware.physical_door import Contact
from ostiary.settings.doors import DoorSettings, ReaderSettings

log = structlog.get_logger(__name__)

CONTACT, EXIT = "contact", "exit_button"
KEYPAD = "keypad"
DEBOUNCE_S = 0.03
"""A contact or button that changes for less than this did not change."""
_AGAIN_AFTER_S = 1.0
_WAIT_S = 0.5

Present = Callable[[str, Entry], object]
"""Takes an entry that was presented at a door (its camera's name). Returns at once."""


class InputSource(Protocol):
    """An input that is opened, read and closed. All methods but `gone` may raise
    InputUnavailable."""

    def open(self) -> None: ...

    def read(self) -> None:
        """Hand on what comes within about half a second."""

    def gone(self) -> None:
        """Tell that it cannot be read, and forget what was half read."""

    def close(self) -> None: ...


class Watching:
    """Reads one source in a thread until it is stopped, and opens it again after each failure."""

    def __init__(self, source: InputSource, name: str) -> None:
        self._source = source
        self._name = name
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(2.0)

    def _run(self) -> None:
        said: str | None = None
        while not self._stopping.is_set():
            try:
                self._source.open()
            except InputUnavailable as error:
                if error.message != said:
                    log.error("input_unavailable", input=self._name, reason=error.message)
                    said = error.message
                self._source.gone()
                self._stopping.wait(_AGAIN_AFTER_S)
                continue
            said = None
            log.info("input_opened", input=self._name)
            try:
                while not self._stopping.is_set():
                    self._source.read()
            except InputUnavailable as error:
                log.error("input_lost", input=self._name, reason=error.message)
                self._source.gone()
            finally:
                self._source.close()
            self._stopping.wait(_AGAIN_AFTER_S)


class DoorLines:
    """A door's contact and exit button."""

    def __init__(
        self,
        controller: DoorController,
        settings: DoorSettings,
        take: Callable[..., Inputs] = GpioInputs.take,
    ) -> None:
        self._controller = controller
        self._settings = settings
        self._take = take
        self._inputs: Inputs | None = None

    def open(self) -> None:
        settings = self._settings
        lines = {}
        if settings.contact_line is not None:
            lines[CONTACT] = InputLine(settings.contact_line, settings.contact_closed == "low")
        if settings.exit_line is not None:
            lines[EXIT] = InputLine(settings.exit_line, settings.exit_pressed == "low")
        self._inputs = self._take(settings.chip, lines, pull=settings.pull, debounce_s=DEBOUNCE_S)
        try:
            # A button that is held down while the daemon starts was not pressed.
            if (closed := self._inputs.values().get(CONTACT)) is not None:
                self._saw(closed=closed)
        except InputUnavailable:
            self.close()
            raise
        self._controller.fault(EXIT, is_there=False)

    def read(self) -> None:
        assert self._inputs is not None
        edges = self._inputs.wait(_WAIT_S)
        for edge in edges:
            if edge.name == CONTACT:
                self._saw(closed=edge.active)
            elif edge.active:
                self._controller.exit_pressed()
        # Edges can be lost when very many come; what the line is now is always right.
        if edges and (closed := self._inputs.values().get(CONTACT)) is not None:
            self._saw(closed=closed)

    def gone(self) -> None:
        if self._settings.contact_line is not None:
            self._controller.saw(Contact.UNREADABLE)
        if self._settings.exit_line is not None:
            self._controller.fault(EXIT, is_there=True)

    def close(self) -> None:
        if self._inputs is not None:
            self._inputs.close()
            self._inputs = None

    def _saw(self, *, closed: bool) -> None:
        self._controller.saw(Contact.CLOSED if closed else Contact.OPEN)


class KeyboardReader:
    """A keypad or card reader that is a keyboard."""

    def __init__(
        self,
        controller: DoorController,
        settings: ReaderSettings,
        present: Present,
    ) -> None:
        assert settings.device is not None
        self._controller = controller
        self._path = settings.device
        self._present = present
        self._keypad = _keypad(settings)
        self._device: InputDevice | None = None

    def open(self) -> None:
        self._device = InputDevice.open(self._path)
        self._controller.fault(KEYPAD, is_there=False)

    def read(self) -> None:
        assert self._device is not None
        keys = self._device.read(PAUSE_S if self._keypad.typed else _WAIT_S)
        if not keys:
            self._keypad, entry = self._keypad.fell_silent()
            if entry is not None:
                self._present(self._controller.door, entry)
        for at, key in keys:
            if key is None:
                self._keypad = self._keypad.emptied()
                continue
            self._keypad, entry = self._keypad.pressed(key, at)
            if entry is not None:
                self._present(self._controller.door, entry)

    def gone(self) -> None:
        self._keypad = self._keypad.emptied()
        self._controller.fault(KEYPAD, is_there=True)

    def close(self) -> None:
        if self._device is not None:
            self._device.close()
            self._device = None


class WiegandReader:
    """A card reader or keypad on two lines."""

    def __init__(
        self,
        controller: DoorController,
        settings: ReaderSettings,
        present: Present,
        take: Callable[..., Inputs] = GpioInputs.take,
    ) -> None:
        self._controller = controller
        self._settings = settings
        self._present = present
        self._take = take
        self._keypad = _keypad(settings)
        self._word = Word()
        self._inputs: Inputs | None = None

    def open(self) -> None:
        settings = self._settings
        assert settings.d0 is not None
        assert settings.d1 is not None
        lines = {"d0": InputLine(settings.d0, True), "d1": InputLine(settings.d1, True)}
        self._inputs = self._take(settings.chip, lines, pull="up", debounce_s=0.0)
        self._word = Word()
        self._controller.fault(KEYPAD, is_there=False)

    def read(self) -> None:
        assert self._inputs is not None
        edges = self._inputs.wait(WORD_ENDS_AFTER_S if self._word.bits else _WAIT_S)
        if not edges and self._word.bits:  # the pause that ends a word
            self._ended(self._word.last)
        for edge in edges:
            if not edge.active:
                continue
            if self._word.is_over(edge.at):
                self._ended(edge.at)
            self._word = self._word.pulsed(Pulse(edge.at, edge.name == "d1"))

    def gone(self) -> None:
        self._word = Word()
        self._keypad = self._keypad.emptied()
        self._controller.fault(KEYPAD, is_there=True)

    def close(self) -> None:
        if self._inputs is not None:
            self._inputs.close()
            self._inputs = None

    def _ended(self, at: float) -> None:
        word, self._word = self._word, Word()
        said = meaning(word)
        if said is None:
            log.warning("wiegand_not_read", door=self._controller.door, bits=len(word.bits))
        elif len(word.bits) <= 8:
            self._keypad, entry = self._keypad.pressed(said, at)
            if entry is not None:
                self._present(self._controller.door, Entry("pin", entry.text))
        else:
            self._present(self._controller.door, Entry("card", said))


def reader_of(
    controller: DoorController, settings: ReaderSettings, present: Present
) -> InputSource:
    """The source that reads a reader: a keyboard, or Wiegand wires."""
    if settings.device is not None:
        return KeyboardReader(controller, settings, present)
    return WiegandReader(controller, settings, present)


def _keypad(settings: ReaderSettings) -> Keypad:
    return Keypad(None if settings.kind == "auto" else settings.kind)
