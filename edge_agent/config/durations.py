"""How long reads may be kept on the car: as a time, or by the name of the law that says it."""

import difflib
import re

from edge_agent.config.fields import wrong_value

UNITS_S = {"second": 1.0, "minute": 60.0, "hour": 3600.0, "day": 86400.0, "year": 365 * 86400.0}

LAWS_S = {
    "new-hampshire": 3 * UNITS_S["minute"],
    "connecticut": 21 * UNITS_S["day"],
    "maine": 21 * UNITS_S["day"],
    "california-highway-patrol": 60 * UNITS_S["day"],
    "new-jersey": 3 * UNITS_S["year"],
}

LONGEST_NAME = max(map(len, LAWS_S))

_DURATION = re.compile(r"([0-9]{1,6}) (second|minute|hour|day|year)s?")


def seconds(text: str) -> float:
    """The seconds of `21 days` or `connecticut`. Raises ValueError for anything else, and for nothing at all."""
    if text in LAWS_S:
        return LAWS_S[text]
    match = _DURATION.fullmatch(text)
    if match is None or (duration_s := int(match[1]) * UNITS_S[match[2]]) <= 0:
        raise ValueError(text)
    return duration_s


def checked(text: str) -> str:
    """The text itself, where it says a duration."""
    try:
        seconds(text)
    except ValueError:
        near = difflib.get_close_matches(text[:LONGEST_NAME], LAWS_S, n=1) if text[:1].isalpha() else []
        laws = f'"{near[0]}"' if near else "one of " + ", ".join(f'"{name}"' for name in LAWS_S)
        units = "seconds, minutes, hours, days or years"
        raise wrong_value(f'should be {laws}, or a whole number and a unit, such as "21 days" ({units})') from None
    return text
