"""How much the tests of this folder do: a little in `make test`, all of it in `make test-faults`."""

import os

FULL = os.environ.get("EDGE_AGENT_FAULTS") == "full"


def amount(short: int, full: int) -> int:
    """Choose how often something is done."""
    return full if FULL else short
