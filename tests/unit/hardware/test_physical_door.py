"""The door itself: lock, contact, alarm and mode, as rules over time."""

from collections.abc import Callable
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from ostiary.hardware.physical_door import Contact, DoorChange, EntranceRules, PhysicalDoor
from ostiary.messages.words import DoorState, DoorWhat, Mode

RULES = EntranceRules(release_s=3, held_open_s=30, grace_s=0.5, alarm_s=60)
CLOSED, OPEN, UNREADABLE = Contact.CLOSED, Contact.OPEN, Contact.UNREADABLE


@dataclass
class Door:
    """Plays what happens; `told` is all that was told, in order."""

    physical: PhysicalDoor = field(default_factory=lambda: PhysicalDoor(RULES))
    told: list[DoorChange] = field(default_factory=list)

    def saw(self, contact: Contact, now: float) -> None:
        self._keep(self.physical.saw(contact, now))

    def granted(self, now: float, username: str | None = "Ada") -> None:
        self._keep(self.physical.granted(username, now))

    def exit_pressed(self, now: float) -> None:
        self._keep(self.physical.exit_pressed(now))

    def mode(self, mode: Mode, now: float) -> None:
        self._keep(self.physical.set_mode(mode, "mqtt", now))

    def relock(self, now: float) -> None:
        self._keep(self.physical.relock("mqtt", now))

    def silence(self, now: float) -> None:
        self._keep(self.physical.silence("mqtt", now))

    def at(self, now: float) -> None:
        self._keep(self.physical.at(now))

    def _keep(self, transition: tuple[PhysicalDoor, tuple[DoorChange, ...]]) -> None:
        self.physical, told = transition
        self.told += told

    @property
    def words(self) -> list[DoorWhat]:
        return [each.what for each in self.told]


def shut() -> Door:
    door = Door()
    door.saw(CLOSED, 0)
    return door


def test_a_grant_unlocks_for_a_moment_and_the_opening_tells_who() -> None:
    door = shut()
    assert door.physical.state(1) is DoorState.LOCKED
    door.granted(10)
    assert door.physical.state(10) is DoorState.UNLOCKED
    assert door.physical.due(10) == 13
    door.saw(OPEN, 11)
    assert door.told[-1] == DoorChange(DoorWhat.OPENED, username="Ada")
    assert door.physical.state(11) is DoorState.OPEN
    assert not door.physical.is_released(13)


def test_who_was_let_in_is_in_and_nobody_follows_on_the_same_grant() -> None:
    door = shut()
    door.granted(10)
    door.saw(OPEN, 10.5)
    door.saw(CLOSED, 11.5)
    assert not door.physical.is_released(11.5)
    door.saw(OPEN, 12.5)
    assert door.words[-1] is DoorWhat.FORCED


def test_a_door_opened_while_locked_is_forced_and_alarms_on_after_it_is_shut() -> None:
    door = shut()
    door.saw(OPEN, 100)
    assert door.physical.state(100) is DoorState.FORCED
    door.saw(CLOSED, 102)
    assert door.physical.is_alarming
    assert door.physical.state(102) is DoorState.LOCKED
    assert door.physical.due(102) == 160
    door.at(160)
    assert not door.physical.is_alarming
    assert door.words == [DoorWhat.FORCED, DoorWhat.CLOSED, DoorWhat.ALARM_OVER]


def test_a_forced_door_that_stays_open_alarms_for_as_long() -> None:
    door = shut()
    door.saw(OPEN, 100)
    door.at(130)
    door.at(1000)
    assert door.words == [DoorWhat.FORCED, DoorWhat.HELD_OPEN]
    door.saw(CLOSED, 1001)
    assert door.words[-2:] == [DoorWhat.CLOSED, DoorWhat.ALARM_OVER]
    assert not door.physical.is_alarming


def test_a_hand_on_the_handle_as_the_lock_shuts_forces_nothing() -> None:
    door = shut()
    door.granted(10)
    door.saw(OPEN, 13.4)
    assert door.words == [DoorWhat.OPENED]
    late = shut()
    late.granted(10)
    late.saw(OPEN, 13.6)
    assert late.words == [DoorWhat.FORCED]


def test_a_door_held_open_alarms_at_its_limit_and_is_over_when_shut() -> None:
    door = shut()
    door.granted(10)
    door.saw(OPEN, 11)
    assert door.physical.due(13) == 41
    door.at(41)
    assert door.physical.state(41) is DoorState.HELD_OPEN
    assert door.physical.is_alarming
    door.saw(CLOSED, 50)
    assert door.words == [
        DoorWhat.OPENED,
        DoorWhat.HELD_OPEN,
        DoorWhat.CLOSED,
        DoorWhat.ALARM_OVER,
    ]


