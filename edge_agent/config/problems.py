"""Turns what the settings' models refuse into lines that a technician can act on."""

import difflib
import re
from collections.abc import Mapping
from types import UnionType
from typing import Annotated, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from edge_agent.config.fields import Secret
from edge_agent.config.layers import Layers, Place
from edge_agent.config.lines import KeyPath
from edge_agent.config.settings import CAMERA_KINDS

LONGEST_SHOWN = 80
"""Characters of a value or a key that a line repeats."""

_WORDS = {
    "int_type": "should be a whole number",
    "float_type": "should be a number",
    "finite_number": "should be a finite number",
    "string_type": "should be text in quotes",
    "bool_type": "should be true or false",
    "model_type": "should be a table",
    "literal_error": "should be {expected}",
    "greater_than": "should be more than {gt}",
    "greater_than_equal": "should be at least {ge}",
    "less_than_equal": "should be at most {le}",
    "string_too_short": "should not be empty",
    "string_too_long": "should be at most {max_length} characters long",
    "wrong_value": "{message}",
    "wrong_setting": "{message}",
}


def problem_lines(error: ValidationError, model: type[BaseModel], layers: Layers) -> list[str]:
    """Give each thing the model refused as `file:line: section.key: what is wrong, got 'x'`, in order."""
    placed = [(_place(details, layers), details) for details in error.errors(include_url=False)]
    placed.sort(key=lambda pair: pair[0])
    return [f"{place}: {_key(details['loc'])}: {_wrong(details, model)}" for place, details in placed]


def _key(path: KeyPath) -> str:
    """Write a path with dots; a part that is no plain key stays quoted, cut and on one line."""
    return ".".join(part if re.fullmatch(r"\w{1,40}", part) else shown(part) for part in map(str, path))


def _place(details: ErrorDetails, layers: Layers) -> Place:
    path: KeyPath = details["loc"]
    beside = details.get("ctx", {}).get("beside")
    return layers.place((*path[:-1], beside) if beside and layers.origin(path) is None else path)


def _wrong(details: ErrorDetails, model: type[BaseModel]) -> str:
    path: KeyPath = details["loc"]
    if details["type"] == "extra_forbidden":
        return "unknown key." + _hint(str(path[-1]), _fields(model, path[:-1]))
    field = _fields(model, path[:-1])[str(path[-1])]
    if details["type"] == "missing":
        return f"is missing. {field.description}"
    words = _WORDS.get(details["type"])
    message = words.format_map(details.get("ctx", {})) if words else details["msg"]
    if details["type"] == "wrong_setting" or details["input"] is None or _is_secret(field):
        return message
    return f"{message}, got {shown(details['input'])}"


def wrong_kind(kind: object) -> str:
    """Say what is wrong with a camera's kind."""
    if kind is None:
        return f"kind: is missing: one of {', '.join(CAMERA_KINDS)}"
    if not isinstance(kind, str):
        return f"kind: should be text in quotes, got {shown(kind)}"
    return f"kind: there is no such kind of camera, got {shown(kind)}.{_hint(kind, CAMERA_KINDS)}"


def _hint(word: str, known: Mapping[str, object]) -> str:
    """Give ` Did you mean "x"?` for the known word that comes nearest, or else what is known."""
    near = difflib.get_close_matches(word[:LONGEST_SHOWN], known, n=1)
    return f' Did you mean "{near[0]}"?' if near else f" Known here: {', '.join(known)}"


def table_of(field: FieldInfo) -> type[BaseModel] | None:
    """Give the model of a field that is a table; None for a plain value."""
    kind = field.annotation
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def _fields(model: type[BaseModel], path: KeyPath) -> dict[str, FieldInfo]:
    fields = model.model_fields
    for part in path:
        table = table_of(fields[str(part)])
        fields = table.model_fields if table else {}
    return fields


def _is_secret(field: FieldInfo) -> bool:
    """Tell whether the field, or what it may be beside None, is marked as secret."""
    return any(isinstance(mark, Secret) for mark in (*field.metadata, *_marks(field.annotation)))


def _marks(kind: object) -> tuple[object, ...]:
    if get_origin(kind) is Annotated:
        return get_args(kind)[1:]
    if get_origin(kind) in {Union, UnionType}:
        return tuple(mark for part in get_args(kind) for mark in _marks(part))
    return ()


def shown(value: object) -> str:
    """Write a value as the file would have it, cut to one short line."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list):
        return "an array"
    if isinstance(value, int) and value.bit_length() > 128:
        return "a number beyond all bounds"
    text = repr(value) if isinstance(value, str | float | int) else repr(str(value))
    return text if len(text) <= LONGEST_SHOWN else f"{text[: LONGEST_SHOWN - 4]}...'"
