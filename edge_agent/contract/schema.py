"""Writes the contract down for others: JSON Schema and AsyncAPI, generated from the models.

Run `python -m edge_agent.contract.schema docs/contract` after a change of the models.
"""

import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from edge_agent.contract.gap import GapRecord
from edge_agent.contract.health import HealthRecord
from edge_agent.contract.image import ImageRecord
from edge_agent.contract.receipt import Receipt
from edge_agent.contract.record import ReadRecord
from edge_agent.contract.state import State

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_READ, _GAP, _HEALTH, _IMAGE, _RECEIPT, _STATE = (
    f"{name}.schema.json" for name in ("read", "gap", "health", "image", "receipt", "state")
)


def _state_schema() -> dict[str, object]:
    return {
        "title": "State",
        "description": State.__doc__,
        "type": "string",
        "enum": list(State),
    }


_PARAMETERS = {
    "prefix": {"description": "Set by the site.", "default": "lpr"},
    "agency": {"description": "The agency's short name."},
    "vehicle": {"description": "The vehicle's name, unique in the agency."},
}
_READ_ID = {"read": {"description": "The read's id."}}


def _channel(
    kind: str, summary: str, message: str, *, parameters: Iterable[str] = _PARAMETERS
) -> dict[str, object]:
    return {
        "address": f"{{prefix}}/v1/{{agency}}/{{vehicle}}/{kind}",
        "description": summary,
        "parameters": {name: {"$ref": f"#/components/parameters/{name}"} for name in parameters},
        "messages": {message: {"$ref": f"#/components/messages/{message}"}},
    }


def _operation(action: str, channel: str, *, retain: bool) -> dict[str, object]:
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{channel}"},
        "bindings": {"mqtt": {"qos": 1, "retain": retain, "bindingVersion": "0.2.0"}},
    }


def _message(content_type: str, schema: str) -> dict[str, object]:
    return {"contentType": content_type, "payload": {"$ref": f"./{schema}"}}


def _asyncapi() -> dict[str, object]:
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "What a car and the central store say to each other",
            "version": "1.0.0",
            "description": "MQTT 5, QoS 1. The broker's acknowledgement is not a receipt: a car keeps a read"
            " until the central store says on `receipts` that it has stored and committed it.",
        },
        "channels": {
            "reads": _channel("reads", "One message for one vehicle pass.", "read"),
            "gaps": _channel("gaps", "Which reads will not come, and why.", "gap"),
            "health": _channel("health", "Once a minute, how the car's reader is.", "health"),
            "images": _channel(
                "images/{read}",
                "The picture of a read's plate, after the read, where the site wants pictures.",
                "image",
                parameters=(*_PARAMETERS, *_READ_ID),
            ),
            "receipts": _channel("receipts", "What the central store has stored and committed.", "receipt"),
            "state": _channel("state", "Retained; `offline` is the car's last will.", "state"),
        },
        "operations": {
            "sendReads": _operation("send", "reads", retain=False),
            "sendGaps": _operation("send", "gaps", retain=False),
            "sendImages": _operation("send", "images", retain=False),
            "sendHealth": _operation("send", "health", retain=False),
            "receiveReceipts": _operation("receive", "receipts", retain=False),
            "sendState": _operation("send", "state", retain=True),
        },
        "components": {
            "messages": {
                "read": _message("application/json", _READ),
                "gap": _message("application/json", _GAP),
                "health": _message("application/json", _HEALTH),
                "image": {"contentType": "image/jpeg", "payload": {"type": "string", "format": "binary"}},
                "receipt": _message("application/json", _RECEIPT),
                "state": _message("text/plain", _STATE),
            },
            "parameters": _PARAMETERS | _READ_ID,
        },
    }


def documents() -> Mapping[str, str]:
    """Generate the contract's files: their contents by name."""
    schemas: dict[str, dict[str, object]] = {
        _READ: ReadRecord.model_json_schema(by_alias=True),
        _GAP: GapRecord.model_json_schema(by_alias=True),
        _HEALTH: HealthRecord.model_json_schema(by_alias=True),
        _IMAGE: ImageRecord.model_json_schema(by_alias=True),
        _RECEIPT: Receipt.model_json_schema(),
        _STATE: _state_schema(),
    }
    contents = {name: {"$schema": _DIALECT, **schema} for name, schema in schemas.items()}
    contents["asyncapi.json"] = _asyncapi()
    return {name: json.dumps(content, indent=2) + "\n" for name, content in contents.items()}


def main(directory: Path) -> None:
    """Write the contract's files into a directory."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in documents().items():
        (directory / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