def test_the_exit_button_lets_out_in_every_mode() -> None:
    for mode in Mode:
        door = shut()
        door.mode(mode, 5)
        door.exit_pressed(10)
        assert door.physical.is_released(10)
        door.saw(OPEN, 11)
        assert door.told[-1] == DoorChange(DoorWhat.OPENED)


def test_a_lockdown_lets_nobody_in_and_ends_what_was_being_let_in() -> None:
    door = shut()
    door.granted(10)
    door.mode(Mode.LOCKDOWN, 11)
    assert not door.physical.is_released(11)
    door.granted(12)
    assert not door.physical.is_released(12)
    door.saw(OPEN, 13)
    assert door.words == [DoorWhat.MODE, DoorWhat.FORCED]


def test_to_relock_ends_that_it_stands_unlocked_and_never_a_lockdown() -> None:
    for before, after in (
        (Mode.NORMAL, Mode.NORMAL),
        (Mode.UNLOCKED, Mode.NORMAL),
        (Mode.LOCKDOWN, Mode.LOCKDOWN),
    ):
        door = shut()
        door.mode(before, 10)
        door.relock(11)
        assert door.physical.mode is after
        assert not door.physical.is_released(11)


def test_an_unlocked_door_is_open_to_everybody_and_alarms_about_nothing() -> None:
    door = shut()
    door.mode(Mode.UNLOCKED, 10)
    assert door.physical.is_released(1e6)
    door.saw(OPEN, 20)
    door.at(1000)
    assert door.words == [DoorWhat.MODE, DoorWhat.OPENED]
    door.mode(Mode.NORMAL, 2000)
    assert not door.physical.is_released(2000)
    door.at(2029)
    assert door.physical.state(2029) is DoorState.OPEN
    door.at(2030)
    assert door.words[-1] is DoorWhat.HELD_OPEN


def test_a_contact_that_cannot_be_read_is_told_and_takes_unlocked_back() -> None:
    door = shut()
    door.mode(Mode.UNLOCKED, 1)
    door.saw(UNREADABLE, 10)
    assert door.told[-1] == DoorChange(DoorWhat.FAULT, by="contact")
    assert door.physical.state(10) is DoorState.FAULT
    assert not door.physical.is_released(10)
    door.saw(CLOSED, 20)
    assert door.told[-1] == DoorChange(DoorWhat.FAULT_OVER, by="contact")
    assert door.physical.is_released(20)


def test_a_door_found_open_after_its_contact_was_gone_is_forced_unless_somebody_was_let_in() -> (
    None
):
    door = shut()
    door.saw(UNREADABLE, 10)
    door.saw(OPEN, 20)
    assert door.words[-1] is DoorWhat.FORCED
    let_in = shut()
    let_in.saw(UNREADABLE, 10)
    let_in.granted(12)
    let_in.saw(OPEN, 20)
    assert let_in.words[-1] is DoorWhat.OPENED


def test_an_alarm_goes_on_while_the_contact_cannot_be_read() -> None:
    door = shut()
    door.saw(OPEN, 10)
    door.saw(UNREADABLE, 11)
    door.at(500)
    assert door.physical.is_alarming
    assert door.physical.state(500) is DoorState.FORCED


def test_a_door_that_stands_open_when_the_daemon_starts_is_not_forced_but_held_in_time() -> None:
    door = Door()
    door.saw(OPEN, 100)
    assert door.words == [DoorWhat.OPENED]
    door.at(130)
    assert door.words[-1] is DoorWhat.HELD_OPEN


def test_silence_ends_the_sound_and_not_the_state_and_a_new_alarm_sounds_again() -> None:
    door = shut()
    door.saw(OPEN, 10)
    door.silence(12)
    assert not door.physical.is_alarming
    assert door.physical.state(12) is DoorState.FORCED
    door.at(40)
    assert door.words[-1] is DoorWhat.HELD_OPEN
    assert door.physical.is_alarming


def test_a_door_without_a_contact_locks_and_unlocks_and_never_alarms() -> None:
    door = Door()
    door.granted(1)
    door.at(100)
    assert door.told == []
    assert door.physical.state(100) is DoorState.LOCKED


# --- whatever happens ------------------------------------------------------------------------

