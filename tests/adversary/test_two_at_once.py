"""One face is registered twice at the same moment: one of them is somebody's already."""

from collections.abc import Callable
from pathlib import Path

import pytest

from ostiary.commands.people import add_template, register
from ostiary.commands.registry import MQTT, Asker, Context
from ostiary.errors import AlreadyRegistered
from ostiary.messages.commands.base import Answer
from ostiary.messages.commands.people import AddTemplateRequest, RegisterRequest
from ostiary.vision.engine import VisionEngine
from testing.doorway import Doorway, door_settings

ANYBODY = Context("mqtt", Asker(None, MQTT))


@pytest.fixture
def door(tmp_path: Path, engine: VisionEngine) -> Doorway:
    commands = {"allow_unverified_enrolment": True}
    return Doorway(door_settings(tmp_path, 1, commands=commands), engine)


def done(door: Doorway, effect: Callable[[], Answer]) -> None:
    with door.people.changing():
        effect()


def test_two_registrations_of_one_face_do_not_both_succeed(door: Doorway, portraits: Path) -> None:
    """Both have looked at their picture before either is stored."""
    effects = [
        register(
            door.services,
            RegisterRequest(
                username=name, image=(portraits / picture).read_bytes(), require_live=False
            ),
            ANYBODY,
        )
        for name, picture in (("Ada", "obama.jpg"), ("Eve", "obama2.jpg"))
    ]
    done(door, effects[0])
    with pytest.raises(AlreadyRegistered):
        done(door, effects[1])
    assert [user.username for user in door.people.list()] == ["Ada"]
    door.database.close()


def test_nor_a_registration_and_a_further_template(door: Doorway, portraits: Path) -> None:
    biden = (portraits / "biden.jpg").read_bytes()
    first = RegisterRequest(username="Bo", image=biden, require_live=False)
    done(door, register(door.services, first, ANYBODY))
    further = AddTemplateRequest(username="Bo", image=biden, require_live=False)
    adds = add_template(door.services, further, ANYBODY)
    twin = RegisterRequest(username="Eve", image=biden, require_live=False, allow_twin=True)
    done(door, register(door.services, twin, ANYBODY))
    with pytest.raises(AlreadyRegistered):
        done(door, adds)
    door.database.close()
