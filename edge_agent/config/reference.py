"""Writes docs/configuration.md: `python -m edge_agent.config.reference > docs/configuration.md`."""

from pathlib import Path
from types import UnionType
from typing import Annotated, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic.fields import FieldInfo

from edge_agent.config.problems import table_of
from edge_agent.config.settings import CAMERA_KINDS, AgentSettings, Camera

HEAD = """# Configuration

<!-- written by `python -m edge_agent.config.reference`; a test compares -->

One directory, `/etc/edge-agent` on a car, holds `agent.toml` and one file for each camera in `cameras/`. The
format is [TOML](https://toml.io). `config/` has commented files to copy, `config/cameras/examples/` one for each
kind of camera.

- **Layers.** Defaults, then `agent.toml`, then `cameras/NAME.toml`, then `tuned/NAME.toml` in the state directory,
  which only the tuner writes. The later one wins, key by key. `edge-agent config show --origin` prints what is in
  force and where it came from. A broken tuner file is ignored and reported: the car keeps reading.
- **Mistakes.** Unknown keys are errors. `edge-agent check DIR` prints every problem at once, a line each, such as
  `agent.toml:11: mqtt.port: should be at most 65535, got 88883`. The service leaves with status 78 and is not
  started again until a person has looked.
- **Paths.** A relative path starts at the configuration directory, in every file.
- **Secrets.** Passwords and keys stand in files of their own that other users cannot open (`chmod 640`); the
  settings name the file. An address with a password in it is an error.
"""


def reference() -> str:
    """Give the whole page as Markdown."""
    parts = [HEAD, "## agent.toml\n"]
    for name, field in AgentSettings.model_fields.items():
        table = table_of(field)
        if table is not None:
            parts += [f"### [{name}]\n", f"{field.description}\n", _rows(table.model_fields)]
    parts += ["## cameras/NAME.toml\n", "Every kind of camera has:\n"]
    for name, field in Camera.model_fields.items():
        parts.append(f"- `{f'[{name}]' if table_of(field) else name}`: {field.description}")
    for kind, model in CAMERA_KINDS.items():
        own = {name: field for name, field in model.model_fields.items() if name not in Camera.model_fields}
        parts += [f'\n### kind = "{kind}"\n', f"{own.pop('kind').description}\n", _rows(own).rstrip()]
    return "\n".join(parts) + "\n"


_WORDS: dict[object, str] = {
    int: "whole number",
    float: "number",
    str: "text",
    bool: "`true` or `false`",
    Path: "path",
}


def _rows(fields: dict[str, FieldInfo]) -> str:
    rows = ["| key | value | default | meaning |", "|---|---|---|---|"]
    for name, field in fields.items():
        rows.append(f"| `{name}` | {_values(field)} | {_default(field)} | {field.description} |")
    return "\n".join(rows) + "\n"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.default
    if value is None:
        return "-"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f'`"{value}"`' if isinstance(value, str | Path) else f"`{value}`"


def _values(field: FieldInfo) -> str:
    return f"{_kind(field.annotation)}{_bounds(field)}"


def _kind(kind: object) -> str:
    if get_origin(kind) is Annotated:
        return _kind(get_args(kind)[0])
    if get_origin(kind) in {Union, UnionType}:
        return " or ".join(_kind(part) for part in get_args(kind) if part is not type(None))
    if get_origin(kind) is Literal:
        return " or ".join(f'`"{option}"`' for option in get_args(kind))
    words: dict[object, str] = {
        int: "whole number",
        float: "number",
        str: "text",
        bool: "`true` or `false`",
        Path: "path",
    }
    return words[kind]


def _bounds(field: FieldInfo) -> str:
    words = []
    for mark in field.metadata:
        match mark:
            case Ge(ge=bound):
                words.append(f"from {bound}")
            case Gt(gt=bound):
                words.append(f"above {bound}")
            case Le(le=bound):
                words.append(f"to {bound}")
            case Lt(lt=bound):
                words.append(f"below {bound}")
    return f", {' '.join(words)}" if words else ""


if __name__ == "__main__":
    print(reference(), end="")
