"""The generated pages: up to date, and a whole AsyncAPI document."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ostiary.commands.commands import COMMANDS
from ostiary.mqtt import asyncapi
from ostiary.mqtt.documentation import files, markdown

DOCS = Path(__file__).resolve().parents[3] / "docs"


@pytest.mark.parametrize("name", ["mqtt.md", "asyncapi.yaml"])
def test_the_page_is_what_the_models_say(name: str) -> None:
    assert (DOCS / name).read_text(encoding="utf-8") == files()[name], "make format"


def test_the_yaml_is_the_document() -> None:
    yaml = pytest.importorskip("yaml")
    assert yaml.safe_load(files()["asyncapi.yaml"]) == asyncapi.document()


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for item in value.values():
            yield from references(item)
    elif isinstance(value, list):
        for item in value:
            yield from references(item)


def test_every_reference_leads_somewhere() -> None:
    document = asyncapi.document()
    found = set(references(document))
    assert len(found) > 30
    for reference in found:
        place: Any = document
        for step in reference.removeprefix("#/").split("/"):
            place = place[step]


def test_every_command_is_an_operation_with_a_reply_and_has_a_chapter() -> None:
    operations = asyncapi.document()["operations"]
    text = markdown()
    for name in COMMANDS:
        assert operations[name]["action"] == "receive"
        assert operations[name]["reply"]["channel"]["$ref"] == f"#/channels/response_{name}"
        assert f"\n### {name}\n" in text
