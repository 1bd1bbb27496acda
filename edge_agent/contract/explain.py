"""Reads messages, and turns a refused one into one line."""

import json
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from edge_agent.errors import ContractError

Message = TypeVar("Message", bound=BaseModel)


def decoded(model: type[Message], payload: bytes, what: str) -> Message:
    """Read a message. Raises ContractError with one line that says what is wrong.

    No key may stand twice: of its values one is checked, and the others would be kept without a look.
    """
    try:
        found = model.model_validate_json(payload)
    except ValidationError as error:
        raise ContractError(f"{what}: {explain(error)}") from None

    def once(pairs: list[tuple[str, Any]]) -> None:
        if len(dict(pairs)) != len(pairs):
            raise ContractError(f"{what}: a key stands twice")

    json.loads(payload, object_pairs_hook=once)
    return found


def explain(error: ValidationError) -> str:
    """Name the first problem and how many more there are, without the value: it may be a plate."""
    first, *others = error.errors(include_url=False, include_input=False)
    where = ".".join(str(part) for part in first["loc"]) or "message"
    more = f" (and {len(others)} more)" if others else ""
    return printable(f"{where}: {first['msg']}{more}")  # pydantic quotes what is wrong in an id


def printable(text: str) -> str:
    """Replace what cannot be printed: a foreign name can hold anything, and NUL is no text in PostgreSQL."""
    return "".join(one if one.isprintable() else "?" for one in text)
