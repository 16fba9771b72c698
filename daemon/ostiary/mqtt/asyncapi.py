"""Makes docs/asyncapi.yaml, the contract as an AsyncAPI 3 document, from the models."""

import json
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from ostiary import __version__
from ostiary.commands.commands import COMMANDS
from ostiary.messages.commands.base import ErrorResponse, OkResponse
from ostiary.messages.events import (
    DoorEvent,
    DuressEvent,
    EntranceEvent,
    LogHead,
    LoginEvent,
    PromptMessage,
    UserEvent,
)
from ostiary.messages.state import EntranceState, State
from ostiary.mqtt.signing import SignedCommand

OUT: Mapping[str, tuple[type[BaseModel], str]] = {
    "state": (State, "Is the door well? Retained."),
    "event/login": (LoginEvent, "Every decision."),
    "event/user": (UserEvent, "A person was registered, changed or removed."),
    "event/door": (EntranceEvent, "What happened at the door itself."),
    "entrance/{camera}": (EntranceState, "How the door is. Retained."),
    "duress": (DuressEvent, "Somebody was forced to let somebody in. For few eyes."),
    "door": (DoorEvent, "Open the door, now. Expires."),
    "door/prompt": (PromptMessage, "What is asked of whoever stands at the door. Expires."),
    "log": (LogHead, "The newest signed head of the log. Retained."),
}


def document() -> dict[str, Any]:
    """The document as plain data."""
    channels: dict[str, Any] = {
        "availability": _channel("availability", ["Availability"]),
        "picture_camera": _channel("picture/{camera}", ["Picture"]),
    }
    operations: dict[str, Any] = {
        "availability": _operation("send", "availability"),
        "picture_camera": {
            **_operation("send", "picture_camera"),
            "summary": "What a camera saw at a decision, with `mqtt.event_pictures`. Expires.",
        },
    }
    messages: dict[str, Any] = {
        "Availability": {
            "contentType": "text/plain",
            "payload": {"type": "string", "enum": ["online", "offline"]},
        },
        "Picture": {
            "contentType": "image/jpeg",
            "payload": {"type": "string", "contentMediaType": "image/jpeg"},
        },
    }
    models: list[tuple[type[BaseModel], str]] = [
        (OkResponse, "serialization"),
        (ErrorResponse, "serialization"),
        (SignedCommand, "validation"),
    ]
    for topic, (model, summary) in OUT.items():
        name = topic.replace("/", "_").replace("{", "").replace("}", "")
        channels[name] = _channel(topic, [model.__name__])
        operations[name] = {**_operation("send", name), "summary": summary}
        messages[model.__name__] = _message(model.__name__)
        models.append((model, "serialization"))
    messages["Error"] = _message("ErrorResponse")
    for kind in COMMANDS.values():
        request, answer = kind.request.__name__, kind.answer.__name__
        channels[f"request_{kind.name}"] = _channel(f"request/{kind.name}", [request])
        channels[f"response_{kind.name}"] = _channel(f"response/{kind.name}", [answer, "Error"])
        operations[kind.name] = {
            **_operation("receive", f"request_{kind.name}"),
            "summary": (kind.request.__doc__ or "").strip(),
            "reply": {"channel": {"$ref": f"#/channels/response_{kind.name}"}},
        }
        messages[request] = _message(request)
        messages[answer] = {"payload": _response(answer)}
        models += [(kind.request, "validation"), (kind.answer, "serialization")]
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Ostiary",
            "version": __version__,
            "description": "What one door tells and takes over MQTT. QoS is 1, of pictures 0.",
        },
        "defaultContentType": "application/json",
        "servers": {"broker": {"host": "127.0.0.1:1883", "protocol": "mqtt5"}},
        "channels": channels,
        "operations": operations,
        "components": {"messages": messages, "schemas": _schemas(models)},
    }


def _channel(topic: str, messages: list[str]) -> dict[str, Any]:
    return {
        "address": f"ostiary/{{device}}/{topic}",
        "parameters": {
            "device": {"description": "The setting device.id."},
            **({"camera": {"description": "Its camera's name."}} if "{camera}" in topic else {}),
        },
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
    }


def _operation(action: str, channel: str) -> dict[str, Any]:
    return {"action": action, "channel": {"$ref": f"#/channels/{channel}"}}


def _message(schema: str) -> dict[str, Any]:
    return {"payload": {"$ref": f"#/components/schemas/{schema}"}}


def _response(answer: str) -> dict[str, Any]:
    envelope = {"$ref": "#/components/schemas/OkResponse"}
    data = {"properties": {"data": {"$ref": f"#/components/schemas/{answer}"}}}
    return {"allOf": [envelope, data]}


def _schemas(models: list[tuple[type[BaseModel], str]]) -> dict[str, Any]:
    _, definitions = models_json_schema(
        models,  # type: ignore[arg-type]
        ref_template="#/components/schemas/{model}",
    )
    schemas: dict[str, Any] = definitions["$defs"]
    return dict(sorted(schemas.items()))


def to_yaml(value: Any, indent: int = 0) -> str:
    """Write `value` (dicts, lists, texts and numbers) as YAML, every text quoted as in JSON."""
    space = "  " * indent
    if isinstance(value, dict) and value:
        entries = ((f"{space}{_key(key)}:", item) for key, item in value.items())
    elif isinstance(value, list) and value:
        entries = ((f"{space}-", item) for item in value)
    else:
        return space + json.dumps(value, ensure_ascii=False)
    return "\n".join(_entry(head, item, indent) for head, item in entries)


def _entry(head: str, item: Any, indent: int) -> str:
    if isinstance(item, dict | list) and item:
        return f"{head}\n{to_yaml(item, indent + 1)}"
    return f"{head} {to_yaml(item)}"


def _key(key: str) -> str:
    return key if key.replace("_", "").replace("/", "").isalnum() else json.dumps(key)
