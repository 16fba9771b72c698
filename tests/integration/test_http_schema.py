"""schemathesis asks the real server whatever the OpenAPI description permits, and more."""

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as hypothesis_settings
from schemathesis.core.result import Ok
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

from ostiary.vision.engine import VisionEngine
from testing.console import ConsoleDoor, console_settings
from testing.waiting import PATIENCE_S

NOT_MEANT = [positive_data_acceptance, negative_data_rejection]
"""No description says which bytes show one live face, or what a name in a path may be."""


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory, engine: VisionEngine) -> Iterator[ConsoleDoor]:
    folder = tmp_path_factory.mktemp("door")
    # Open on loopback, the first version takes no token, which the description cannot say.
    settings = console_settings(folder, http={"legacy_api": "token"})
    with ConsoleDoor(settings, engine) as running:
        yield running


@pytest.mark.parametrize("examples", [4, pytest.param(20, marks=pytest.mark.long)])
def test_every_answer_is_one_that_the_description_permits(door: ConsoleDoor, examples: int) -> None:
    """No 5xx, no undeclared status, no body that does not match: for so many of each operation."""
    bearer = {"Authorization": f"Bearer {door.token()}"}
    schema = schemathesis.openapi.from_url(f"{door.url}/api/v1/openapi.json", timeout=PATIENCE_S)
    operations = [each.ok() for each in schema.get_all_operations() if isinstance(each, Ok)]
    assert len(operations) > 25
    for operation in operations:

        @given(
            case=operation.as_strategy()
            | operation.as_strategy(generation_mode=GenerationMode.NEGATIVE)
        )
        @hypothesis_settings(
            max_examples=examples,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.explicit, Phase.generate],
            derandomize=True,
            database=None,
        )
        def ask(case: Any) -> None:
            case.call_and_validate(headers=bearer, timeout=PATIENCE_S, excluded_checks=NOT_MEANT)

        ask()


def test_every_operation_is_described_with_examples_and_problems(door: ConsoleDoor) -> None:
    description = door.app.openapi()
    assert {"/register", "/login", "/users", "/api/v1/users"} <= set(description["paths"])
    for path, operations in description["paths"].items():
        for method, operation in operations.items():
            assert operation.get("summary"), (method, path)
            assert operation["responses"], (method, path)
            for status, response in operation["responses"].items():
                if int(status) >= 400:
                    assert set(response["content"]) == {"application/problem+json"}, (path, status)
    assert "HTTPValidationError" not in description["components"]["schemas"]
