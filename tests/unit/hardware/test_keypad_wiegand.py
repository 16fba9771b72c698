"""A card reader's two wires: what is read of them, and what is not."""

from hypothesis import given
from hypothesis import strategies as st

from ostiary.hardware.keypad import Pulse, Word, meaning

BIT_S = 0.002


def pulses(bits: list[bool], start: float = 0.0) -> list[Pulse]:
    return [Pulse(start + BIT_S * position, bit) for position, bit in enumerate(bits)]


def read(pulses: list[Pulse]) -> list[str | None]:
    """The meanings of all words in a record of pulses."""
    words: list[str | None] = []
    word = Word()
    for pulse in pulses:
        if word.is_over(pulse.at):
            words.append(meaning(word))
            word = Word()
        word = word.pulsed(pulse)
    return [*words, meaning(word)] if word.bits else words


def framed(number: int, length: int) -> list[bool]:
    """`number` as a reader sends it, with both parity bits (SIA AC-01)."""
    data = [bool(number >> place & 1) for place in reversed(range(length - 2))]
    half = (length - 2) // 2
    even = sum(data[:half]) % 2 == 1
    odd = sum(data[half:]) % 2 == 0
    return [even, *data, odd]


def test_a_card_of_26_bits_as_the_standard_writes_it() -> None:
    # Facility 1, card 1: the example that readers' manuals print.
    bits = [c == "1" for c in "10000000100000000000000010"]
    assert framed(1 << 16 | 1, 26) == bits
    assert read(pulses(bits)) == [str(1 << 16 | 1)]


def test_keys_of_a_keypad_come_as_four_or_as_eight_bits() -> None:
    four = [False, True, False, True]
    eight = [not bit for bit in four] + four
    assert read(pulses(four)) == ["5"]
    assert read(pulses(eight)) == ["5"]
    assert read(pulses([True, False, True, True])) == ["#"]
    assert read(pulses([True, True, True, True])) == [None]
    assert read(pulses([True, *eight[1:]])) in ([None], ["5"])  # its complement must fit
    assert read(pulses([*four, *four])) == [None]


@given(st.integers(0, 2**24 - 1))
def test_every_card_of_26_bits_is_read(number: int) -> None:
    assert read(pulses(framed(number, 26))) == [str(number)]


@given(st.integers(0, 2**32 - 1))
def test_every_card_of_34_bits_is_read(number: int) -> None:
    assert read(pulses(framed(number, 34))) == [str(number)]


@given(st.integers(0, 2**24 - 1), st.integers(0, 25))
def test_a_bit_that_toppled_is_no_card(number: int, place: int) -> None:
    bits = framed(number, 26)
    bits[place] = not bits[place]
    assert read(pulses(bits)) == [None]


@given(st.integers(0, 2**24 - 1), st.integers(0, 25))
def test_a_bit_that_is_missing_is_no_card(number: int, place: int) -> None:
    bits = framed(number, 26)
    del bits[place]
    assert read(pulses(bits)) == [None]


@given(st.integers(0, 2**24 - 1), st.floats(0, 0.05))
def test_a_glitch_on_the_cable_is_no_card(number: int, at: float) -> None:
    sent = pulses(framed(number, 26))
    noisy = sorted([*sent, Pulse(at, True)], key=lambda pulse: pulse.at)
    assert all(word in (None, str(number)) or word in "0123456789*#" for word in read(noisy))


@given(st.lists(st.integers(0, 2**24 - 1), min_size=1, max_size=5))
def test_cards_one_after_the_other_are_told_apart_by_the_pause(numbers: list[int]) -> None:
    sent = [
        pulse
        for place, number in enumerate(numbers)
        for pulse in pulses(framed(number, 26), place * 0.2)
    ]
    assert read(sent) == [str(number) for number in numbers]


@given(st.lists(st.tuples(st.floats(0, 0.01), st.booleans()), max_size=300))
def test_noise_never_raises_and_two_readers_at_once_are_no_card(
    noise: list[tuple[float, bool]],
) -> None:
    now, sent = 0.0, []
    for wait, one in noise:
        now += wait
        sent.append(Pulse(now, one))
    for word in read(sent):
        assert word is None or word in "0123456789*#" or word.isdecimal()


def of(text: str) -> list[bool]:
    return [bit == "1" for bit in text]


@given(st.integers(0, 2**32 - 1))
def test_a_serial_number_of_32_bits_is_read(number: int) -> None:
    assert read(pulses(of(f"{number:032b}"))) == [str(number)]


@given(st.integers(0, 2**35 - 1))
def test_every_card_of_37_bits_is_read_and_no_toppled_bit(number: int) -> None:
    data = of(f"{number:035b}")
    bits = [sum(data[:18]) % 2 == 1, *data, sum(data[17:]) % 2 == 0]
    assert read(pulses(bits)) == [str(number)]
    for place in range(37):
        toppled = [bit != (at == place) for at, bit in enumerate(bits)]
        assert read(pulses(toppled)) == [None]


def corporate(facility: int, number: int) -> list[bool]:
    """35 bits, written down bit by bit as HID numbers them, from 1."""
    bits = dict(enumerate(of(f"{facility:012b}{number:020b}"), 3))
    even = (3, 4, 6, 7, 9, 10, 12, 13, 15, 16, 18, 19, 21, 22, 24, 25, 27, 28, 30, 31, 33, 34)
    bits[2] = sum(bits[at] for at in even) % 2 == 1
    odd = (2, 3, 5, 6, 8, 9, 11, 12, 14, 15, 17, 18, 20, 21, 23, 24, 26, 27, 29, 30, 32, 33)
    bits[35] = sum(bits[at] for at in odd) % 2 == 0
    bits[1] = sum(bits.values()) % 2 == 0
    return [bits[at] for at in range(1, 36)]


@given(st.integers(0, 2**12 - 1), st.integers(0, 2**20 - 1))
def test_every_card_of_35_bits_is_read_and_no_toppled_bit(facility: int, number: int) -> None:
    bits = corporate(facility, number)
    assert read(pulses(bits)) == [str(facility << 20 | number)]
    for place in range(35):
        toppled = [bit != (at == place) for at, bit in enumerate(bits)]
        assert read(pulses(toppled)) == [None]
