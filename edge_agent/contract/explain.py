"""Turns a refused message into one line."""

from pydantic import ValidationError


def explain(error: ValidationError) -> str:
    """Name the first problem and how many more there are, without the value: it may be a plate."""
    first, *others = error.errors(include_url=False, include_input=False)
    where = ".".join(str(part) for part in first["loc"]) or "message"
    more = f" (and {len(others)} more)" if others else ""
    return f"{where}: {first['msg']}{more}"
