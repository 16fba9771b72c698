"""Rules of passing at the doorkeeper: which way somebody passed last."""

from ostiary.decision.admission import Need
from ostiary.decision.camera_memory import Announcement
from ostiary.decision.rules import Ruling
from ostiary.messages.decision import Decision
from ostiary.messages.words import Factor, Reason
from ostiary.pipeline.doorkeeper import Doorkeeper, Passage

GATES = {"in": Passage("in"), "out": Passage("out"), "side": Passage()}


def keeper(recorded: list[tuple[Reason, str]], **last: str) -> Doorkeeper:
    return Doorkeeper(
        lambda told, door: recorded.append((told.decision.reason, door)),
        lambda _name, _door: Ruling(anti_passback=True),
        GATES,
        last=last,  # type: ignore[arg-type]
    )


def passes(at: Doorkeeper, door: str) -> None:
    granted = Decision(Reason.GRANTED, "Anna", 0.4, 0.99)
    at.decided(Announcement(at.ruled(granted, door)), door, 0.0)


def test_by_a_rule_with_anti_passback_nobody_is_in_twice_without_being_out() -> None:
    recorded: list[tuple[Reason, str]] = []
    at = keeper(recorded)
    for door in ("in", "in", "side", "out", "out", "in"):
        passes(at, door)
    assert recorded == [
        (Reason.GRANTED, "in"),
        (Reason.PASSED_BACK, "in"),
        (Reason.GRANTED, "side"),
        (Reason.GRANTED, "out"),
        (Reason.PASSED_BACK, "out"),
        (Reason.GRANTED, "in"),
    ]


def test_a_rule_with_anti_passback_holds_over_a_restart() -> None:
    recorded: list[tuple[Reason, str]] = []
    passes(keeper(recorded, Anna="in"), "in")
    assert recorded == [(Reason.PASSED_BACK, "in")]


def test_the_face_of_a_pin_is_awaited_until_it_is_there() -> None:
    needs = Ruling(needs=Factor.FACE_AND_PIN)
    at = Doorkeeper(lambda _told, _door: None, lambda _name, _door: needs)
    assert at.attention("side") == (False, frozenset())
    at.presented("side", Need.PIN, "Anna", 0.0)
    assert at.attention("side") == (True, frozenset({"Anna"}))
    at.decided(Announcement(Decision(Reason.GRANTED, "Bo", 0.4, 0.99)), "side", 1.0)
    assert at.attention("side") == (True, frozenset({"Anna"}))
    at.decided(Announcement(Decision(Reason.GRANTED, "Anna", 0.4, 0.99)), "side", 2.0)
    assert at.attention("side") == (False, frozenset())
