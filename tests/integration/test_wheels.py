"""Every dependency of the door comes as a wheel, so that nothing is compiled on a Raspberry Pi, and
is the very file that was pinned."""

import re

import pytest

from package.build import LOCK, REPOSITORY, Target
from package.wheels import wheels_for

PINNED = re.compile(r"^([a-z0-9-]+)==(\S+)", re.MULTILINE)


@pytest.mark.long
@pytest.mark.parametrize("debian", ["12", "13"])
def test_there_is_a_wheel_of_everything_for_a_raspberry_pi(debian: str) -> None:
    wheels = wheels_for(Target("arm64", debian), REPOSITORY / "constraints.txt")
    names = {wheel.name for wheel in wheels}
    assert {"numpy", "onnxruntime", "opencv-python-headless", "gpiod"} <= names
    compiled = [wheel.file for wheel in wheels if not wheel.file.endswith("-none-any.whl")]
    assert all("aarch64" in file for file in compiled)
    lock = LOCK.read_text(encoding="ascii")
    assert names == {name for name, _ in PINNED.findall(lock)}
    assert not [wheel.file for wheel in wheels if wheel.sha256 not in lock]


def test_the_lock_has_the_versions_that_were_tested_together() -> None:
    constraints = (REPOSITORY / "constraints.txt").read_text(encoding="ascii").lower()
    versions = {
        name.replace("_", "-"): at for name, at in re.findall(r"(?m)^(\S+)==(\S+)", constraints)
    }
    locked = dict(PINNED.findall(LOCK.read_text(encoding="ascii")))
    assert locked
    assert {name: versions.get(name) for name in locked} == locked
