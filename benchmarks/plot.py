"""What the benchmarks draw with."""

import importlib.util

from edge_agent.errors import EdgeAgentError


def check() -> None:
    """Raise EdgeAgentError where nothing can be drawn."""
    if importlib.util.find_spec("matplotlib") is None:
        raise EdgeAgentError("the plot needs matplotlib: pip install -e '.[training]'")
