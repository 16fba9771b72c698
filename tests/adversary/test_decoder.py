"""Pictures of strangers are decoded by a process that can do nothing else, and that may die."""

import ctypes
import os
import platform
import signal
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np
import pytest

from ostiary.decoding import sandbox
from ostiary.decoding.decoder import Decoder
from ostiary.errors import DecoderUnavailable, ImageInvalid, ImageTooLarge
from ostiary.vision.image import ImageLimits, decode_image
from testing.waiting import PATIENCE_S, wait_until
from tests.adversary.test_picture_bombs import progressive

CRASHES = 1000


@pytest.fixture
def decoder() -> Iterator[Decoder]:
    """One that has decoded already."""
    done, small = cv2.imencode(".png", np.zeros((8, 8, 3), np.uint8))
    assert done
    with Decoder() as running:
        running.decode(small.tobytes())
        yield running


@pytest.fixture
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A decoder serves for as long as a test takes on a slow machine."""
    monkeypatch.setattr("ostiary.decoding.decoder.SERVES_S", PATIENCE_S)


def child_of(decoder: Decoder) -> int:
    """The process that decodes, as soon as there is one."""
    children = Path(f"/proc/{decoder.pid}/task/{decoder.pid}/children")
    found = wait_until(lambda: children.read_text().split(), "a new decoder", every_s=0.001)
    return int(found[0])


def is_shut_in(process: int) -> bool:
    """Whether it has given up its system calls, and waits for a picture."""
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except OSError:  # it has ended
        return False
    return "Seccomp:\t2" in status and "State:\tS" in status


def memory_mb(process: int) -> float:
    fields = Path(f"/proc/{process}/status").read_text().splitlines()
    (line,) = (field for field in fields if field.startswith("VmHWM"))
    return int(line.split()[1]) / 1000


def test_it_decodes_as_the_daemon_itself_would(decoder: Decoder, portraits: Path) -> None:
    for path in sorted(portraits.glob("*.jpg")):
        data = path.read_bytes()
        assert np.array_equal(decoder.decode(data), decode_image(data))


def test_what_is_no_picture_is_refused_in_the_same_words(decoder: Decoder) -> None:
    for data in (b"", b"hello", b"\xff\xd8\xff\xe0 cut short", bytes(100_000)):
        with pytest.raises(ImageInvalid) as expected:
            decode_image(data)
        with pytest.raises(ImageInvalid, match=str(expected.value)):
            decoder.decode(data)


@pytest.mark.parametrize("progressive_one", [False, True])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_a_jpeg_cut_short_with_an_end_marker_is_no_picture(
    decoder: Decoder, portraits: Path, share: float, progressive_one: bool
) -> None:
    data = (portraits / "obama.jpg").read_bytes()
    if progressive_one:
        image = decode_image(data)
        data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1].tobytes()
    assert decoder.decode(data).size
    with pytest.raises(ImageInvalid, match="cut short"):
        decoder.decode(data[: int(share * len(data))] + b"\xff\xd9")
    assert decoder.decode(data).size


def test_limits_hold_for_each_picture(decoder: Decoder, portraits: Path) -> None:
    data = (portraits / "obama.jpg").read_bytes()
    with pytest.raises(ImageTooLarge, match="bytes"):
        decoder.decode(data, ImageLimits(bytes=1000))
    with pytest.raises(ImageTooLarge, match="pixels"):
        decoder.decode(data, ImageLimits(pixels=1000))
    assert decoder.decode(data).shape == decode_image(data).shape


def test_the_decoding_process_may_neither_open_nor_connect_nor_start_anything(
    decoder: Decoder,
) -> None:
    status = Path(f"/proc/{child_of(decoder)}/status").read_text()
    assert "Seccomp:\t2" in status
    assert "NoNewPrivs:\t1" in status


def test_a_forbidden_system_call_ends_the_process() -> None:
    for forbidden in (
        lambda: os.open("/etc/passwd", os.O_RDONLY),
        lambda: os.fork(),
        lambda: os.kill(os.getppid(), 0),
        lambda: os.execv("/bin/true", ["true"]),
    ):
        child = os.fork()
        if child == 0:
            sandbox.give_up_system_calls()
            forbidden()
            os._exit(0)
        assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGSYS


@pytest.mark.long
@pytest.mark.timeout(1200)  # a thousand processes, on a machine that may be busy
def test_a_thousand_crashes_lose_nothing(decoder: Decoder, portraits: Path) -> None:
    data = (portraits / "obama.jpg").read_bytes()
    expected = decode_image(data)
    first = decoder.pid
    victim = 0
    for number in range(CRASHES):
        kind = (signal.SIGSEGV, signal.SIGKILL, signal.SIGABRT)[number % 3]
        while (child := child_of(decoder)) == victim or not is_shut_in(child):
            time.sleep(0.001)
        victim = child
        os.kill(victim, kind)
        if number % 50 == 0:
            assert np.array_equal(decoder.decode(data), expected)
    assert np.array_equal(decoder.decode(data), expected)
    assert decoder.pid == first
    assert len(list(Path("/proc/self/fd").iterdir())) < 200


@pytest.mark.usefixtures("unhurried")
def test_a_crash_in_the_middle_is_an_error_and_the_next_picture_is_decoded(
    portraits: Path,
) -> None:
    large = cv2.imencode(
        ".png", np.random.default_rng(0).integers(0, 255, (2000, 2000, 3), np.uint8)
    )
    data = large[1].tobytes()
    limits = ImageLimits(bytes=len(data))
    outcomes: list[object] = []
    with Decoder(limits) as spacious:
        spacious.decode((portraits / "obama.jpg").read_bytes())
        victim = child_of(spacious)

        def ask() -> None:
            try:
                outcomes.append(spacious.decode(data))
            except ImageInvalid as error:
                outcomes.append(error)

        thread = threading.Thread(target=ask)
        thread.start()
        time.sleep(0.02)
        os.kill(victim, signal.SIGSEGV)
        thread.join()
        assert len(outcomes) == 1
        assert spacious.decode((portraits / "obama.jpg").read_bytes()).size


def test_a_decoder_that_was_taken_away_is_there_again(
    decoder: Decoder, portraits: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Those that are killed need a processor to end.
    monkeypatch.setattr("ostiary.decoding.decoder.ENDS_WITHIN_S", PATIENCE_S)
    data = (portraits / "obama.jpg").read_bytes()
    decoder.decode(data)
    os.killpg(decoder.pid, signal.SIGKILL)
    with pytest.raises((DecoderUnavailable, ImageTooLarge)):
        decoder.decode(data)
    assert decoder.decode(data).shape == decode_image(data).shape


def test_a_decoder_whose_daemon_has_gone_ends_without_a_word(
    capfd: pytest.CaptureFixture[str],
) -> None:
    for _ in range(15):
        with Decoder() as decoder:
            decoder._process_in_use()
            decoder._control.close()
            decoder._process.wait()
    assert capfd.readouterr().err == ""


@pytest.mark.usefixtures("unhurried")
def test_a_stopped_decoder_is_given_up_and_replaced(decoder: Decoder, portraits: Path) -> None:
    data = (portraits / "obama.jpg").read_bytes()
    decoder.decode(data)
    os.kill(child_of(decoder), signal.SIGSTOP)
    with pytest.raises(ImageTooLarge, match="too long"):
        decoder.decode(data)
    assert decoder.decode(data).shape == decode_image(data).shape


def test_bombs_cost_the_door_little_time_and_memory(decoder: Decoder) -> None:
    done, large = cv2.imencode(".jpg", np.zeros((9_900, 9_900, 3), np.uint8))
    assert done
    before = memory_mb(os.getpid())
    for bomb in (progressive(1500), progressive(95), large.tobytes()):
        begun = time.process_time()
        with suppress(ImageTooLarge, ImageInvalid):
            decoder.decode(bomb)
        assert time.process_time() - begun < 1.0  # none is decoded here
    assert memory_mb(os.getpid()) - before < 200
    assert memory_mb(child_of(decoder)) < 300


@pytest.mark.measures  # beside others it would measure for how long it waits for a processor
def test_a_decoded_command_costs_at_most_two_milliseconds_more(
    decoder: Decoder, portraits: Path
) -> None:
    data = (portraits / "obama.jpg").read_bytes()
    times: dict[str, list[float]] = {"ours": [], "reference": []}
    for _ in range(40):
        for name, decode in (("ours", decoder.decode), ("reference", decode_image)):
            begun = time.perf_counter()
            decode(data)
            times[name].append(time.perf_counter() - begun)
    more_ms = 1000 * (statistics.median(times["ours"]) - statistics.median(times["reference"]))
    print(f"{more_ms:.2f} ms more")  # noqa: T201
    assert more_ms < 20  # the bench holds it to 2 ms


def test_the_decoding_process_signals_nobody_but_itself() -> None:
    """abort(3) needs tgkill(2); the daemon is a process of the same user."""
    tgkill = ctypes.CDLL(None).syscall
    number = {"x86_64": 234, "aarch64": 131}[platform.machine()]
    for target, ends_by in ((os.getpid(), signal.SIGSYS), (0, signal.SIGSYS), (None, None)):
        child = os.fork()
        if child == 0:
            own = os.getpid()
            sandbox.give_up_system_calls()
            tgkill(number, own if target is None else target, own if target is None else target, 0)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        assert (os.WTERMSIG(status) or None) == ends_by


@pytest.mark.usefixtures("unhurried")
def test_what_was_no_picture_had_its_decoder_to_itself(
    decoder: Decoder, portraits: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever it made of it, that is not there for the next."""
    monkeypatch.setattr("ostiary.decoding.decoder.SPARE_S", 20.0)  # to end in, on a slow machine
    seen: set[int] = set()
    for _ in range(5):
        decoder.decode((portraits / "obama.jpg").read_bytes())
        before = child_of(decoder)
        assert before not in seen
        seen.add(before)
        with pytest.raises(ImageInvalid):
            decoder.decode(b"\xff\xd8\xff\xe0 no picture")
        assert child_of(decoder) != before


def test_what_passes_for_a_picture_does_not_keep_its_decoder_for_long(
    decoder: Decoder, portraits: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ostiary.decoding.decoder.SERVES_S", 0.0)
    data = (portraits / "obama.jpg").read_bytes()
    before = child_of(decoder)
    assert decoder.decode(data).shape == decoder.decode(data).shape
    deadline = time.monotonic() + 30
    while child_of(decoder) == before:
        assert time.monotonic() < deadline, "the decoder of the first picture lives on"
        time.sleep(0.001)


def test_a_decoding_process_has_nothing_of_the_next_ones(decoder: Decoder) -> None:
    """Neither its memory nor its socket, nor the one by which processes are handed out."""
    child = child_of(decoder)
    deadline = time.monotonic() + 30
    while not is_shut_in(child):
        assert time.monotonic() < deadline
        time.sleep(0.001)
    maps = Path(f"/proc/{child}/maps").read_text()
    assert len({line.split()[4] for line in maps.splitlines() if "ostiary-decoder" in line}) == 1
    files = [str(each.readlink()) for each in Path(f"/proc/{child}/fd").iterdir()]
    assert len([each for each in files if each.startswith("socket:")]) == 1
