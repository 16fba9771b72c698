"""Every dependency of the door comes as a wheel, so that nothing is compiled on a Raspberry Pi."""

import pytest

from package.build import REPOSITORY, Target
from package.wheels import wheels_for


@pytest.mark.slow
@pytest.mark.parametrize("debian", ["12", "13"])
def test_there_is_a_wheel_of_everything_for_a_raspberry_pi(debian: str) -> None:
    wheels = wheels_for(Target("arm64", debian), REPOSITORY / "constraints.txt")
    compiled = [name for name in wheels.values() if not name.endswith("-none-any.whl")]
    assert {"numpy", "onnxruntime", "opencv-python-headless", "gpiod"} <= set(wheels)
    assert all("aarch64" in name for name in compiled)