Step = tuple[float, str, object]
STEPS = st.lists(
    st.one_of(
        st.tuples(
            st.sampled_from([0.0, 0.1, 0.4, 1.0, 2.9, 3.0, 7.0, 29.0, 31.0, 61.0]),
            st.just("saw"),
            st.sampled_from([CLOSED, OPEN, UNREADABLE]),
        ),
        st.tuples(
            st.floats(0, 70, allow_nan=False),
            st.sampled_from(["granted", "exit_pressed"]),
            st.none(),
        ),
        st.tuples(st.floats(0, 70), st.just("mode"), st.sampled_from(list(Mode))),
        st.tuples(st.floats(0, 70), st.sampled_from(["silence", "at"]), st.none()),
    ),
    max_size=40,
)


@dataclass
class Obvious:
    """What a guard with a watch and a notebook would say."""

    let_until: float = float("-inf")
    mode: Mode = Mode.NORMAL
    contact: Contact = CLOSED

    @property
    def let_by_mode(self) -> bool:
        return self.mode is Mode.UNLOCKED and self.contact is not UNREADABLE

    def let(self, now: float) -> bool:
        return self.let_by_mode or now < self.let_until


def play(
    steps: list[Step], check: Callable[[Door, Obvious, float, list[DoorChange]], None]
) -> None:
    door, guard, now = shut(), Obvious(), 0.0
    for wait, what, value in steps:
        target = now + wait
        while (due := door.physical.due(now)) is not None and due <= target:
            now, before = due, len(door.told)
            door.at(now)
            check(door, guard, now, door.told[before:])
        now, before = target, len(door.told)
        was_open = door.physical.opened_at is not None
        if what == "saw":
            assert isinstance(value, Contact)
            door.saw(value, now)
            guard.contact = value
            if value is CLOSED and was_open:
                guard.let_until = min(guard.let_until, now)
        elif what == "mode":
            assert isinstance(value, Mode)
            door.mode(value, now)
            if value is not guard.mode and guard.let_by_mode:
                guard.let_until = max(guard.let_until, now)
            if value is not guard.mode and value is Mode.LOCKDOWN:
                guard.let_until = min(guard.let_until, now)
            guard.mode = value
        elif what == "granted":
            door.granted(now)
            if guard.mode is not Mode.LOCKDOWN:
                guard.let_until = max(guard.let_until, now + RULES.release_s)
        elif what == "exit_pressed":
            door.exit_pressed(now)
            guard.let_until = max(guard.let_until, now + RULES.release_s)
        else:
            getattr(door, what)(now)
        check(door, guard, now, door.told[before:])


@given(STEPS)
def test_the_lock_is_released_by_a_grant_the_button_or_the_mode_and_by_nothing_else(
    steps: list[Step],
) -> None:
    def check(door: Door, guard: Obvious, now: float, _news: list[DoorChange]) -> None:
        assert door.physical.is_released(now) == guard.let(now)

    play(steps, check)


@given(STEPS)
def test_forced_is_told_only_of_a_door_that_opened_while_it_was_locked(steps: list[Step]) -> None:
    def check(_door: Door, guard: Obvious, now: float, news: list[DoorChange]) -> None:
        if any(each.what is DoorWhat.FORCED for each in news):
            assert guard.contact is OPEN
            assert not guard.let(now)
        if any(each.what is DoorWhat.OPENED for each in news):
            assert guard.contact is OPEN

    play(steps, check)


@given(STEPS)
def test_no_alarm_is_missed_and_none_ends_without_being_told(steps: list[Step]) -> None:
    sounding = [False]

    def check(door: Door, guard: Obvious, now: float, news: list[DoorChange]) -> None:
        entrance = door.physical
        if entrance.forced or entrance.held:
            assert entrance.state(now) in (DoorState.FORCED, DoorState.HELD_OPEN)
        for each in news:
            if each.what in (DoorWhat.FORCED, DoorWhat.HELD_OPEN):
                sounding[0] = True
                assert entrance.is_alarming
            elif each.what is DoorWhat.ALARM_OVER:
                assert sounding[0]
                sounding[0] = False
        assert sounding[0] == (entrance.forced or entrance.held or entrance.alarm_until is not None)
        # A door that is open for longer than it may is held.
        opened = entrance.opened_at
        if opened is not None and guard.mode is not Mode.UNLOCKED:
            assert entrance.held == (now >= opened + RULES.held_open_s)

    play(steps, check)


@given(STEPS)
def test_an_opening_is_always_told_as_one_thing_or_the_other(steps: list[Step]) -> None:
    seen = [False]

    def check(door: Door, _guard: Obvious, _now: float, news: list[DoorChange]) -> None:
        for each in news:
            if each.what in (DoorWhat.OPENED, DoorWhat.FORCED):
                assert not seen[0]
                seen[0] = True
            elif each.what is DoorWhat.CLOSED:
                assert seen[0]
                seen[0] = False
        assert seen[0] == (door.physical.opened_at is not None)

    play(steps, check)
