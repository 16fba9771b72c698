"""A card reader's two wires: what is read of them, and what is not."""

from hypothesis import given
from hypothesis import strategies as st

from ostiary.access.wiegand import Pulse, read

BIT_S = 0.002


def pulses(bits: list[bool], start: float = 0.0) -> list[Pulse]:
    return [Pulse(start + BIT_S * position, bit) for position, bit in enumerate(bits)]


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
